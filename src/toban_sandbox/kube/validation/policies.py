"""Autoscalers, budgets, quotas, limits, priorities and ingresses."""

from collections.abc import Iterator
from typing import Any

from toban_sandbox.kube import errors, objects, quantity
from toban_sandbox.kube.validation import causes

Json = dict[str, Any]
Causes = Iterator[errors.Cause]

HIGHEST_PRIORITY = 1_000_000_000
_PATH_TYPES = ["Exact", "ImplementationSpecific", "Prefix"]


def check_autoscaler(obj: Json) -> Causes:
    """What is wrong with a HorizontalPodAutoscaler."""
    spec = obj.get("spec") or {}
    reference = spec.get("scaleTargetRef") or {}
    for field in ("kind", "name"):
        if not reference.get(field):
            yield causes.required(f"spec.scaleTargetRef.{field}")
    least, most = spec.get("minReplicas"), spec.get("maxReplicas") or 0
    if least is not None and least < 1:
        yield causes.invalid("spec.minReplicas", least, "must be greater than or equal to 1")
    if most < 1:
        yield causes.invalid("spec.maxReplicas", most, "must be greater than 0")
    if least is not None and most < least:
        yield causes.invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`")


def check_budget(obj: Json) -> Causes:
    """What is wrong with a PodDisruptionBudget."""
    spec = obj.get("spec") or {}
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        yield causes.invalid("spec", spec, "minAvailable and maxUnavailable cannot be both set")
    for field in ("minAvailable", "maxUnavailable"):
        value = spec.get(field)
        if isinstance(value, int) and value < 0:
            yield causes.invalid(f"spec.{field}", value, "must be greater than or equal to 0")
        elif isinstance(value, str) and not (value.endswith("%") and value[:-1].isdigit()):
            yield causes.invalid(
                f"spec.{field}",
                value,
                "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', "
                "regex used for validation is '[0-9]+%')",
            )


def check_quota(obj: Json) -> Causes:
    """What is wrong with a ResourceQuota."""
    for name, value in ((obj.get("spec") or {}).get("hard") or {}).items():
        if quantity.parse(value) < 0:
            yield causes.invalid(f"spec.hard[{name}]", value, "must be greater than or equal to 0")


def check_quota_update(new: Json, old: Json) -> Causes:
    """The scopes of a quota never change."""
    after, before = (new.get("spec") or {}).get("scopes"), (old.get("spec") or {}).get("scopes")
    if after != before:
        yield causes.invalid("spec.scopes", after, "field is immutable")


def check_limits(obj: Json) -> Causes:
    """What is wrong with a LimitRange."""
    for index, item in enumerate((obj.get("spec") or {}).get("limits") or ()):
        field = f"spec.limits[{index}]"
        if not item.get("type"):
            yield causes.required(f"{field}.type")
        most, least = item.get("max") or {}, item.get("min") or {}
        for group in ("min", "defaultRequest", "default"):
            for name, value in (item.get(group) or {}).items():
                word = {"min": "min", "defaultRequest": "default request", "default": "default"}[group]
                if name in most and quantity.parse(value) > quantity.parse(most[name]):
                    why = f"{word} value {value} is greater than max value {most[name]}"
                    yield causes.invalid(f"{field}.{group}[{name}]", value, why)
                if name in least and quantity.parse(value) < quantity.parse(least[name]):
                    why = f"min value {least[name]} is greater than {word} value {value}"
                    yield causes.invalid(f"{field}.{group}[{name}]", value, why)


def check_priority(obj: Json) -> Causes:
    """What is wrong with a PriorityClass."""
    value, name = obj.get("value") or 0, objects.name_of(obj)
    if name.startswith("system-"):
        text = "priority class names with 'system-' prefix are reserved for system use only"
        yield causes.forbidden("metadata.name", text)
    elif value > HIGHEST_PRIORITY:
        yield causes.forbidden("value", f"maximum allowed value of a user defined priority is {HIGHEST_PRIORITY}")


def check_priority_update(new: Json, old: Json) -> Causes:
    """The value of a priority class never changes."""
    if new.get("value", 0) != old.get("value", 0):
        yield causes.forbidden("value", "may not be changed in an update.")


def check_ingress(obj: Json) -> Causes:
    """What is wrong with an Ingress."""
    spec = obj.get("spec") or {}
    if not spec.get("rules") and not spec.get("defaultBackend"):
        yield causes.invalid("spec", spec, "either `defaultBackend` or `rules` must be specified")
    for number, rule in enumerate(spec.get("rules") or ()):
        for index, path in enumerate((rule.get("http") or {}).get("paths") or ()):
            field = f"spec.rules[{number}].http.paths[{index}]"
            kind, text = path.get("pathType"), str(path.get("path") or "")
            if not kind:
                yield causes.required(f"{field}.pathType", "pathType must be specified")
            elif kind not in _PATH_TYPES:
                yield causes.unsupported(f"{field}.pathType", kind, _PATH_TYPES)
            if kind in {"Exact", "Prefix"} and not text.startswith("/"):
                yield causes.invalid(f"{field}.path", text, "must be an absolute path")
            if not path.get("backend"):
                yield causes.required(f"{field}.backend")
