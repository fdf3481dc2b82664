"""EndpointSlices: the addresses of the pods behind each Service."""

from typing import Any

from toban_sandbox.controllers import loop
from toban_sandbox.kube import objects, selectors
from toban_sandbox.kube import store as stores

Json = dict[str, Any]

SERVICE_LABEL = "kubernetes.io/service-name"
MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"
TRIGGERED = "endpoints.kubernetes.io/last-change-trigger-time"


class EndpointSliceController(loop.Controller):
    """Keeps one slice for every Service that selects pods."""

    resources = ("services", "pods")

    def observe(self, change: stores.Change) -> None:
        if change.resource == "services":
            self.queue.add(loop.key_of(change.obj))
            return
        before = None if change.old is None else _shown(change.old)
        if change.type == stores.MODIFIED and before == _shown(change.obj):
            return
        for service in self.store.list("services", change.obj["metadata"].get("namespace")):
            selector = service["spec"].get("selector") or {}
            labels = [objects.labels(one) for one in (change.obj, change.old) if one is not None]
            if selector and any(selector.items() <= found.items() for found in labels):
                self.queue.add(loop.key_of(service))

    def sync(self, key: loop.ObjectKey) -> None:
        service = self.store.get("services", *key)
        if service is None or not service["spec"].get("selector") or objects.is_terminating(service):
            return
        if service["spec"].get("type") == "ExternalName":
            return
        wanted = selectors.of_object({"matchLabels": service["spec"]["selector"]})
        pods = [
            pod
            for pod in self.store.list("pods", key[0])
            if selectors.matches_labels(wanted, objects.labels(pod)) and _has_address(pod)
        ]
        self._publish(service, [self._endpoint(pod) for pod in pods], _ports(service, pods))

    def _endpoint(self, pod: Json) -> Json:
        ready, going = objects.is_true(pod, "Ready"), objects.is_terminating(pod)
        endpoint: Json = {
            "addresses": [pod["status"]["podIP"]],
            "conditions": {"ready": ready and not going, "serving": ready, "terminating": going},
            "nodeName": pod["spec"].get("nodeName", ""),
            "targetRef": {
                "kind": "Pod",
                "name": objects.name_of(pod),
                "namespace": pod["metadata"]["namespace"],
                "uid": pod["metadata"]["uid"],
            },
        }
        node = self.store.get("nodes", None, endpoint["nodeName"])
        zone = objects.labels(node).get("topology.kubernetes.io/zone") if node else None
        return endpoint | ({"zone": zone} if zone else {})

    def _publish(self, service: Json, endpoints: list[Json], ports: list[Json]) -> None:
        namespace, name = loop.key_of(service)
        content = {"addressType": "IPv4", "endpoints": endpoints, "ports": ports}
        labels = {**objects.labels(service), MANAGED_BY: MANAGER, SERVICE_LABEL: name}
        known = self._slice_of(service)
        if known is None:
            meta = {
                "generateName": f"{name}-",
                "namespace": namespace,
                "labels": labels,
                "ownerReferences": [objects.owner_reference(service)],
            }
            self._create({"metadata": meta, **content})
            return
        changed = known | {"metadata": known["metadata"] | {"labels": labels}, **content}
        if changed != known:
            stamp = objects.timestamp(self.clock.now())
            annotations = {**objects.annotations(known), TRIGGERED: stamp}
            changed["metadata"] = changed["metadata"] | {"annotations": annotations}
            self.store.update("endpointslices", changed)

    def _create(self, obj: Json) -> None:
        namespace = self.store.get("namespaces", None, obj["metadata"]["namespace"])
        if namespace is not None and objects.is_terminating(namespace):
            return
        self.store.create("endpointslices", obj)

    def _slice_of(self, service: Json) -> Json | None:
        for one in self.store.list("endpointslices", service["metadata"]["namespace"]):
            owner = objects.controller_of(one)
            if owner is not None and owner["uid"] == service["metadata"]["uid"]:
                return one
        return None


def _has_address(pod: Json) -> bool:
    return bool((pod.get("status") or {}).get("podIP")) and not objects.is_finished(pod)


def _shown(pod: Json) -> tuple[Any, ...]:
    """What of a pod a slice depends on."""
    address = (pod.get("status") or {}).get("podIP")
    states = (objects.is_true(pod, "Ready"), objects.is_terminating(pod), objects.is_finished(pod))
    return (address, *states, tuple(sorted(objects.labels(pod).items())))


def _ports(service: Json, pods: list[Json]) -> list[Json]:
    found = []
    for port in service["spec"].get("ports") or ():
        number = port.get("targetPort", port.get("port"))
        if isinstance(number, str) and not number.isdigit():
            number = _named_port(number, pods)
        if number is not None:
            found.append({"name": port.get("name", ""), "port": int(number), "protocol": port.get("protocol", "TCP")})
    return found


def _named_port(name: str, pods: list[Json]) -> int | None:
    for pod in pods:
        for container in pod["spec"].get("containers") or ():
            for port in container.get("ports") or ():
                if port.get("name") == name:
                    return int(port["containerPort"])
    return None
