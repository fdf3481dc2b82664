"""Nodes that fall silent or are short of something: conditions, taints, and the pods that must go for them."""

from typing import Any

from toban_sandbox.controllers import loop, pods
from toban_sandbox.controllers.scheduling import nodes as rules
from toban_sandbox.kube import deletion, events, kinds, objects
from toban_sandbox.kube import store as stores

Json = dict[str, Any]

LEASES = "kube-node-lease"
GRACE_S = 40.0
GONE_S = 40.0
_PREFIX = "node.kubernetes.io/"
_UNKNOWN = ("NodeStatusUnknown", "Kubelet stopped posting node status.")
_PRESSURE_TAINTS = {
    "MemoryPressure": "memory-pressure",
    "DiskPressure": "disk-pressure",
    "PIDPressure": "pid-pressure",
    "NetworkUnavailable": "network-unavailable",
}
_OWN = {f"{_PREFIX}{name}" for name in (*_PRESSURE_TAINTS.values(), "not-ready", "unreachable", "unschedulable")}


class NodeLifecycleController(loop.Controller):
    """Watches every node's heartbeats and conditions."""

    resources = ("nodes", "leases")

    def __init__(self, store: stores.ObjectStore) -> None:
        super().__init__(store)
        self._events = events.Recorder(store, "node-controller")
        self._lost: set[str] = set()

    def observe(self, change: stores.Change) -> None:
        name = objects.name_of(change.obj)
        if change.resource == "nodes":
            if change.type != stores.DELETED and (change.old is None or _shown(change.old) != _shown(change.obj)):
                self.queue.add(name)
        elif change.obj["metadata"].get("namespace") == LEASES and change.type != stores.DELETED:
            if name in self._lost or change.old is None:
                self.queue.add(name)
            self.queue.add_after("", GRACE_S)

    def sync(self, key: str) -> None:
        if not key:
            self._look_for_silence()
            return
        node = self.store.get("nodes", None, key)
        if node is not None:
            self._lost.discard(key) if self._silence(key) < GRACE_S else None
            self._taint(node)

    def _silence(self, name: str) -> float:
        """Seconds since the node's last heartbeat; none when it never had one."""
        lease = self.store.get("leases", LEASES, name)
        if lease is None or not lease["spec"].get("renewTime"):
            return 0.0
        return self.clock.time() - objects.parse_time(lease["spec"]["renewTime"]).timestamp()

    def _look_for_silence(self) -> None:
        waits = []
        for node in self.store.list("nodes"):
            name = objects.name_of(node)
            silence = self._silence(name)
            if silence < GRACE_S:
                if self.store.get("leases", LEASES, name) is not None:
                    waits.append(GRACE_S - silence)
            elif name not in self._lost:
                self._lost.add(name)
                self._give_up(node)
        if waits:
            self.queue.add_after("", max(0.5, min(waits)))

    def _give_up(self, node: Json) -> None:
        """Nothing is known of a node any more."""
        name, now = objects.name_of(node), objects.timestamp(self.clock.now())
        reason, message = _UNKNOWN
        conditions = [
            one
            | {
                "status": "Unknown",
                "reason": reason,
                "message": message,
                "lastTransitionTime": one["lastTransitionTime"] if one["status"] == "Unknown" else now,
            }
            for one in (node.get("status") or {}).get("conditions") or ()
        ]
        status = {**(node.get("status") or {}), "conditions": conditions}
        self.store.update("nodes", node | {"status": status}, subresource="status")
        self._events.normal(node, "NodeNotReady", f"Node {name} status is now: NodeNotReady")
        for pod in self.store.list("pods"):
            if pod["spec"].get("nodeName") == name and not objects.is_finished(pod):
                self._mark_not_ready(pod, now)

    def _mark_not_ready(self, pod: Json, now: str) -> None:
        conditions = [
            one | {"status": "False", "lastTransitionTime": now}
            if one["type"] == "Ready" and one["status"] == "True"
            else one
            for one in (pod.get("status") or {}).get("conditions") or ()
        ]
        if conditions != pod["status"].get("conditions"):
            self.store.update(
                "pods", pod | {"status": pod["status"] | {"conditions": conditions}}, subresource="status"
            )
            self._events.warning(pod, "NodeNotReady", "Node is not ready")

    def _taint(self, node: Json) -> None:
        """Give a node the taints that its conditions ask for, and no others of that kind."""
        wanted = _wanted_taints(node)
        known = (node.get("spec") or {}).get("taints") or []
        kept = [one for one in known if one["key"] not in _OWN or (one["key"], one["effect"]) in wanted]
        have = {(one["key"], one["effect"]) for one in kept}
        now = objects.timestamp(self.clock.now())
        added = [
            {"key": key, "effect": effect, "timeAdded": now}
            for key, effect in sorted(wanted)
            if (key, effect) not in have
        ]
        if added or len(kept) != len(known):
            spec = {key: value for key, value in node["spec"].items() if key != "taints"}
            taints = [*kept, *added]
            self.store.update("nodes", node | {"spec": spec | ({"taints": taints} if taints else {})})


class TaintEvictionController(loop.Controller):
    """Deletes pods that do not bear their node's taints, at once or after the time they grant."""

    resources = ("nodes", "pods")

    def __init__(self, store: stores.ObjectStore) -> None:
        super().__init__(store)
        self._events = events.Recorder(store, "taint-eviction-controller")

    def observe(self, change: stores.Change) -> None:
        if change.resource == "pods":
            node = change.obj["spec"].get("nodeName")
            if node and change.type != stores.DELETED and not (change.old or {"spec": {}})["spec"].get("nodeName"):
                found = self.store.get("nodes", None, node)
                if found is None or _no_execute(found):
                    self.queue.add(loop.key_of(change.obj))
            return
        if change.type == stores.DELETED:
            self._look_at(objects.name_of(change.obj), GONE_S)
        elif change.old is not None and _no_execute(change.old) != _no_execute(change.obj):
            self._look_at(objects.name_of(change.obj), 0.0)

    def _look_at(self, node: str, wait: float) -> None:
        for pod in self.store.each("pods"):
            if pod["spec"].get("nodeName") == node:
                self.queue.add_after(loop.key_of(pod), wait)

    def sync(self, key: loop.ObjectKey) -> None:
        pod = self.store.get("pods", *key)
        if pod is None or not pod["spec"].get("nodeName"):
            return
        node = self.store.get("nodes", None, pod["spec"]["nodeName"])
        if node is None:
            options = deletion.Options(grace_s=0)
            deletion.delete(self.store, kinds.stored("pods"), pod, options)
            return
        if objects.is_terminating(pod) or objects.is_finished(pod):
            return
        wait = self._patience(pod, node)
        if wait is None:
            return
        if wait > 0:
            self.queue.add_after(key, wait)
            return
        namespace, name = key
        self._events.normal(pod, "TaintManagerEviction", f"Marking for deletion Pod {namespace}/{name}")
        pods.delete(self.store, pod)

    def _patience(self, pod: Json, node: Json) -> float | None:
        """Seconds that a pod may stay on a node; None for as long as it likes."""
        left: list[float] = []
        for taint in _no_execute(node):
            fitting = [one for one in pod["spec"].get("tolerations") or () if rules.tolerated_by(one, taint)]
            if not fitting:
                return 0.0
            granted = [float(one["tolerationSeconds"]) for one in fitting if one.get("tolerationSeconds") is not None]
            if granted:
                since = (
                    objects.parse_time(taint["timeAdded"]).timestamp() if taint.get("timeAdded") else self.clock.time()
                )
                left.append(since + min(granted) - self.clock.time())
        return min(left) if left else None


def _shown(node: Json) -> tuple[Any, ...]:
    conditions = (node.get("status") or {}).get("conditions") or ()
    return node.get("spec"), tuple((one["type"], one["status"]) for one in conditions)


def _wanted_taints(node: Json) -> set[tuple[str, str]]:
    found = {
        (f"{_PREFIX}{name}", "NoSchedule") for kind, name in _PRESSURE_TAINTS.items() if objects.is_true(node, kind)
    }
    if (node.get("spec") or {}).get("unschedulable"):
        found.add((f"{_PREFIX}unschedulable", "NoSchedule"))
    ready = objects.condition(node, "Ready")
    if ready is not None and ready["status"] != "True":
        name = "unreachable" if ready["status"] == "Unknown" else "not-ready"
        found |= {(f"{_PREFIX}{name}", "NoSchedule"), (f"{_PREFIX}{name}", "NoExecute")}
    return found


def _no_execute(node: Json) -> list[Json]:
    return [one for one in (node.get("spec") or {}).get("taints") or () if one.get("effect") == "NoExecute"]
