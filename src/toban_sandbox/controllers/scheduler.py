"""The scheduler: finds each new pod a node that has room for it, or says why none has."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from toban_sandbox.controllers import loop
from toban_sandbox.kube import events, objects, quantity, subresources
from toban_sandbox.kube import store as stores

Json = dict[str, Any]

NAME = "default-scheduler"
MEASURED = ("cpu", "memory", "ephemeral-storage")
DEFAULT_PODS = 110.0
_TOPOLOGY = "topology.kubernetes.io/"
_PREEMPTION = "no new claims to deallocate, preemption: 0/{count} nodes are available: {count} {why}."


@dataclass
class Room:
    """What one node has left, and how many pods of one owner it runs."""

    node: Json
    free: dict[str, float]
    allocatable: dict[str, float]
    pods: int = 0
    siblings: int = 0


class Scheduler(loop.Controller):
    """Places pods; a pod without a place waits until something changes."""

    resources = ("pods", "nodes")

    def __init__(self, store: stores.ObjectStore) -> None:
        super().__init__(store)
        self._events = events.SchedulerRecorder(store, NAME)
        self._waiting: set[loop.ObjectKey] = set()

    def observe(self, change: stores.Change) -> None:
        key = loop.key_of(change.obj)
        if change.resource == "nodes":
            if change.old is None or _placement(change.old) != _placement(change.obj):
                self._try_waiting()
            return
        if change.type == stores.DELETED or objects.is_finished(change.obj):
            self._waiting.discard(key)
            if change.obj["spec"].get("nodeName"):
                self._try_waiting()
        elif not change.obj["spec"].get("nodeName") and change.type == stores.ADDED:
            self.queue.add(key)

    def _try_waiting(self) -> None:
        for key in sorted(self._waiting):
            self.queue.add(key)

    def sync(self, key: loop.ObjectKey) -> None:
        pod = self.store.get("pods", *key)
        if pod is None or pod["spec"].get("nodeName") or objects.is_terminating(pod) or objects.is_finished(pod):
            self._waiting.discard(key)
            return
        if pod["spec"].get("schedulerName", NAME) != NAME:
            return
        rooms = self._rooms(pod)
        faults = {objects.name_of(room.node): _faults(room, pod) for room in rooms}
        fitting = [room for room in rooms if not faults[objects.name_of(room.node)]]
        if fitting:
            self._waiting.discard(key)
            self._place(pod, min(fitting, key=_load))
        else:
            self._waiting.add(key)
            self._refuse(pod, faults, rooms)

    def _rooms(self, pod: Json) -> list[Room]:
        rooms = {}
        for node in self.store.list("nodes"):
            allocatable = (node.get("status") or {}).get("allocatable") or {}
            amounts = {name: quantity.parse(value) for name, value in allocatable.items()}
            rooms[objects.name_of(node)] = Room(node, dict(amounts), amounts)
        owner = objects.controller_of(pod)
        for other in self.store.each("pods"):
            room = rooms.get(other["spec"].get("nodeName") or "")
            if room is None or objects.is_finished(other):
                continue
            room.pods += 1
            for name, amount in requested(other).items():
                room.free[name] = room.free.get(name, 0.0) - amount
            above = objects.controller_of(other)
            if owner is not None and above is not None and above["uid"] == owner["uid"]:
                room.siblings += 1
        return list(rooms.values())

    def _place(self, pod: Json, room: Room) -> None:
        name = objects.name_of(room.node)
        topology = {
            key: value
            for key, value in objects.labels(room.node).items()
            if key in {f"{_TOPOLOGY}zone", f"{_TOPOLOGY}region"}
        }
        labelled = pod | {"metadata": pod["metadata"] | {"labels": {**topology, **objects.labels(pod)}}}
        status = {**(pod.get("status") or {}), "conditions": [self._condition("True")]}
        bound = subresources.assign(self.store, labelled if topology else pod, name)
        self.store.update("pods", bound | {"status": status}, subresource="status")
        namespace = pod["metadata"]["namespace"]
        self._events.normal(pod, "Scheduled", f"Successfully assigned {namespace}/{objects.name_of(pod)} to {name}")

    def _refuse(self, pod: Json, faults: dict[str, list[str]], rooms: list[Room]) -> None:
        message = _explain(pod, faults, rooms)
        status = dict(pod.get("status") or {})
        known = objects.condition(pod, "PodScheduled")
        if known is None or known.get("message") != message:
            status["conditions"] = [self._condition("False", "Unschedulable", message)]
            self.store.update("pods", pod | {"status": status}, subresource="status")
        self._events.warning(pod, "FailedScheduling", message)

    def _condition(self, state: str, reason: str = "", message: str = "") -> Json:
        condition: Json = {
            "type": "PodScheduled",
            "status": state,
            "lastProbeTime": None,
            "lastTransitionTime": objects.timestamp(self.clock.now()),
        }
        return condition | ({"reason": reason, "message": message} if reason else {})


def requested(pod: Json) -> dict[str, float]:
    """What a pod asks of its node: cores and bytes."""
    total: Counter[str] = Counter()
    for container in pod["spec"].get("containers") or ():
        for name, value in ((container.get("resources") or {}).get("requests") or {}).items():
            total[name] += quantity.parse(value)  # type: ignore[assignment]
    for container in pod["spec"].get("initContainers") or ():
        for name, value in ((container.get("resources") or {}).get("requests") or {}).items():
            total[name] = max(total[name], quantity.parse(value))  # type: ignore[assignment]
    return dict(total)


def _placement(node: Json) -> tuple[Any, ...]:
    """What of a node decides about placing."""
    ready = objects.is_true(node, "Ready")
    return node.get("spec"), objects.labels(node), (node.get("status") or {}).get("allocatable"), ready


def _load(room: Room) -> tuple[int, float, str]:
    used = [
        1 - room.free.get(name, 0.0) / room.allocatable[name]
        for name in ("cpu", "memory")
        if room.allocatable.get(name)
    ]
    return room.siblings, round(max(used, default=0.0), 3) + room.pods / 1000, objects.name_of(room.node)


def _faults(room: Room, pod: Json) -> list[str]:
    """Why a node cannot take a pod; nothing when it can."""
    spec = room.node.get("spec") or {}
    if spec.get("unschedulable") and not _tolerates(
        pod, {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    ):
        return ["node(s) were unschedulable"]
    for taint in _taints(room.node):
        if not _tolerates(pod, taint):
            value = f": {taint['value']}" if taint.get("value") else ": "
            return [f"node(s) had untolerated taint {{{taint['key']}{value}}}"]
    wanted = pod["spec"].get("nodeSelector") or {}
    if not wanted.items() <= objects.labels(room.node).items():
        return ["node(s) didn't match Pod's node affinity/selector"]
    asked = requested(pod)
    faults = [f"Insufficient {name}" for name in MEASURED if asked.get(name, 0.0) > room.free.get(name, 0.0)]
    others = [name for name in asked if name not in MEASURED and asked[name] > room.free.get(name, 0.0)]
    faults += [f"Insufficient {name}" for name in others]
    if room.pods >= room.allocatable.get("pods", DEFAULT_PODS):
        faults.append("Too many pods")
    return faults


def _taints(node: Json) -> list[Json]:
    taints = [one for one in (node.get("spec") or {}).get("taints") or () if one.get("effect") != "PreferNoSchedule"]
    ready = objects.condition(node, "Ready")
    if ready is not None and ready["status"] != "True" and not taints:
        taints.append({"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"})
    return taints


def _tolerates(pod: Json, taint: Json) -> bool:
    return any(_matches(one, taint) for one in pod["spec"].get("tolerations") or ())


def _matches(toleration: Json, taint: Json) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    if toleration.get("operator") == "Exists":
        return True
    return bool(toleration.get("key")) and toleration.get("value", "") == taint.get("value", "")


def _explain(pod: Json, faults: dict[str, list[str]], rooms: Iterable[Room]) -> str:
    if not faults:
        return "no nodes available to schedule pods"
    count = len(faults)
    tally = Counter(fault for found in faults.values() for fault in found)
    listed = ", ".join(sorted(f"{number} {fault}" for fault, number in tally.items()))
    asked = requested(pod)
    hopeless = all(
        any(amount > room.allocatable.get(name, 0.0) for name, amount in asked.items()) or not _lacks_room(room, faults)
        for room in rooms
    )
    why = "Preemption is not helpful for scheduling" if hopeless else "No preemption victims found for incoming pod"
    return f"0/{count} nodes are available: {listed}. " + _PREEMPTION.format(count=count, why=why)


def _lacks_room(room: Room, faults: dict[str, list[str]]) -> bool:
    return any(fault.startswith(("Insufficient", "Too many")) for fault in faults[objects.name_of(room.node)])
