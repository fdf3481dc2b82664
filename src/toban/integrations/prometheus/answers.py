"""Prometheus's result forms turned into Toban's: series of points, rules with their alerts. Called by the actions."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from toban.errors import UpstreamError, UpstreamRefusedError

Json = dict[str, Any]


def series(data: Any, warnings: list[str]) -> Json:
    """`{"series": [{"labels": {}, "points": [[unix seconds, number], …]}], "warnings": […]}`, without NaN and Inf.

    A scalar becomes one series without labels; native histograms are left out, and a warning says so.
    """
    try:
        kind, result = data["resultType"], data["result"]
        if kind == "scalar":
            return {"series": [{"labels": {}, "points": _points([result])}], "warnings": warnings}
        if kind not in {"vector", "matrix"}:
            raise UpstreamRefusedError(f"the expression gives a {kind}; numbers are expected")
        histograms = sum("histogram" in one or "histograms" in one for one in result)
        found = [
            {"labels": dict(one["metric"]), "points": _points(one.get("values") or [one["value"]])}
            for one in result
            if "values" in one or "value" in one
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise UpstreamError("Prometheus's answer to a query has not the form that it should have") from error
    if histograms:
        warnings = [*warnings, f"{histograms} series of native histograms are left out"]
    return {"series": found, "warnings": warnings}


def rules(data: Any, alert_name: str) -> Json:
    """`{"rules": [{name, query, duration_s, labels, state, health, last_error, last_evaluation, alerts}]}`.

    Only alerting rules called `alert_name`; `state` is inactive, pending or firing; an alert's `value` is a number
    or None.
    """
    try:
        found = [rule for group in data["groups"] for rule in group["rules"]]
        named = [rule for rule in found if rule.get("type") == "alerting" and rule["name"] == alert_name]
        return {"rules": [_rule(rule) for rule in named]}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UpstreamError("Prometheus's list of rules has not the form that it should have") from error


def _rule(rule: Mapping[str, Any]) -> Json:
    return {
        "name": rule["name"],
        "query": rule["query"],
        "duration_s": float(rule.get("duration", 0)),
        "labels": dict(rule.get("labels") or {}),
        "state": rule.get("state", ""),
        "health": rule.get("health", "unknown"),
        "last_error": rule.get("lastError", ""),
        "last_evaluation": rule.get("lastEvaluation", ""),
        "alerts": [_alert(alert) for alert in rule.get("alerts") or ()],
    }


def _alert(alert: Mapping[str, Any]) -> Json:
    value = float(alert["value"]) if alert.get("value") not in {None, ""} else math.nan
    return {
        "labels": dict(alert["labels"]),
        "state": alert["state"],
        "active_at": alert.get("activeAt") or "",
        "value": value if math.isfinite(value) else None,
    }


def _points(samples: Iterable[Any]) -> list[list[float]]:
    pairs = [(float(time), float(value)) for time, value in samples]
    return [[time, value] for time, value in pairs if math.isfinite(value)]
