"""How a Deployment stands: its revisions, its strategy, its progress, its newest pods. Pure; no I/O.

Used by the actions on Deployments. It judges a rollout as `kubectl rollout status` does, and looks at the pods too.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from toban.integrations.kubernetes import documents
from toban.model.verification import CheckResult

Json = dict[str, Any]

TEMPLATE_HASH = "pod-template-hash"
CHANGE_CAUSE = "kubernetes.io/change-cause"
BROKEN = frozenset(
    {
        "CrashLoopBackOff",
        "ImagePullBackOff",
        "ErrImagePull",
        "InvalidImageName",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
    }
)


class Standing(NamedTuple):
    """The verdict on a rollout and why."""

    result: CheckResult
    detail: str


def revision(obj: Mapping[str, Any]) -> int | None:
    """The number that the deployment controller gave, None where it has not given one yet."""
    found = documents.annotations(obj).get(documents.REVISION, "")
    return int(found) if found.isascii() and found.isdigit() else None


def owned(objects: Iterable[Json], owner: Mapping[str, Any]) -> list[Json]:
    """Those of `objects` that `owner` controls."""
    uid = documents.metadata(owner).get("uid")
    return [obj for obj in objects if uid and _controller(obj) == uid]


def template_of(replica_set: Mapping[str, Any]) -> Json:
    """The pod template of a revision, without the hash that the controller adds."""
    template: Json = replica_set["spec"]["template"]
    meta: Json = template.get("metadata") or {}
    labels = {key: value for key, value in (meta.get("labels") or {}).items() if key != TEMPLATE_HASH}
    return {**template, "metadata": {**meta, "labels": labels}}


def selector(obj: Mapping[str, Any]) -> str:
    """The label selector of a Deployment as text for a query."""
    found = obj["spec"].get("selector") or {}
    parts = [f"{key}={value}" for key, value in sorted((found.get("matchLabels") or {}).items())]
    for one in found.get("matchExpressions") or ():
        key, values = one["key"], ",".join(one.get("values") or ())
        forms = {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key}
        parts.append(forms.get(one["operator"], f"!{key}"))
    return ",".join(parts)


def replicas(obj: Mapping[str, Any]) -> int:
    wanted = obj["spec"].get("replicas")
    return 1 if wanted is None else int(wanted)


def at_once(obj: Mapping[str, Any]) -> int:
    """How many replicas the rollout may take away at the same time: `maxUnavailable`, or all for Recreate."""
    total = replicas(obj)
    strategy = obj["spec"].get("strategy") or {}
    if strategy.get("type") == "Recreate":
        return total
    rolling = strategy.get("rollingUpdate") or {}
    away = _share(rolling.get("maxUnavailable", "25%"), total, up=False)
    more = _share(rolling.get("maxSurge", "25%"), total, up=True)
    # With neither, nothing could ever move: the controller then takes one away.
    return min(total, 1 if away == 0 and more == 0 else away)


def standing(deployment: Mapping[str, Any], newest_pods: Iterable[Json]) -> Standing:
    """PASSED when the rollout is complete, FAILED when it cannot go on, INCONCLUSIVE while it is under way."""
    status, total = deployment.get("status") or {}, replicas(deployment)
    if status.get("observedGeneration", 0) < documents.metadata(deployment).get("generation", 0):
        return Standing(CheckResult.INCONCLUSIVE, "the controller has not seen the change yet")
    for condition in status.get("conditions") or ():
        if condition.get("type") == "Progressing" and condition.get("reason") == "ProgressDeadlineExceeded":
            return Standing(CheckResult.FAILED, condition.get("message") or "the rollout exceeded its deadline")
    broken = [trouble for trouble in map(trouble_of, newest_pods) if trouble]
    if broken:
        return Standing(CheckResult.FAILED, broken[0])
    updated, available = status.get("updatedReplicas", 0), status.get("availableReplicas", 0)
    present, away = status.get("replicas", 0), status.get("unavailableReplicas", 0)
    if updated < total:
        return Standing(CheckResult.INCONCLUSIVE, f"{updated} of {total} replicas are updated")
    if present > updated:
        return Standing(CheckResult.INCONCLUSIVE, f"{present - updated} old replicas are still there")
    if available < updated or away:
        return Standing(CheckResult.INCONCLUSIVE, f"{available} of {total} updated replicas are available")
    return Standing(CheckResult.PASSED, f"{available} of {total} replicas are updated and available")


def trouble_of(pod: Mapping[str, Any]) -> str:
    """The first container that waits for a reason that does not pass by itself, in words; nothing when all is well."""
    status = pod.get("status") or {}
    for one in [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]:
        waiting = (one.get("state") or {}).get("waiting") or {}
        if waiting.get("reason") in BROKEN:
            said = f": {waiting['message']}" if waiting.get("message") else ""
            return (
                f"container {one['name']} of pod {documents.metadata(pod).get('name')} is in {waiting['reason']}{said}"
            )
    return ""


def is_ready(pod: Mapping[str, Any]) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(one.get("type") == "Ready" and one.get("status") == "True" for one in conditions)


def _controller(obj: Mapping[str, Any]) -> str:
    owners = documents.metadata(obj).get("ownerReferences") or ()
    return next((one["uid"] for one in owners if one.get("controller")), "")


def _share(given: int | str, total: int, *, up: bool) -> int:
    if isinstance(given, int):
        return given
    if not given.endswith("%"):
        return int(given)
    exact = int(given[:-1]) * total / 100
    return math.ceil(exact) if up else math.floor(exact)
