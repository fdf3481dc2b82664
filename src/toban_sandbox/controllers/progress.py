"""A Deployment's status: counts, availability, and whether its rollout moves, is done or has missed its deadline.

Pure functions over objects, used by the deployment controller only.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from toban_sandbox.controllers import rollout
from toban_sandbox.kube import objects

Json = dict[str, Any]

AVAILABLE, PROGRESSING, FAILURE = "Available", "Progressing", "ReplicaFailure"
COMPLETE, MISSED, PAUSED, RESUMED = (
    "NewReplicaSetAvailable",
    "ProgressDeadlineExceeded",
    "DeploymentPaused",
    "DeploymentResumed",
)
_FOREVER_S = 2**31 - 1


def counts(deployment: Json, new: Json | None, replicasets: Sequence[Json]) -> Json:
    """The counted part of the status."""
    available = rollout.counted(replicasets, "availableReplicas")
    found: Json = {
        "observedGeneration": deployment["metadata"].get("generation", 1),
        "replicas": rollout.counted(replicasets, "replicas"),
        "updatedReplicas": rollout.counted([new], "replicas") if new is not None else 0,
        "readyReplicas": rollout.counted(replicasets, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, sum(rollout.size(one) for one in replicasets) - available),
    }
    shown = {key: value for key, value in found.items() if value}
    shown["terminatingReplicas"] = rollout.counted(replicasets, "terminatingReplicas")
    return shown


def is_complete(deployment: Json, status: Json) -> bool:
    """Whether everything runs the new template and is available."""
    wanted = deployment["spec"]["replicas"]
    numbers = [status.get(field, 0) for field in ("updatedReplicas", "replicas", "availableReplicas")]
    current = status.get("observedGeneration", 0) >= deployment["metadata"].get("generation", 1)
    return numbers == [wanted] * 3 and current


def status(deployment: Json, new: Json | None, replicasets: Sequence[Json], *, now: datetime) -> Json:
    """The whole status as it is now; conditions that did not change keep their times."""
    before = deployment.get("status") or {}
    found = counts(deployment, new, replicasets)
    if before.get("collisionCount"):
        found["collisionCount"] = before["collisionCount"]
    stamp = objects.timestamp(now)
    conditions = {one["type"]: one for one in before.get("conditions") or ()}
    _set(conditions, _availability(deployment, found), stamp)
    progressing = _progress(deployment, new, found, now=now)
    if progressing is not None:
        _set(conditions, progressing, stamp)
    failure = next((one for owned in replicasets for one in (owned.get("status") or {}).get("conditions") or ()), None)
    conditions.pop(FAILURE, None)
    if failure is not None:
        conditions[FAILURE] = {**failure, "lastUpdateTime": failure["lastTransitionTime"]}
    return found | {"conditions": list(conditions.values())}


def seconds_to_deadline(deployment: Json, *, now: datetime) -> float | None:
    """How long until the rollout would miss its deadline; None when it need not be watched."""
    found = objects.condition(deployment, PROGRESSING)
    deadline = deployment["spec"].get("progressDeadlineSeconds") or _FOREVER_S
    if found is None or deadline >= _FOREVER_S or found["reason"] in {COMPLETE, MISSED, PAUSED}:
        return None
    due = objects.parse_time(found["lastUpdateTime"]) + timedelta(seconds=deadline)
    return max(0.0, (due - now).total_seconds()) + 1.0


def _availability(deployment: Json, found: Json) -> tuple[str, str, str, str]:
    _, missing = rollout.limits(deployment)
    if found.get("availableReplicas", 0) >= deployment["spec"]["replicas"] - missing:
        return AVAILABLE, "True", "MinimumReplicasAvailable", "Deployment has minimum availability."
    return AVAILABLE, "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability."


def _progress(deployment: Json, new: Json | None, found: Json, *, now: datetime) -> tuple[str, str, str, str] | None:
    """The condition Progressing as it should be now; None to leave it as it is."""
    known = objects.condition(deployment, PROGRESSING)
    reason = known["reason"] if known else ""
    if deployment["spec"].get("paused") or reason == PAUSED:
        return _pause(deployment, reason)
    about = f'ReplicaSet "{objects.name_of(new)}"' if new is not None else f'Deployment "{objects.name_of(deployment)}"'
    if is_complete(deployment, found):
        return PROGRESSING, "True", COMPLETE, f"{about} has successfully progressed."
    if new is None or (reason == COMPLETE and found.get("replicas", 0) == found.get("updatedReplicas", 0)):
        return None
    if known is None or reason == COMPLETE:
        text = f'Created new replica set "{objects.name_of(new)}"'
        return PROGRESSING, "True", "NewReplicaSetCreated", text
    if _moves(deployment.get("status") or {}, found):
        return PROGRESSING, "True", "ReplicaSetUpdated", f"{about} is progressing."
    if _is_late(deployment, known, now):
        return PROGRESSING, "False", MISSED, f"{about} has timed out progressing."
    return None


def _pause(deployment: Json, reason: str) -> tuple[str, str, str, str] | None:
    if not deployment["spec"].get("paused"):
        return PROGRESSING, "Unknown", RESUMED, "Deployment is resumed"
    return None if reason == PAUSED else (PROGRESSING, "Unknown", PAUSED, "Deployment is paused")


def _moves(before: Json, found: Json) -> bool:
    def old(status: Json) -> int:
        return int(status.get("replicas", 0)) - int(status.get("updatedReplicas", 0))

    return (
        found.get("observedGeneration", 0) > before.get("observedGeneration", 0)
        or found.get("updatedReplicas", 0) > before.get("updatedReplicas", 0)
        or found.get("readyReplicas", 0) > before.get("readyReplicas", 0)
        or found.get("availableReplicas", 0) > before.get("availableReplicas", 0)
        or old(found) < old(before)
    )


def _is_late(deployment: Json, known: Json, now: datetime) -> bool:
    deadline = deployment["spec"].get("progressDeadlineSeconds") or _FOREVER_S
    if known["reason"] == MISSED or deadline >= _FOREVER_S:
        return False
    return (now - objects.parse_time(known["lastUpdateTime"])).total_seconds() > deadline


def _set(conditions: dict[str, Json], wanted: tuple[str, str, str, str], now: str) -> None:
    kind, state, reason, message = wanted
    known = conditions.get(kind)
    if known is None:
        conditions[kind] = {
            "type": kind,
            "status": state,
            "lastUpdateTime": now,
            "lastTransitionTime": now,
            "reason": reason,
            "message": message,
        }
        return
    same = (known["status"], known["reason"], known["message"]) == (state, reason, message)
    if same and reason != "ReplicaSetUpdated":
        return
    moved = now if known["status"] != state else known["lastTransitionTime"]
    conditions[kind] = {
        **known,
        "status": state,
        "lastUpdateTime": now,
        "lastTransitionTime": moved,
        "reason": reason,
        "message": message,
    }
