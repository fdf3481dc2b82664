"""The machines below the nodes: heartbeats, conditions, and what goes wrong with them.

Used by the agent. A fault is a cause in the world, not in an object; worlds and scenarios set it with `set_fault`, or
by the node's annotation `sim.toban/fault`.
"""

from collections.abc import Callable
from typing import Any

from toban_sandbox import clock as clocks
from toban_sandbox.kube import errors, events, objects
from toban_sandbox.kube import store as stores
from toban_sandbox.kubelet import wishes

Json = dict[str, Any]

LEASES = "kube-node-lease"
KUBELET_STOPPED, DOWN = "kubelet-stopped", "down"
MEMORY, DISK, PROCESSES = "memory-pressure", "disk-pressure", "pid-pressure"
FAULTS = (KUBELET_STOPPED, DOWN, MEMORY, DISK, PROCESSES)
_SILENT = {KUBELET_STOPPED, DOWN}
_STATUS_EVERY_S = 300.0
_LEASE_S = 40
# condition, while it holds (reason, message), while it does not
_CONDITIONS = {
    "MemoryPressure": (
        ("KubeletHasInsufficientMemory", "kubelet has insufficient memory available"),
        ("KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ),
    "DiskPressure": (
        ("KubeletHasDiskPressure", "kubelet has disk pressure"),
        ("KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ),
    "PIDPressure": (
        ("KubeletHasInsufficientPID", "kubelet has insufficient PID available"),
        ("KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ),
}
_EVENT_WORDS = {
    "MemoryPressure": ("NodeHasInsufficientMemory", "NodeHasSufficientMemory"),
    "DiskPressure": ("NodeHasDiskPressure", "NodeHasNoDiskPressure"),
    "PIDPressure": ("NodeHasInsufficientPID", "NodeHasSufficientPID"),
}
_PRESSURES = {"MemoryPressure": MEMORY, "DiskPressure": DISK, "PIDPressure": PROCESSES}


class Machines:
    """All machines of the cluster; `changed` is told the node whose fault came or went."""

    def __init__(self, store: stores.ObjectStore, *, changed: Callable[[str, str, str], None]) -> None:
        self._store = store
        self._clock = store.clock
        self._changed = changed
        self._faults: dict[str, str] = {}
        self._annotated: dict[str, str] = {}
        self._reported: dict[str, float] = {}
        self._recorders: dict[str, events.Recorder] = {}
        self._timer: clocks.Timer | None = None

    def fault(self, node: str) -> str:
        return self._faults.get(node) or self._annotated.get(node, "")

    def is_silent(self, node: str) -> bool:
        """Whether the node's kubelet does nothing, as it is stopped or its machine is off."""
        return self.fault(node) in _SILENT

    def set_fault(self, node: str, fault: str) -> None:
        """Break or, with an empty word, repair a machine; ValueError for an unknown fault."""
        if fault and fault not in FAULTS:
            raise ValueError(f"unknown fault of a node: {fault!r}; known are {', '.join(FAULTS)}")
        self._set(self._faults, node, fault)

    def observe(self, change: stores.Change) -> None:
        """Take in a node's annotation; a node that is gone has no faults."""
        name = objects.name_of(change.obj)
        note = objects.annotations(change.obj).get(f"{wishes.PREFIX}fault", "")
        if change.type == stores.DELETED:
            self._faults.pop(name, None)
            self._reported.pop(name, None)
            note = ""
            if self._store.get("leases", LEASES, name) is not None:
                self._store.delete("leases", LEASES, name)
        self._set(self._annotated, name, note if note in FAULTS else "")

    def _set(self, faults: dict[str, str], node: str, fault: str) -> None:
        before = self.fault(node)
        if fault:
            faults[node] = fault
        else:
            faults.pop(node, None)
        after = self.fault(node)
        if before != after:
            self._changed(node, before, after)
            if after not in _SILENT:
                self._report(node)

    def begin(self, every_s: float, also: Callable[[], None]) -> None:
        """Send heartbeats from now on, and do something else each time."""

        def beat() -> None:
            self.beat()
            also()
            self._timer = self._clock.call_later(every_s, beat)

        beat()

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def beat(self) -> None:
        """Renew every living node's lease, and its status now and then."""
        for node in list(self._store.each("nodes")):
            name = objects.name_of(node)
            if self.is_silent(name):
                continue
            try:
                self._renew(node)
                if self._clock.time() - self._reported.get(name, 0.0) >= _STATUS_EVERY_S:
                    self._report(name)
            except errors.ApiError:
                # Somebody else changed it at the same time; the next heartbeat is near.
                continue

    def _renew(self, node: Json) -> None:
        name, now = objects.name_of(node), objects.micro_timestamp(self._clock.now())
        lease = self._store.get("leases", LEASES, name)
        spec = {"holderIdentity": name, "leaseDurationSeconds": _LEASE_S, "renewTime": now}
        if lease is None:
            owner = objects.owner_reference(node, controller=False)
            owner = {key: value for key, value in owner.items() if key not in {"controller", "blockOwnerDeletion"}}
            meta = {"name": name, "namespace": LEASES, "ownerReferences": [owner]}
            self._store.create("leases", {"metadata": meta, "spec": spec})
        else:
            self._store.update("leases", lease | {"spec": lease["spec"] | spec})

    def report(self, node: str, pressures: set[str]) -> None:
        """Show in the node's status which pressures there are besides those that faults make."""
        self._report(node, pressures)

    def _report(self, name: str, pressures: set[str] | None = None) -> None:
        node = self._store.get("nodes", None, name)
        if node is None:
            return
        now = objects.timestamp(self._clock.now())
        first = name not in self._reported
        self._reported[name] = self._clock.time()
        found = [
            self._condition(node, condition, now=now, pressures=pressures or set(), quiet=first)
            for condition in (node.get("status") or {}).get("conditions") or ()
        ]
        status = {**(node.get("status") or {}), "conditions": found}
        self._store.update("nodes", node | {"status": status}, subresource="status")

    def _condition(self, node: Json, known: Json, *, now: str, pressures: set[str], quiet: bool) -> Json:
        kind = known["type"]
        if kind == "Ready":
            wanted = ("True", "KubeletReady", "kubelet is posting ready status")
        elif kind in _CONDITIONS:
            fault = _PRESSURES[kind]
            holds = self.fault(objects.name_of(node)) == fault or fault in pressures
            reason, message = _CONDITIONS[kind][0 if holds else 1]
            wanted = ("True" if holds else "False", reason, message)
        else:
            return known
        moved = known["status"] != wanted[0]
        if moved and not quiet:
            self._tell(node, kind, wanted[0])
        return known | {
            "status": wanted[0],
            "reason": wanted[1],
            "message": wanted[2],
            "lastHeartbeatTime": now,
            "lastTransitionTime": now if moved else known["lastTransitionTime"],
        }

    def _tell(self, node: Json, kind: str, state: str) -> None:
        word = "NodeReady" if kind == "Ready" else _EVENT_WORDS[kind][0 if state == "True" else 1]
        name = objects.name_of(node)
        self.recorder(name).normal(node, word, f"Node {name} status is now: {word}")

    def recorder(self, node: str) -> events.Recorder:
        """The recorder of a node's own kubelet."""
        known = self._recorders.get(node)
        if known is None:
            known = self._recorders[node] = events.Recorder(self._store, "kubelet", host=node)
        return known
