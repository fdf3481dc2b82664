"""metrics.k8s.io: what nodes and pods use now, as a metrics server would tell it. Nothing of it is stored."""

from collections.abc import Mapping
from typing import Any, Protocol

from toban_sandbox.kube import errors, kinds, objects, reading, requests, selectors
from toban_sandbox.kube import store as stores

Json = dict[str, Any]

GROUP = "metrics.k8s.io"
WINDOW = "15s"
SYSTEM_CORES, SYSTEM_BYTES = 0.06, 420 * 1024 * 1024  # what a node's own services use
_KIBIBYTE, _NANO = 1024, 1_000_000_000


class ContainerUsage(Protocol):
    """What one container uses."""

    @property
    def memory_bytes(self) -> int: ...

    @property
    def cpu_cores(self) -> float: ...


class UsageSource(Protocol):
    """What is needed of the kubelet."""

    def usage(self, namespace: str, pod: str) -> Mapping[str, ContainerUsage]: ...


def answer(store: stores.ObjectStore, source: UsageSource, asked: requests.ResourceRequest) -> Json:
    """The metrics of one object or of all that are chosen; ApiError 404, also for a pod that does not run."""
    about = kinds.stored(asked.kind.stored_as)
    shown = _node if asked.kind.kind == "NodeMetrics" else _pod
    if asked.verb == "get":
        obj = store.get(about.resource, asked.namespace or None, asked.name)
        found = shown(store, source, obj) if obj is not None else None
        if found is None:
            place = f"{asked.namespace}/{asked.name}" if asked.namespace else asked.name
            raise errors.not_found(
                errors.About(f"{asked.kind.kind.lower().removesuffix('metrics')}metrics", GROUP), place
            )
        return _typed(asked.kind) | found
    labels = selectors.parse_labels(asked.query.get("labelSelector", ""))
    fields = selectors.parse_fields(asked.query.get("fieldSelector", ""), about.resource)
    matches = selectors.matcher(labels, fields)
    chosen = [obj for obj in store.list(about.resource, asked.namespace or None) if matches(obj)]
    items = [one for one in (shown(store, source, obj) for obj in chosen) if one is not None]
    listed = {"kind": f"{asked.kind.kind}List", "apiVersion": asked.kind.group_version}
    return listed | {"metadata": {"resourceVersion": str(reading.asked_revision(store, asked) or "")}, "items": items}


def _typed(kind: kinds.Kind) -> Json:
    return {"kind": kind.kind, "apiVersion": kind.group_version}


def _pod(store: stores.ObjectStore, source: UsageSource, pod: Json) -> Json | None:
    used = source.usage(str(pod["metadata"]["namespace"]), objects.name_of(pod))
    if not used:
        return None
    containers = [
        {"name": name, "usage": _quantities(one.cpu_cores, one.memory_bytes)} for name, one in sorted(used.items())
    ]
    return _measured(store, pod) | {"containers": containers}


def _node(store: stores.ObjectStore, source: UsageSource, node: Json) -> Json | None:
    if not objects.is_true(node, "Ready"):
        return None
    cores, memory = SYSTEM_CORES, SYSTEM_BYTES
    for pod in store.each("pods"):
        if pod["spec"].get("nodeName") == objects.name_of(node):
            for one in source.usage(str(pod["metadata"]["namespace"]), objects.name_of(pod)).values():
                cores += one.cpu_cores
                memory += one.memory_bytes
    return _measured(store, node) | {"usage": _quantities(cores, memory)}


def _measured(store: stores.ObjectStore, obj: Json) -> Json:
    now = objects.timestamp(store.clock.now())
    meta = {key: obj["metadata"][key] for key in ("name", "namespace", "labels") if obj["metadata"].get(key)}
    return {"metadata": meta | {"creationTimestamp": now}, "timestamp": now, "window": WINDOW}


def _quantities(cores: float, memory: int) -> Json:
    return {"cpu": f"{round(cores * _NANO)}n", "memory": f"{memory // _KIBIBYTE}Ki"}
