"""Roles and bindings: what a rule must have, and that a binding keeps its role."""

from collections.abc import Iterator
from typing import Any

from toban_sandbox.kube import errors
from toban_sandbox.kube.validation import causes

Json = dict[str, Any]
_GROUP = "rbac.authorization.k8s.io"
_REQUIRED = "FieldValueRequired"


def check_role(obj: Json) -> Iterator[errors.Cause]:
    for index, rule in enumerate(obj.get("rules") or ()):
        path = f"rules[{index}]"
        if not rule.get("verbs"):
            yield errors.Cause(f"{path}.verbs", "Required value: verbs must contain at least one value", _REQUIRED)
        if rule.get("nonResourceURLs"):
            if obj["metadata"].get("namespace"):
                why = "Invalid value: %s: namespaced rules cannot apply to non-resource URLs"
                yield errors.Cause(f"{path}.nonResourceURLs", why % causes.shown(rule["nonResourceURLs"]))
            continue
        if not rule.get("apiGroups"):
            why = "Required value: resource rules must supply at least one api group"
            yield errors.Cause(f"{path}.apiGroups", why, _REQUIRED)
        if not rule.get("resources"):
            why = "Required value: resource rules must supply at least one resource"
            yield errors.Cause(f"{path}.resources", why, _REQUIRED)


def check_binding(obj: Json) -> Iterator[errors.Cause]:
    reference = obj.get("roleRef") or {}
    known = ("Role", "ClusterRole") if obj["metadata"].get("namespace") else ("ClusterRole",)
    if reference.get("kind") not in known:
        listed = ", ".join(f'"{one}"' for one in sorted(known))
        why = f'Unsupported value: "{reference.get("kind", "")}": supported values: {listed}'
        yield errors.Cause("roleRef.kind", why, "FieldValueNotSupported")
    if not reference.get("name"):
        yield errors.Cause("roleRef.name", "Required value", _REQUIRED)
    for index, subject in enumerate(obj.get("subjects") or ()):
        if not subject.get("name"):
            yield errors.Cause(f"subjects[{index}].name", "Required value", _REQUIRED)
        if subject.get("kind") == "ServiceAccount" and not subject.get("namespace"):
            yield errors.Cause(f"subjects[{index}].namespace", "Required value", _REQUIRED)


def check_role_kept(new: Json, old: Json) -> Iterator[errors.Cause]:
    if new.get("roleRef") != old.get("roleRef"):
        yield errors.Cause("roleRef", f"Invalid value: {causes.shown(new.get('roleRef'))}: cannot change roleRef")
