"""What a Job's status says: whether it is over, how many pods it wants, which indexes are done.

Pure functions over objects, used by the controllers of Jobs and CronJobs.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from toban_sandbox.kube import objects

Json = dict[str, Any]


def is_over(job: Json) -> bool:
    """Whether a Job has ended, well or badly."""
    return objects.is_true(job, "Complete") or objects.is_true(job, "Failed")


def is_failing(job: Json) -> bool:
    return objects.is_true(job, "FailureTarget")


def is_enough(job: Json) -> bool:
    return objects.is_true(job, "SuccessCriteriaMet")


def has_succeeded(job: Json, found: Sequence[Json]) -> bool:
    """Whether as many pods have succeeded as were asked for; without a number, one and none still running."""
    succeeded = int((job.get("status") or {}).get("succeeded", 0))
    wanted = job["spec"].get("completions")
    if wanted is not None:
        return succeeded >= int(wanted)
    return succeeded > 0 and all(objects.is_finished(pod) for pod in found)


def wanted_active(job: Json, active: Sequence[Json]) -> int:
    """How many pods are to run now."""
    status, parallel = job.get("status") or {}, int(job["spec"].get("parallelism", 1))
    succeeded, wanted = int(status.get("succeeded", 0)), job["spec"].get("completions")
    if wanted is None:
        return len(active) if succeeded else parallel
    return max(0, min(parallel, int(wanted) - succeeded))


def with_condition(status: Json, kind: str, state: str, words: tuple[str, str], now: datetime) -> Json:
    """A status with one condition set; `words` are its reason and message."""
    stamp = objects.timestamp(now)
    condition = {
        "lastProbeTime": stamp,
        "lastTransitionTime": stamp,
        "message": words[1],
        "reason": words[0],
        "status": state,
        "type": kind,
    }
    others = [one for one in status.get("conditions") or () if one["type"] != kind]
    return {**status, "conditions": [*others, condition]}


def indexes(status: Json) -> set[int]:
    """The completed indexes out of a form such as `0-2,5`."""
    found: set[int] = set()
    for part in filter(None, str(status.get("completedIndexes", "")).split(",")):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found


def index_text(numbers: set[int]) -> str:
    """Indexes in the short form."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
