"""A pod's status as the kubelet reports it: phase, conditions and containers, out of the containers' states."""

from collections.abc import Sequence
from typing import Any

from toban_sandbox.kube import defaults
from toban_sandbox.kubelet import container as containers

Json = dict[str, Any]
Condition = tuple[str, bool, str, str]


def build(
    pod: Json, members: Sequence[containers.Container], addresses: tuple[str, str], *, started: str, now: str
) -> Json:
    """The status of a pod that runs; `addresses` are the pod's own and its host's."""
    initial = [one for one in members if one.init]
    main = [one for one in members if not one.init]
    phase = _phase(pod, initial, main)
    before = {one["type"]: one for one in (pod.get("status") or {}).get("conditions") or ()}
    address, host = addresses
    found: Json = {
        "conditions": [_dated(one, before.get(one[0]), now) for one in _conditions(phase, initial, main, address)],
        "containerStatuses": [one.status(_spec_of(pod, one)) for one in main],
        "hostIP": host,
        "hostIPs": [{"ip": host}],
        "observedGeneration": pod["metadata"].get("generation", 1),
        "phase": phase,
        "qosClass": defaults.qos_class(pod["spec"]),
        "startTime": started,
    }
    if initial:
        found["initContainerStatuses"] = [one.status(_spec_of(pod, one)) for one in initial]
    if address:
        found |= {"podIP": address, "podIPs": [{"ip": address}]}
    return found


def _spec_of(pod: Json, member: containers.Container) -> Json:
    group = "initContainers" if member.init else "containers"
    return next((one for one in pod["spec"].get(group) or () if one["name"] == member.name), {})


def _phase(pod: Json, initial: list[containers.Container], main: list[containers.Container]) -> str:
    policy = pod["spec"].get("restartPolicy", "Always")
    if any(one.ended and not one.done for one in initial if not one.sidecar) and policy == "Never":
        return "Failed"
    begun = any(one.running or one.last or one.ended for one in main)
    if any(not one.done for one in initial if not (one.sidecar and begun)) or any(
        "waiting" in one.state and not one.last for one in main
    ):
        return "Pending"
    if policy == "Always" or any(not one.ended for one in main):
        return "Running"
    if all(one.succeeded for one in main):
        return "Succeeded"
    return "Failed" if policy == "Never" else "Running"


def _conditions(
    phase: str, initial: list[containers.Container], main: list[containers.Container], address: str
) -> list[Condition]:
    over = phase in {"Succeeded", "Failed"}
    begun = any(one.running or one.last or one.ended for one in main)
    waiting = [one.name for one in initial if not one.done and not (one.sidecar and begun)]
    unready = [one.name for one in (*(one for one in initial if one.sidecar), *main) if not one.ready]
    if over:
        reason, message = ("PodCompleted", "") if phase == "Succeeded" else ("PodFailed", "")
    elif unready:
        reason, message = "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]"
    else:
        reason, message = "", ""
    uninitialised = f"containers with incomplete status: [{' '.join(waiting)}]"
    return [
        ("PodReadyToStartContainers", bool(address) and not over, "", ""),
        ("Initialized", not waiting, "ContainersNotInitialized", uninitialised)
        if waiting
        else ("Initialized", True, "", ""),
        ("ContainersReady", not unready and not over, reason, message),
        ("Ready", not unready and not over, reason, message),
        ("PodScheduled", True, "", ""),
    ]


def _dated(wanted: Condition, before: Json | None, now: str) -> Json:
    kind, holds, reason, message = wanted
    state = "True" if holds else "False"
    since = before["lastTransitionTime"] if before and before["status"] == state else now
    condition: Json = {"lastProbeTime": None, "lastTransitionTime": since, "status": state, "type": kind}
    if reason:
        condition["reason"] = reason
    if message:
        condition["message"] = message
    return condition


def failed(found: Json, final: Json, now: str) -> Json:
    """The status of a pod that was ended as a whole, such as by eviction."""
    conditions = []
    for one in found["conditions"]:
        if one["type"] in {"PodReadyToStartContainers", "ContainersReady", "Ready"}:
            changed = {key: value for key, value in one.items() if key not in {"reason", "message"}}
            if one["status"] == "True":
                changed |= {"status": "False", "lastTransitionTime": now}
            if one["type"] != "PodReadyToStartContainers":
                changed["reason"] = "PodFailed"
            conditions.append(changed)
        else:
            conditions.append(one)
    return found | final | {"conditions": conditions}
