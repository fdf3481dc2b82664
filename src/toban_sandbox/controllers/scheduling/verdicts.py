"""Why each node cannot take a pod, and the one sentence that says so for all of them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from toban_sandbox.controllers.scheduling import affinity, nodes, volumes
from toban_sandbox.controllers.scheduling.room import Placed, Room, ports_clash

Json = dict[str, Any]

MEASURED = ("cpu", "memory", "ephemeral-storage")
DEFAULT_PODS = 110.0
NOT_HELPFUL, NO_VICTIMS = "Preemption is not helpful for scheduling", "No preemption victims found for incoming pod"


@dataclass(frozen=True)
class Verdict:
    """The reasons against one node; with `final` even an empty node of its kind would not do."""

    reasons: tuple[str, ...] = ()
    final: bool = False

    @property
    def fits(self) -> bool:
        return not self.reasons


def judge(room: Room, wanted: Placed, claims: volumes.Claims, neighbours: affinity.Neighbours) -> Verdict:
    """What speaks against a node: the first kind of reason only, as the scheduler asks one plugin after the other."""
    pod = wanted.pod
    reason = _node_reason(room, pod)
    if reason:
        return Verdict((reason,), final=True)
    if wanted.ports and any(ports_clash(wanted.ports, other.ports) for other in room.pods.values()):
        return Verdict(("node(s) didn't have free ports for the requested pod ports",))
    lacking = _lacking(room, wanted)
    if lacking:
        offered = room.allocatable
        hopeless = any(amount > offered.get(name, 0.0) for name, amount in wanted.asked.items() if amount)
        return Verdict(tuple(lacking), final=hopeless)
    reason = claims.node_fault(room.node)
    if reason:
        return Verdict((reason,), final=True)
    found = neighbours.spread_fault(room) or neighbours.affinity_fault(room)
    if found is not None:
        return Verdict((found[0],), final=not found[1])
    return Verdict()


def _node_reason(room: Room, pod: Json) -> str:
    if (room.node.get("spec") or {}).get("unschedulable") and not nodes.tolerates(
        pod, {"key": nodes.UNSCHEDULABLE, "effect": "NoSchedule"}
    ):
        return "node(s) were unschedulable"
    for taint in nodes.taints(room.node):
        if not nodes.tolerates(pod, taint):
            return f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value') or ''}}}"
    return "" if nodes.selects(pod, room.node) else "node(s) didn't match Pod's node affinity/selector"


def _lacking(room: Room, wanted: Placed) -> list[str]:
    found = []
    if len(room.pods) >= room.allocatable.get("pods", DEFAULT_PODS):
        found.append("Too many pods")
    named = [*MEASURED, *sorted(set(wanted.asked) - set(MEASURED))]
    found += [
        f"Insufficient {name}"
        for name in named
        if wanted.asked.get(name, 0.0) and wanted.asked[name] > room.free(name) + 1e-9
    ]
    return found


def explain(pod: Json, verdicts: dict[str, Verdict], *, all_nodes: Sequence[str], before: str = "") -> str:
    """The scheduler's sentence; `before` is a reason that holds for all nodes alike."""
    if not all_nodes:
        return "no nodes available to schedule pods"
    count = len(all_nodes)
    only = nodes.only_named(pod)
    if before:
        listed, helpless, victims = before, count, 0
    else:
        tally: Counter[str] = Counter()
        helpless = victims = 0
        for name in all_nodes:
            verdict = verdicts[name]
            if only is not None and name not in only:
                verdict = Verdict(("node(s) didn't satisfy plugin(s) [NodeAffinity]",), final=True)
            tally.update(verdict.reasons)
            helpless, victims = helpless + int(verdict.final), victims + int(not verdict.final)
        listed = _listed(tally)
    preempted = Counter({NOT_HELPFUL: helpless, NO_VICTIMS: victims})
    why = _listed(+preempted)
    return (
        f"0/{count} nodes are available: {listed}. no new claims to deallocate, "
        f"preemption: 0/{count} nodes are available: {why}."
    )


def _listed(tally: Counter[str]) -> str:
    return ", ".join(sorted(f"{number} {reason}" for reason, number in tally.items()))
