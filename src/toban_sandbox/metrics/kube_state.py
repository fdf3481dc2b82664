"""The cluster's objects as metrics, with kube-state-metrics' names and labels. Called by `metrics.sampler`.

Each object's samples are kept until its resourceVersion changes, so that a quiet cluster costs next to nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Protocol

from toban_sandbox.promql.labels import NAME, Labels, canonical

Json = dict[str, Any]
Sample = tuple[Labels, float]
_PHASES = ("Pending", "Running", "Succeeded", "Failed", "Unknown")
_STATUSES = ("True", "False", "Unknown")
_SUFFIXES = {
    "Ki": 2.0**10,
    "Mi": 2.0**20,
    "Gi": 2.0**30,
    "Ti": 2.0**40,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "m": 1e-3,
    "": 1.0,
}
_QUANTITY = re.compile(r"([0-9.]+)(Ki|Mi|Gi|Ti|k|M|G|m|)")
_UNITS = {"cpu": "core", "memory": "byte", "ephemeral-storage": "byte", "pods": "integer"}


class Objects(Protocol):
    """What is read of the object store."""

    def list(self, resource: str, namespace: str | None = None) -> list[Json]: ...


def _sample(name: str, value: float, **labels: str) -> Sample:
    return canonical({NAME: name, **labels}), float(value)


def quantity(text: object) -> float:
    """A Kubernetes quantity such as `128Mi`, `250m` or `2` as a number; 0 for what is none."""
    match = _QUANTITY.fullmatch(str(text))
    return float(match[1]) * _SUFFIXES[match[2]] if match else 0.0


def unix(timestamp: object) -> float:
    try:
        return datetime.fromisoformat(str(timestamp)).timestamp()
    except ValueError:
        return 0.0


class KubeState:
    """The samples of all objects, remembered object by object."""

    def __init__(self, store: Objects) -> None:
        self._store = store
        self._kept: dict[str, tuple[str, list[Sample]]] = {}

    def samples(self) -> list[Sample]:
        result: list[Sample] = []
        kept: dict[str, tuple[str, list[Sample]]] = {}
        for resource, describe in _DESCRIBE.items():
            for obj in self._store.list(resource):
                meta = obj["metadata"]
                key, version = meta["uid"], meta["resourceVersion"]
                known = self._kept.get(key)
                entry = known if known and known[0] == version else (version, list(describe(obj)))
                kept[key] = entry
                result += entry[1]
        self._kept = kept
        return result


def _own(obj: Json, label: str) -> dict[str, str]:
    return {"namespace": obj["metadata"].get("namespace", ""), label: obj["metadata"]["name"]}


def _owners(obj: Json) -> Iterator[dict[str, str]]:
    for owner in obj["metadata"].get("ownerReferences", []):
        controller = "true" if owner.get("controller") else "false"
        yield {"owner_kind": owner["kind"], "owner_name": owner["name"], "owner_is_controller": controller}


def _pod(obj: Json) -> Iterator[Sample]:
    own = _own(obj, "pod")
    spec, status = obj.get("spec", {}), obj.get("status", {})
    info = {"node": spec.get("nodeName", ""), "pod_ip": status.get("podIP", ""), "host_ip": status.get("hostIP", "")}
    yield _sample("kube_pod_info", 1, **own, **info, uid=obj["metadata"]["uid"])
    for owner in _owners(obj):
        yield _sample("kube_pod_owner", 1, **own, **owner)
    for phase in _PHASES:
        yield _sample("kube_pod_status_phase", status.get("phase") == phase, **own, phase=phase)
    if status.get("reason"):
        yield _sample("kube_pod_status_reason", 1, **own, reason=status["reason"])
    yield _sample("kube_pod_created", unix(obj["metadata"].get("creationTimestamp")), **own)
    if status.get("startTime"):
        yield _sample("kube_pod_start_time", unix(status["startTime"]), **own)
    yield from _pod_conditions(status, own)
    for container in spec.get("containers", []):
        yield from _resources(container, own, spec.get("nodeName", ""))
    for container in status.get("containerStatuses", []):
        yield from _container(container, {**own, "container": container["name"]})


def _pod_conditions(status: Json, own: dict[str, str]) -> Iterator[Sample]:
    found = {condition["type"]: condition["status"] for condition in status.get("conditions", [])}
    for kind, name in (("Ready", "kube_pod_status_ready"), ("PodScheduled", "kube_pod_status_scheduled")):
        for wanted in _STATUSES:
            yield _sample(name, found.get(kind, "False") == wanted, **own, condition=wanted.lower())


def _resources(container: Json, own: dict[str, str], node: str) -> Iterator[Sample]:
    for kind in ("requests", "limits"):
        for resource, amount in container.get("resources", {}).get(kind, {}).items():
            named = {"container": container["name"], "resource": resource, "unit": _UNITS.get(resource, "integer")}
            yield _sample(f"kube_pod_container_resource_{kind}", quantity(amount), **own, **named, node=node)


def _container(status: Json, own: dict[str, str]) -> Iterator[Sample]:
    image = {"image": status.get("image", ""), "image_id": status.get("imageID", "")}
    yield _sample("kube_pod_container_info", 1, **own, **image, container_id=status.get("containerID", ""))
    yield _sample("kube_pod_container_status_restarts_total", status.get("restartCount", 0), **own)
    yield _sample("kube_pod_container_status_ready", bool(status.get("ready")), **own)
    state = status.get("state", {})
    for name in ("running", "waiting", "terminated"):
        yield _sample(f"kube_pod_container_status_{name}", name in state, **own)
    if reason := state.get("waiting", {}).get("reason"):
        yield _sample("kube_pod_container_status_waiting_reason", 1, **own, reason=reason)
    if reason := state.get("terminated", {}).get("reason"):
        yield _sample("kube_pod_container_status_terminated_reason", 1, **own, reason=reason)
    last = status.get("lastState", {}).get("terminated", {})
    if last:
        yield _sample("kube_pod_container_status_last_terminated_reason", 1, **own, reason=last.get("reason", "Error"))
        yield _sample("kube_pod_container_status_last_terminated_exitcode", last.get("exitCode", 0), **own)


def _deployment(obj: Json) -> Iterator[Sample]:
    own = _own(obj, "deployment")
    spec, status, meta = obj.get("spec", {}), obj.get("status", {}), obj["metadata"]
    yield _sample("kube_deployment_created", unix(meta.get("creationTimestamp")), **own)
    yield _sample("kube_deployment_spec_replicas", spec.get("replicas", 1), **own)
    yield _sample("kube_deployment_spec_paused", bool(spec.get("paused")), **own)
    yield _sample("kube_deployment_metadata_generation", meta.get("generation", 0), **own)
    yield _sample("kube_deployment_status_observed_generation", status.get("observedGeneration", 0), **own)
    yield _sample("kube_deployment_status_replicas", status.get("replicas", 0), **own)
    for name in ("ready", "available", "unavailable", "updated"):
        value = status.get(f"{name}Replicas", 0)
        yield _sample(f"kube_deployment_status_replicas_{name}", value, **own)
    for condition in obj.get("status", {}).get("conditions", []):
        for wanted in _STATUSES:
            named = {"condition": condition["type"], "status": wanted.lower(), "reason": condition.get("reason", "")}
            yield _sample("kube_deployment_status_condition", condition["status"] == wanted, **own, **named)


def _replicaset(obj: Json) -> Iterator[Sample]:
    own = _own(obj, "replicaset")
    for owner in _owners(obj):
        yield _sample("kube_replicaset_owner", 1, **own, **owner)
    yield _sample("kube_replicaset_created", unix(obj["metadata"].get("creationTimestamp")), **own)
    yield _sample("kube_replicaset_spec_replicas", obj.get("spec", {}).get("replicas", 1), **own)
    yield _sample("kube_replicaset_status_replicas", obj.get("status", {}).get("replicas", 0), **own)
    yield _sample("kube_replicaset_status_ready_replicas", obj.get("status", {}).get("readyReplicas", 0), **own)


def _node(obj: Json) -> Iterator[Sample]:
    name = obj["metadata"]["name"]
    info = obj.get("status", {}).get("nodeInfo", {})
    yield _sample("kube_node_info", 1, node=name, kubelet_version=info.get("kubeletVersion", ""))
    yield _sample("kube_node_spec_unschedulable", bool(obj.get("spec", {}).get("unschedulable")), node=name)
    for resource, amount in obj.get("status", {}).get("allocatable", {}).items():
        named = {"resource": resource.replace("-", "_"), "unit": _UNITS.get(resource, "integer")}
        yield _sample("kube_node_status_allocatable", quantity(amount), node=name, **named)
    for condition in obj.get("status", {}).get("conditions", []):
        for wanted in _STATUSES:
            named = {"condition": condition["type"], "status": wanted.lower()}
            yield _sample("kube_node_status_condition", condition["status"] == wanted, node=name, **named)


def _namespace(obj: Json) -> Iterator[Sample]:
    name, phase = obj["metadata"]["name"], obj.get("status", {}).get("phase", "Active")
    yield _sample("kube_namespace_status_phase", 1, namespace=name, phase=phase)
    labels = {"label_" + re.sub(r"\W", "_", key): text for key, text in obj["metadata"].get("labels", {}).items()}
    yield _sample("kube_namespace_labels", 1, namespace=name, **labels)


def _service(obj: Json) -> Iterator[Sample]:
    yield _sample("kube_service_info", 1, **_own(obj, "service"), cluster_ip=obj.get("spec", {}).get("clusterIP", ""))


def _configmap(obj: Json) -> Iterator[Sample]:
    own = _own(obj, "configmap")
    yield _sample("kube_configmap_info", 1, **own)
    yield _sample("kube_configmap_created", unix(obj["metadata"].get("creationTimestamp")), **own)


def _secret(obj: Json) -> Iterator[Sample]:
    yield _sample("kube_secret_info", 1, **_own(obj, "secret"))


_DESCRIBE: dict[str, Callable[[Json], Iterator[Sample]]] = {
    "nodes": _node,
    "namespaces": _namespace,
    "deployments": _deployment,
    "replicasets": _replicaset,
    "pods": _pod,
    "services": _service,
    "configmaps": _configmap,
    "secrets": _secret,
}
