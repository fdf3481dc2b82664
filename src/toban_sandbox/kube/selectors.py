"""Label and field selectors: read from a query or an object, and matched against objects."""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from toban_sandbox.kube import errors

Json = dict[str, Any]

_SET_FORM = re.compile(r"\A\s*([^\s!=,()]+)\s+(in|notin)\s*\(([^()]*)\)\s*\Z")
_EQUAL_FORM = re.compile(r"\A\s*([^\s!=,()]+)\s*(==|=|!=)\s*([^\s!=,()]*)\s*\Z")
_EXISTS_FORM = re.compile(r"\A\s*(!?)\s*([^\s!=,()]+)\s*\Z")
_SPLIT = re.compile(r",(?![^()]*\))")

_ANY_KIND = ("metadata.name", "metadata.namespace")
_FIELDS: dict[str, tuple[str, ...]] = {
    "pods": (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.podIPs",
        "status.nominatedNodeName",
    ),
    "events": (
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "regarding.kind",
        "regarding.namespace",
        "regarding.name",
        "regarding.uid",
        "regarding.apiVersion",
        "regarding.fieldPath",
        "reason",
        "reportingComponent",
        "reportingController",
        "source",
        "type",
    ),
    "namespaces": ("status.phase",),
    "nodes": ("spec.unschedulable",),
    "replicasets": ("status.replicas",),
    "secrets": ("type",),
    "services": ("spec.clusterIP", "spec.type"),
}
_STORED_NAMES = {"regarding": "involvedObject", "reportingController": "reportingComponent"}


class Requirement(NamedTuple):
    """One condition on a label: `operator` is `in`, `notin`, `exists` or `absent`."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def matches(self, labels: Mapping[str, str]) -> bool:
        if self.operator == "exists":
            return self.key in labels
        if self.operator == "absent":
            return self.key not in labels
        if self.operator == "in":
            return self.key in labels and labels[self.key] in self.values
        return labels.get(self.key) not in self.values


class FieldTest(NamedTuple):
    """One condition on a field of the object."""

    path: str
    value: str
    equal: bool

    def matches(self, obj: Json) -> bool:
        return (_field(obj, self.path) == self.value) is self.equal


def parse_labels(text: str) -> list[Requirement]:
    """A label selector as clients write it; ApiError 400 when it cannot be read."""
    return [_requirement(part) for part in _SPLIT.split(text) if part.strip()] if text.strip() else []


def _requirement(part: str) -> Requirement:
    if found := _SET_FORM.match(part):
        values = frozenset(value.strip() for value in found.group(3).split(","))
        return Requirement(found.group(1), found.group(2), values)
    if found := _EQUAL_FORM.match(part):
        operator = "notin" if found.group(2) == "!=" else "in"
        return Requirement(found.group(1), operator, frozenset({found.group(3)}))
    if found := _EXISTS_FORM.match(part):
        return Requirement(found.group(2), "absent" if found.group(1) else "exists")
    raise errors.bad_request(f'unable to parse requirement: found "{part.strip()}", expected: a selector')


def of_object(selector: Json | None) -> list[Requirement] | None:
    """A `LabelSelector` object as requirements; None when it is absent and so matches nothing."""
    if selector is None:
        return None
    found = [Requirement(key, "in", frozenset({value})) for key, value in (selector.get("matchLabels") or {}).items()]
    operators = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "absent"}
    for one in selector.get("matchExpressions") or ():
        operator = operators.get(one.get("operator"), "absent")
        found.append(Requirement(one["key"], operator, frozenset(one.get("values") or ())))
    return found


def matches_labels(requirements: list[Requirement] | None, labels: Mapping[str, str]) -> bool:
    """Whether labels fulfil every requirement; an empty list is fulfilled by all, None by none."""
    return requirements is not None and all(one.matches(labels) for one in requirements)


def text_of(selector: Json | None) -> str:
    """A `LabelSelector` object as clients would write it, for scale and wide tables."""
    parts = [f"{key}={value}" for key, value in sorted(((selector or {}).get("matchLabels") or {}).items())]
    for one in (selector or {}).get("matchExpressions") or ():
        values = ",".join(one.get("values") or ())
        word = {"In": f"{one['key']} in ({values})", "NotIn": f"{one['key']} notin ({values})"}
        word |= {"Exists": one["key"], "DoesNotExist": f"!{one['key']}"}
        parts.append(word.get(one.get("operator"), ""))
    return ",".join(parts)


def parse_fields(text: str, resource: str) -> list[FieldTest]:
    """A field selector as clients write it; ApiError 400 for a field this resource cannot be selected by."""
    tests = []
    for part in text.split(","):
        if not part.strip():
            continue
        found = re.match(r"\A\s*([\w.\-]+)\s*(==|=|!=)\s*(.*?)\s*\Z", part)
        if found is None:
            raise errors.bad_request(f"invalid selector: '{part}'; can't understand '{part}'")
        path = found.group(1)
        if path not in (*_ANY_KIND, *_FIELDS.get(resource, ())):
            raise errors.bad_request(f"field label not supported: {path}")
        tests.append(FieldTest(path, found.group(3), found.group(2) != "!="))
    return tests


def name_in(tests: list[FieldTest]) -> str:
    """The one name that a field selector asks for, or nothing."""
    return next((test.value for test in tests if test.path == "metadata.name" and test.equal), "")


def matcher(requirements: list[Requirement], tests: list[FieldTest]) -> Callable[[Json], bool]:
    """One question for both selectors."""
    return lambda obj: (
        matches_labels(requirements, obj["metadata"].get("labels") or {}) and all(test.matches(obj) for test in tests)
    )


def _field(obj: Json, path: str) -> str:
    value: Any = obj
    for index, part in enumerate(path.split(".")):
        name = _STORED_NAMES.get(part, part) if index == 0 else part
        value = value.get(name) if isinstance(value, dict) else None
    if path == "source":
        return str((value or {}).get("component") or obj.get("reportingComponent") or "") if value is not None else ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return {"spec.unschedulable": "false", "spec.hostNetwork": "false"}.get(path, "")
    return str(value)
