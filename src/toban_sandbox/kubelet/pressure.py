"""What pods use of their node beyond what there is, or beyond their own limits: who is evicted, and in which words."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from toban_sandbox.kube import quantity
from toban_sandbox.kubelet import container as containers
from toban_sandbox.kubelet import machines, pod_run

Json = dict[str, Any]

MEBIBYTE = 2**20
_THRESHOLD_BYTES = 100 * MEBIBYTE
_CRITICAL = 2_000_000_000
_HOUR_S = 3600.0


class Use(NamedTuple):
    """One container's use of a resource and what it asked for."""

    member: containers.Container
    used: float
    requested: float


def disk_of(member: containers.Container, now: float) -> float:
    """Bytes that a container has written to its own file system."""
    program = member.program
    if program is None or not member.running:
        return 0.0
    return program.disk_bytes + program.disk_bytes_per_hour * max(0.0, now - member.running_since) / _HOUR_S


def uses(run: pod_run.PodRun, resource: str, now: float) -> list[Use]:
    """What each running container of a pod uses of `memory` or `ephemeral-storage`."""
    found = []
    for member in run.members:
        if not member.running:
            continue
        used = (member.memory.at(now) if member.memory else 0.0) if resource == "memory" else disk_of(member, now)
        text = ((run.spec_of(member).get("resources") or {}).get("requests") or {}).get(resource)
        found.append(Use(member, used, quantity.parse(text) if text is not None else 0.0))
    return found


def over_own_limits(run: pod_run.PodRun, now: float) -> str:
    """Why a pod must go for what it writes, or nothing."""
    total, limited = 0.0, 0.0
    for member in run.members:
        used = disk_of(member, now)
        total += used
        text = ((run.spec_of(member).get("resources") or {}).get("limits") or {}).get("ephemeral-storage")
        if text is not None:
            limited += quantity.parse(text)
            if used > quantity.parse(text):
                return f'Container {member.name} exceeded its local ephemeral storage limit "{text}". '
    for volume in run.pod["spec"].get("volumes") or ():
        text = (volume.get("emptyDir") or {}).get("sizeLimit")
        if text is not None and total > quantity.parse(text):
            return f'Usage of EmptyDir volume "{volume["name"]}" exceeds the limit "{text}". '
    return ""


def low_on(node: Json, runs: Iterable[pod_run.PodRun], now: float) -> str:
    """The resource that a node has too little of by what its pods really use, or nothing."""
    capacity = quantity.parse(((node.get("status") or {}).get("capacity") or {}).get("memory", "0"))
    used = sum(use.used for run in runs for use in uses(run, "memory", now))
    return machines.MEMORY if capacity and capacity - used < _THRESHOLD_BYTES else ""


def victim(runs: Iterable[pod_run.PodRun], pressure: str, now: float) -> tuple[pod_run.PodRun, str] | None:
    """The pod that goes first, and the message; None when only critical pods are left."""
    resource = "memory" if pressure == machines.MEMORY else "ephemeral-storage"
    ranked = sorted(_candidates(runs, resource, now), key=lambda one: one[0])
    if not ranked:
        return None
    run = ranked[0][2]
    threshold, available = ("100Mi", "61844Ki") if resource == "memory" else ("10Gi", "5242880Ki")
    parts = [f"The node was low on resource: {resource}. Threshold quantity: {threshold}, available: {available}. "]
    for use in uses(run, resource, now):
        if use.used > use.requested:
            asked = quantity.text(use.requested, binary=True)
            shown = f"{round(use.used / 1024)}Ki"
            more = f"has larger consumption of {resource}. "
            parts.append(f"Container {use.member.name} was using {shown}, request is {asked}, {more}")
    return run, "".join(parts)


def _candidates(
    runs: Iterable[pod_run.PodRun], resource: str, now: float
) -> Iterator[tuple[tuple[Any, ...], str, pod_run.PodRun]]:
    for run in runs:
        if run.ended or run.terminating or int(run.pod["spec"].get("priority") or 0) >= _CRITICAL:
            continue
        found = uses(run, resource, now)
        if not found:
            continue
        over = sum(use.used - use.requested for use in found)
        yield (over <= 0, int(run.pod["spec"].get("priority") or 0), -over, run.key), run.key[1], run
