"""Deployments and ReplicaSets: replicas, selector against template, strategy."""

import re
from collections.abc import Iterator
from typing import Any

from toban_sandbox.kube import errors, selectors
from toban_sandbox.kube.validation import causes, metadata, pods

Json = dict[str, Any]
Causes = Iterator[errors.Cause]

_NOT_NEGATIVE = "must be greater than or equal to 0"
_STRATEGIES = ["Recreate", "RollingUpdate"]
_PERCENT = re.compile(r"\d+%\Z")


def check_deployment(obj: Json) -> Causes:
    """What is wrong with a Deployment."""
    spec = obj.get("spec") or {}
    yield from check_workload(spec)
    for name in ("revisionHistoryLimit", "progressDeadlineSeconds", "minReadySeconds"):
        if (spec.get(name) or 0) < 0:
            yield causes.invalid(f"spec.{name}", spec[name], _NOT_NEGATIVE)
    deadline, ready = spec.get("progressDeadlineSeconds"), spec.get("minReadySeconds") or 0
    if deadline is not None and deadline <= ready:
        yield causes.invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")
    yield from _check_strategy(spec.get("strategy") or {})


def check_replicaset(obj: Json) -> Causes:
    """What is wrong with a ReplicaSet."""
    yield from check_workload(obj.get("spec") or {})


def check_selector_kept(new: Json, old: Json) -> Causes:
    """The selector of a workload never changes."""
    selector = (new.get("spec") or {}).get("selector")
    if selector != (old.get("spec") or {}).get("selector"):
        yield causes.invalid("spec.selector", selector, "field is immutable")


def check_workload(spec: Json) -> Causes:
    """What is wrong with the parts that all workloads which keep pods running have."""
    replicas = spec.get("replicas", 0)
    if replicas < 0:
        yield causes.invalid("spec.replicas", replicas, _NOT_NEGATIVE)
    selector, template = spec.get("selector"), spec.get("template")
    if not selector:
        yield causes.required("spec.selector")
    if not isinstance(template, dict):
        yield causes.required("spec.template")
        return
    labels = (template.get("metadata") or {}).get("labels") or {}
    if selector and not selectors.matches_labels(selectors.of_object(selector), labels):
        yield causes.invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`")
    yield from metadata.labels(labels, "spec.template.metadata.labels")
    yield from metadata.annotations((template.get("metadata") or {}).get("annotations"), "spec.template.annotations")
    pod = template.get("spec") or {}
    yield from pods.check_spec(pod, "spec.template.spec")
    if pod.get("restartPolicy") in {"OnFailure", "Never"}:
        yield causes.unsupported("spec.template.spec.restartPolicy", pod["restartPolicy"], ["Always"])


def _check_strategy(strategy: Json) -> Causes:
    field = "spec.strategy"
    if strategy.get("type") not in _STRATEGIES:
        yield causes.unsupported(f"{field}.type", strategy.get("type"), _STRATEGIES)
    rolling = strategy.get("rollingUpdate")
    if strategy.get("type") == "Recreate" and rolling is not None:
        yield causes.forbidden(f"{field}.rollingUpdate", "may not be specified when strategy `type` is 'Recreate'")
    if strategy.get("type") != "RollingUpdate" or not rolling:
        return
    for name in ("maxUnavailable", "maxSurge"):
        yield from _check_share(rolling.get(name), f"{field}.rollingUpdate.{name}")
    if _is_zero(rolling.get("maxUnavailable")) and _is_zero(rolling.get("maxSurge")):
        why = "may not be 0 when `maxSurge` is 0"
        yield causes.invalid(f"{field}.rollingUpdate.maxUnavailable", rolling.get("maxUnavailable"), why)


def _check_share(value: Any, field: str) -> Causes:
    if isinstance(value, str) and not _PERCENT.match(value):
        why = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', "
        yield causes.invalid(field, value, f"{why}regex used for validation is '[0-9]+%')")
    elif isinstance(value, int) and value < 0:
        yield causes.invalid(field, value, _NOT_NEGATIVE)


def _is_zero(value: Any) -> bool:
    return value in {0, "0%"}
