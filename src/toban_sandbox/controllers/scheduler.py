"""The scheduler: finds each new pod a node that has room for it, or says why none has."""

from typing import Any

from toban_sandbox.controllers import loop
from toban_sandbox.controllers.scheduling import affinity, nodes, room, verdicts, volumes
from toban_sandbox.kube import errors, events, objects, subresources
from toban_sandbox.kube import store as stores

Json = dict[str, Any]

NAME = "default-scheduler"
_TOPOLOGY = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region")
_STORAGE = {"persistentvolumeclaims", "persistentvolumes", "storageclasses"}
_GATED = "Scheduling is blocked due to non-empty scheduling gates"


class Scheduler(loop.Controller):
    """Places pods; a pod without a place waits until something changes."""

    resources = ("nodes", "pods", *sorted(_STORAGE))

    def __init__(self, store: stores.ObjectStore) -> None:
        super().__init__(store)
        self._events = events.SchedulerRecorder(store, NAME)
        self._rooms = room.Rooms()
        self._waiting: set[loop.ObjectKey] = set()

    def observe(self, change: stores.Change) -> None:
        if change.resource == "nodes":
            self._rooms.observe_node(change)
            if change.old is None or nodes.placement(change.old) != nodes.placement(change.obj):
                self._try_waiting()
        elif change.resource in _STORAGE:
            if change.type != stores.DELETED:
                self._try_waiting()
        else:
            self._observe_pod(change)

    def _observe_pod(self, change: stores.Change) -> None:
        key, pod = loop.key_of(change.obj), change.obj
        self._rooms.observe_pod(change)
        before = (change.old or {}).get("spec") or {}
        if change.type == stores.DELETED or objects.is_finished(pod):
            self._waiting.discard(key)
            if pod["spec"].get("nodeName"):
                self._try_waiting()
        elif not pod["spec"].get("nodeName"):
            opened = bool(before.get("schedulingGates")) and not pod["spec"].get("schedulingGates")
            if change.type == stores.ADDED or opened or before.get("tolerations") != pod["spec"].get("tolerations"):
                self.queue.add(key)
        elif not before.get("nodeName") and self._waiting:
            self._try_waiting(for_company=True)

    def _try_waiting(self, *, for_company: bool = False) -> None:
        for key in sorted(self._waiting):
            pod = self.store.get("pods", *key) if for_company else None
            if not for_company or (pod is not None and (pod["spec"].get("affinity") or {}).get("podAffinity")):
                self.queue.add(key)

    def sync(self, key: loop.ObjectKey) -> None:
        pod = self.store.get("pods", *key)
        if pod is None or pod["spec"].get("nodeName") or objects.is_terminating(pod) or objects.is_finished(pod):
            self._waiting.discard(key)
            return
        if pod["spec"].get("schedulerName", NAME) != NAME:
            return
        if pod["spec"].get("schedulingGates"):
            self._mark(pod, self._condition(pod, "False", "SchedulingGated", _GATED))
            return
        self._find_place(key, pod)

    def _find_place(self, key: loop.ObjectKey, pod: Json) -> None:
        claims = volumes.Claims(self.store, pod)
        wanted = room.describe(pod, "")
        neighbours = affinity.Neighbours(self.store, self._rooms, pod)
        rooms = list(self._rooms)
        found: dict[str, verdicts.Verdict] = {}
        if not claims.fault:
            found = {one.name: verdicts.judge(one, wanted, claims, neighbours) for one in rooms}
        fitting = [one for one in rooms if one.name in found and found[one.name].fits]
        if not fitting:
            self._waiting.add(key)
            names = [one.name for one in rooms]
            self._refuse(pod, verdicts.explain(pod, found, all_nodes=names, before=claims.fault))
            return
        best = min(fitting, key=lambda one: _cost(one, wanted, neighbours))
        if claims.choose(best.name):
            self._waiting.add(key)
            return
        self._waiting.discard(key)
        self._place(pod, best)

    def _place(self, pod: Json, chosen: room.Room) -> None:
        name = chosen.name
        topology = {key: value for key, value in objects.labels(chosen.node).items() if key in _TOPOLOGY}
        labelled = pod | {"metadata": pod["metadata"] | {"labels": {**topology, **objects.labels(pod)}}}
        condition = self._condition(pod, "True")
        status = {**(pod.get("status") or {}), "conditions": [condition]}
        bound = subresources.assign(self.store, labelled if topology else pod, name)
        self.store.update("pods", bound | {"status": status}, subresource="status")
        namespace = pod["metadata"]["namespace"]
        self._events.normal(pod, "Scheduled", f"Successfully assigned {namespace}/{objects.name_of(pod)} to {name}")

    def _refuse(self, pod: Json, message: str) -> None:
        self._mark(pod, self._condition(pod, "False", "Unschedulable", message))
        self._events.warning(pod, "FailedScheduling", message)

    def _mark(self, pod: Json, condition: Json) -> None:
        known = objects.condition(pod, "PodScheduled")
        if known is not None and known.get("message") == condition.get("message"):
            return
        status = {**(pod.get("status") or {}), "conditions": [condition]}
        try:
            self.store.update("pods", pod | {"status": status}, subresource="status")
        except errors.ApiError:
            # The pod has changed or gone in the meantime; that brings it here again.
            return

    def _condition(self, pod: Json, state: str, reason: str = "", message: str = "") -> Json:
        now = objects.timestamp(self.clock.now())
        known = objects.condition(pod, "PodScheduled")
        since = known["lastTransitionTime"] if known is not None and known["status"] == state else now
        condition: Json = {
            "type": "PodScheduled",
            "status": state,
            "lastProbeTime": None,
            "lastTransitionTime": since,
            "observedGeneration": pod["metadata"].get("generation", 1),
        }
        return condition | ({"reason": reason, "message": message} if reason else {})


def _cost(one: room.Room, wanted: room.Placed, neighbours: affinity.Neighbours) -> tuple[Any, ...]:
    """How dear a node is for a pod, the dearest reasons first."""
    pod = wanted.pod
    avoided = [taint for taint in (one.node.get("spec") or {}).get("taints") or () if _repels_softly(taint, pod)]
    preference = neighbours.preference(one)
    inside = (pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}
    for wish in inside.get(nodes.PREFERRED) or ():
        if nodes.matches(wish.get("preference") or {}, one.node):
            preference += int(wish.get("weight", 1))
    used = [1 - one.free(name) / one.allocatable[name] for name in ("cpu", "memory") if one.allocatable.get(name)]
    load = round(max(used, default=0.0), 3) + len(one.pods) / 1000
    return len(avoided), -preference, one.siblings(wanted.owner), load, one.name


def _repels_softly(taint: Json, pod: Json) -> bool:
    return taint.get("effect") == "PreferNoSchedule" and not nodes.tolerates(pod, taint)
