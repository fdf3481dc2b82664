"""Priority classes of new pods."""

from typing import Any

from toban_sandbox.kube import errors, kinds, objects
from toban_sandbox.kube.admission.objects import Objects

Json = dict[str, Any]

SYSTEM = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}


def complete(store: Objects, pod: Json) -> None:
    """Set the priority that the pod's class gives it, in place."""
    spec = pod["spec"]
    if not spec.get("priorityClassName"):
        default = next((one for one in store.each("priorityclasses") if one.get("globalDefault")), None)
        if default is None:
            return
        spec["priorityClassName"] = objects.name_of(default)
    found = store.get("priorityclasses", None, spec["priorityClassName"])
    if found is not None:
        spec["priority"] = found.get("value", 0)
        spec["preemptionPolicy"] = found.get("preemptionPolicy", "PreemptLowerPriority")
    elif spec["priorityClassName"] in SYSTEM:
        spec["priority"] = SYSTEM[spec["priorityClassName"]]


def check(store: Objects, kind: kinds.Kind, pod: Json) -> None:
    """ApiError 403 when there is no such class."""
    name = pod["spec"].get("priorityClassName")
    if name and name not in SYSTEM and store.get("priorityclasses", None, name) is None:
        why = f"no PriorityClass with name {name} was found"
        raise errors.forbidden(kind.about, pod["metadata"].get("name", ""), why)
