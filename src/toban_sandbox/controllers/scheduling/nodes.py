"""Nodes as pods see them: taints and tolerations, selectors and node affinity.

Used by the scheduler, the DaemonSet controller, the node controller and the kubelet.
"""

from collections.abc import Iterable
from typing import Any

from toban_sandbox.kube import objects

Json = dict[str, Any]

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
NOT_READY, UNREACHABLE = "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"


def placement(node: Json) -> tuple[Any, ...]:
    """What of a node decides about placing."""
    ready = objects.is_true(node, "Ready")
    return node.get("spec"), objects.labels(node), (node.get("status") or {}).get("allocatable"), ready


def taints(node: Json) -> list[Json]:
    """The taints that keep pods away; a node that is not ready counts as tainted before it is marked so."""
    found = [one for one in (node.get("spec") or {}).get("taints") or () if one.get("effect") != "PreferNoSchedule"]
    ready = objects.condition(node, "Ready")
    if ready is not None and ready["status"] != "True" and not found:
        found.append({"key": NOT_READY, "effect": "NoSchedule"})
    return found


def tolerates(pod: Json, taint: Json) -> bool:
    return any(tolerated_by(one, taint) for one in pod["spec"].get("tolerations") or ())


def tolerated_by(toleration: Json, taint: Json) -> bool:
    """Whether one toleration covers a taint."""
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    if toleration.get("operator") == "Exists":
        return True
    return bool(toleration.get("key")) and toleration.get("value", "") == taint.get("value", "")


def selects(pod: Json, node: Json) -> bool:
    """Whether a pod's node selector and required node affinity allow a node."""
    wanted = pod["spec"].get("nodeSelector") or {}
    if not wanted.items() <= objects.labels(node).items():
        return False
    required = ((pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}).get(REQUIRED)
    return required is None or matches_any(required.get("nodeSelectorTerms") or (), node)


def matches_any(terms: Iterable[Json], node: Json) -> bool:
    """Whether a node fulfils one of several terms."""
    return any(matches(term, node) for term in terms)


def matches(term: Json, node: Json) -> bool:
    """Whether a node fulfils all of a term; an empty term is fulfilled by none."""
    expressions, fields = term.get("matchExpressions") or [], term.get("matchFields") or []
    if not expressions and not fields:
        return False
    named = {"metadata.name": objects.name_of(node)}
    return all(_holds(one, objects.labels(node)) for one in expressions) and all(_holds(one, named) for one in fields)


def _holds(expression: Json, labels: dict[str, str]) -> bool:
    key, operator = expression.get("key", ""), expression.get("operator")
    values, value = expression.get("values") or [], labels.get(key)
    if operator in {"Exists", "DoesNotExist"}:
        return (key in labels) is (operator == "Exists")
    if operator == "In":
        return value in values
    if operator == "NotIn":
        return value not in values
    if value is None or not values or not value.lstrip("-").isdigit() or not str(values[0]).lstrip("-").isdigit():
        return False
    return int(value) > int(values[0]) if operator == "Gt" else int(value) < int(values[0])


def only_named(pod: Json) -> set[str] | None:
    """The names of the only nodes that a pod's required affinity allows by name, None when it names none."""
    required = ((pod["spec"].get("affinity") or {}).get("nodeAffinity") or {}).get(REQUIRED)
    terms = (required or {}).get("nodeSelectorTerms") or []
    names: set[str] = set()
    for term in terms:
        fields = [one for one in term.get("matchFields") or () if one.get("key") == "metadata.name"]
        if not fields:
            return None
        names |= {str(value) for one in fields if one.get("operator") == "In" for value in one.get("values") or ()}
    return names if terms else None
