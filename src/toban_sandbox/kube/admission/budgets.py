"""PodDisruptionBudgets: how many of the pods they select may be taken away, and whether one may be evicted now.

Used by the eviction subresource and by the controller that shows the counts.
"""

import math
from typing import Any

from toban_sandbox.kube import errors, objects, selectors
from toban_sandbox.kube.admission.objects import Objects

Json = dict[str, Any]

_SCALED = {"ReplicaSet": "replicasets", "StatefulSet": "statefulsets", "Deployment": "deployments"}
_TWO_BUDGETS = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."


def of_pod(store: Objects, pod: Json) -> list[Json]:
    """The budgets that select a pod."""
    return [
        budget
        for budget in store.list("poddisruptionbudgets", pod["metadata"].get("namespace"))
        if selectors.matches_labels(selectors.of_object(budget["spec"].get("selector")), objects.labels(pod))
    ]


def _stays(pod: Json) -> bool:
    return not objects.is_finished(pod) and not objects.is_terminating(pod)


def status(store: Objects, budget: Json, *, now: str) -> Json:
    """A budget's status as it is now."""
    wanted = selectors.of_object(budget["spec"].get("selector"))
    chosen = [
        pod
        for pod in store.list("pods", budget["metadata"]["namespace"])
        if not objects.is_finished(pod) and selectors.matches_labels(wanted, objects.labels(pod))
    ]
    healthy = sum(1 for pod in chosen if _stays(pod) and objects.is_true(pod, "Ready"))
    expected, desired = _wanted(store, budget, chosen)
    allowed = max(0, healthy - desired) if expected else 0
    enough = allowed > 0
    return {
        "conditions": [_condition(budget, now, enough=enough)],
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "disruptionsAllowed": allowed,
        "expectedPods": expected,
        "observedGeneration": budget["metadata"].get("generation", 1),
    }


def _wanted(store: Objects, budget: Json, chosen: list[Json]) -> tuple[int, int]:
    """How many pods there should be, and how many of them have to be healthy."""
    spec = budget["spec"]
    if spec.get("maxUnavailable") is not None:
        expected = _expected(store, chosen)
        return expected, max(0, expected - _share(spec["maxUnavailable"], expected))
    least = spec.get("minAvailable", 1)
    if isinstance(least, int):
        return len(chosen), least
    expected = _expected(store, chosen)
    return expected, _share(least, expected)


def _share(value: Any, total: int) -> int:
    if isinstance(value, str) and value.endswith("%"):
        return math.ceil(total * int(value[:-1]) / 100)
    return int(value)


def _expected(store: Objects, chosen: list[Json]) -> int:
    """The sizes of all that own the pods."""
    sizes: dict[str, int] = {}
    for pod in chosen:
        owner = objects.controller_of(pod)
        if owner is None:
            continue
        found = store.get(_SCALED.get(owner["kind"], ""), pod["metadata"]["namespace"], owner["name"])
        above = objects.controller_of(found) if found is not None else None
        if above is not None and above["kind"] in _SCALED:
            found = store.get(_SCALED[above["kind"]], pod["metadata"]["namespace"], above["name"]) or found
        if found is not None:
            sizes[found["metadata"]["uid"]] = int(found["spec"].get("replicas") or 0)
    return sum(sizes.values())


def _condition(budget: Json, now: str, *, enough: bool) -> Json:
    state = "True" if enough else "False"
    known = objects.condition(budget, "DisruptionAllowed")
    since = known["lastTransitionTime"] if known is not None and known["status"] == state else now
    return {
        "lastTransitionTime": since,
        "message": "",
        "observedGeneration": budget["metadata"].get("generation", 1),
        "reason": "SufficientPods" if enough else "InsufficientPods",
        "status": state,
        "type": "DisruptionAllowed",
    }


def check_eviction(store: Objects, pod: Json, *, now: str) -> None:
    """ApiError 429 when a budget does not allow a pod to be taken away now, 500 when several budgets speak of it."""
    if objects.is_finished(pod) or objects.is_terminating(pod) or not pod["spec"].get("nodeName"):
        return
    budgets = of_pod(store, pod)
    if len(budgets) > 1:
        raise errors.internal(_TWO_BUDGETS)
    for budget in budgets:
        found = status(store, budget, now=now)
        ready = objects.is_true(pod, "Ready")
        always = budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow"
        if not ready and (always or found["currentHealthy"] >= found["desiredHealthy"] > 0):
            continue
        if found["disruptionsAllowed"] <= 0:
            raise _refusal(budget, found)


def _refusal(budget: Json, found: Json) -> errors.ApiError:
    about = (
        f"The disruption budget {objects.name_of(budget)} needs {found['desiredHealthy']} healthy pods and has "
        f"{found['currentHealthy']} currently"
    )
    details = {"causes": [{"reason": "DisruptionBudget", "message": about}]}
    message = "Cannot evict pod as it would violate the pod's disruption budget."
    return errors.ApiError(429, "TooManyRequests", message, details=details)
