"""HorizontalPodAutoscalers in the old version v1: one processor share instead of a list of metrics.

Stored objects have the form of v2; `presentation` asks here for the other one. What v1 has no field for is kept in
annotations, as the real server does.
"""

import json
from typing import Any

from toban_sandbox.kube import objects

Json = dict[str, Any]

KIND = "HorizontalPodAutoscaler"
_METRICS = "autoscaling.alpha.kubernetes.io/metrics"
_CONDITIONS = "autoscaling.alpha.kubernetes.io/conditions"
_CURRENT = "autoscaling.alpha.kubernetes.io/current-metrics"
_BEHAVIOR = "autoscaling.alpha.kubernetes.io/behavior"
_KEPT = (_METRICS, _CONDITIONS, _CURRENT, _BEHAVIOR)


def as_v1(obj: Json) -> Json:
    """A stored autoscaler as v1 shows it."""
    spec, status = dict(obj.get("spec") or {}), dict(obj.get("status") or {})
    notes = dict(objects.annotations(obj))
    share, others = _split(spec.pop("metrics", None) or [])
    if share is not None:
        spec["targetCPUUtilizationPercentage"] = share["resource"]["target"]["averageUtilization"]
    if others:
        notes[_METRICS] = json.dumps(others, separators=(",", ":"))
    for source, field, note in ((spec, "behavior", _BEHAVIOR), (status, "conditions", _CONDITIONS)):
        if source.get(field):
            notes[note] = json.dumps(source.pop(field), separators=(",", ":"))
    current = status.pop("currentMetrics", None) or []
    for one in current:
        found = (one.get("resource") or {}).get("current") or {}
        if (one.get("resource") or {}).get("name") == "cpu" and found.get("averageUtilization") is not None:
            status["currentCPUUtilizationPercentage"] = found["averageUtilization"]
    if current:
        notes[_CURRENT] = json.dumps(current, separators=(",", ":"))
    meta = dict(obj["metadata"]) | ({"annotations": notes} if notes else {})
    return obj | {"apiVersion": "autoscaling/v1", "metadata": meta, "spec": spec, "status": status}


def from_v1(obj: Json) -> Json:
    """A client's autoscaler of v1 as it is stored."""
    spec, meta = dict(obj.get("spec") or {}), dict(obj["metadata"])
    notes = dict(meta.get("annotations") or {})
    metrics = _loaded(notes.get(_METRICS)) or []
    share = spec.pop("targetCPUUtilizationPercentage", None)
    if share is not None:
        target = {"type": "Utilization", "averageUtilization": share}
        metrics = [*metrics, {"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    if metrics:
        spec["metrics"] = metrics
    behavior = _loaded(notes.get(_BEHAVIOR))
    if behavior:
        spec["behavior"] = behavior
    if "annotations" in meta:
        meta["annotations"] = {key: value for key, value in notes.items() if key not in _KEPT}
        if not meta["annotations"]:
            del meta["annotations"]
    stored = {key: value for key, value in obj.items() if key != "status"}
    return stored | {"apiVersion": "autoscaling/v2", "metadata": meta, "spec": spec}


def _split(metrics: list[Json]) -> tuple[Json | None, list[Json]]:
    """The one metric that v1 has a field for, and the others."""
    share = None
    others = []
    for one in metrics:
        resource = one.get("resource") or {}
        plain = resource.get("name") == "cpu" and (resource.get("target") or {}).get("averageUtilization") is not None
        if plain and share is None:
            share = one
        else:
            others.append(one)
    return share, others


def _loaded(text: str | None) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None
