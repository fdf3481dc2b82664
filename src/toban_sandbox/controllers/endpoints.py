"""Endpoints: the old form of what EndpointSlices say, kept for each Service by the same name."""

from typing import Any

from toban_sandbox.controllers import endpointslice, loop
from toban_sandbox.kube import objects
from toban_sandbox.kube import store as stores

Json = dict[str, Any]

HEADLESS = "service.kubernetes.io/headless"


class EndpointsController(loop.Controller):
    """Mirrors the slices of every Service that selects pods."""

    resources = ("services", "endpointslices")

    def observe(self, change: stores.Change) -> None:
        if change.resource == "services":
            self.queue.add(loop.key_of(change.obj))
            return
        name = objects.labels(change.obj).get(endpointslice.SERVICE_LABEL)
        if name and objects.labels(change.obj).get(endpointslice.MANAGED_BY) == endpointslice.MANAGER:
            self.queue.add((change.obj["metadata"]["namespace"], name))

    def sync(self, key: loop.ObjectKey) -> None:
        service, known = self.store.get("services", *key), self.store.get("endpoints", *key)
        if service is None or not service["spec"].get("selector"):
            if service is None and known is not None:
                self.store.delete("endpoints", *key)
            return
        slices = [
            one
            for one in self.store.list("endpointslices", key[0])
            if objects.labels(one).get(endpointslice.SERVICE_LABEL) == key[1]
        ]
        if not slices:
            return
        labels = {**objects.labels(service), "endpoints.kubernetes.io/managed-by": "endpoint-controller"}
        if service["spec"].get("clusterIP") == "None":
            labels[HEADLESS] = ""
        wanted: Json = {"metadata": {"name": key[1], "namespace": key[0], "labels": labels}}
        subsets = [subset for one in slices for subset in _subsets(one)]
        if subsets:
            wanted["subsets"] = subsets
        if known is None:
            self.store.create("endpoints", wanted)
        else:
            kept = {name: value for name, value in known.items() if name != "subsets"}
            changed = (
                kept | {"metadata": known["metadata"] | {"labels": labels}} | ({"subsets": subsets} if subsets else {})
            )
            self.store.update("endpoints", changed)


def _subsets(one: Json) -> list[Json]:
    ready: list[Json] = []
    waiting: list[Json] = []
    for endpoint in one.get("endpoints") or ():
        conditions = endpoint.get("conditions") or {}
        if conditions.get("terminating"):
            continue
        group = ready if conditions.get("ready") else waiting
        for address in endpoint.get("addresses") or ():
            group.append({"ip": address, "nodeName": endpoint.get("nodeName"), "targetRef": endpoint.get("targetRef")})
    if not ready and not waiting:
        return []
    subset: Json = {}
    if ready:
        subset["addresses"] = ready
    if waiting:
        subset["notReadyAddresses"] = waiting
    ports = [{name: value for name, value in port.items() if value != ""} for port in one.get("ports") or ()]
    if ports:
        subset["ports"] = ports
    return [subset]
