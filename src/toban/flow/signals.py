"""Measures the signal that started an incident: by its rule in Prometheus, else by the alert's own state.

Used by execute (is it still there?) and verify (is it gone?). Absence counts only with proof that somebody looked: a
rule that is not evaluated, or not found, is no data.
"""

from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime
from typing import Any

from toban.errors import TobanError
from toban.kit import text
from toban.model.alert import Alert, AlertState
from toban.model.change import Signal
from toban.model.verification import Check, CheckResult

RULE_STATE = "prometheus.rule_state"
_VOLATILE = frozenset({"pod", "instance", "uid", "id", "node", "pod_ip", "container_id", "endpoint", "severity"})

Read = Callable[[str, Mapping[str, Any]], Coroutine[Any, Any, Any]]


def same_trouble(wanted: Mapping[str, str], seen: Mapping[str, str]) -> bool:
    """Whether two label sets speak of the same trouble: equal where both have a label, apart from volatile ones."""
    shared = (set(wanted) & set(seen)) - _VOLATILE
    return all(wanted[name] == seen[name] for name in shared)


async def sample(read: Read | None, signal: Signal, alerts: tuple[Alert, ...], since: datetime) -> Check:
    """One look: PASSED when the signal is gone, FAILED when it is there, INCONCLUSIVE when nobody can tell.

    `since` is the time after which the rule must have been evaluated for its silence to count.
    """
    if read is not None:
        try:
            answer = await read(RULE_STATE, {"alert_name": signal.alert_name})
        except TobanError as error:
            return _check(signal, CheckResult.INCONCLUSIVE, detail=f"Prometheus cannot be asked: {error.message}")
        if answer["rules"]:
            return _by_rule(signal, answer["rules"], since)
    return _by_alert(signal, alerts)


def _by_rule(signal: Signal, rules: list[dict[str, Any]], since: datetime) -> Check:
    active = [
        alert
        for rule in rules
        for alert in rule["alerts"]
        if alert["state"] in {"pending", "firing"} and same_trouble(signal.labels, alert["labels"])
    ]
    if active:
        seen = {"state": active[0]["state"], "value": active[0]["value"], "labels": active[0]["labels"]}
        return _check(
            signal, CheckResult.FAILED, detail=f"{len(active)} still active", seen=seen, query=rules[0]["query"]
        )
    unhealthy = [rule for rule in rules if rule["health"] not in {"ok", "unknown"}]
    if unhealthy:
        return _check(signal, CheckResult.INCONCLUSIVE, detail=f"the rule is not healthy: {unhealthy[0]['health']}")
    evaluated = [datetime.fromisoformat(rule["last_evaluation"]) for rule in rules if rule["last_evaluation"]]
    if not evaluated or max(evaluated) <= since:
        return _check(signal, CheckResult.INCONCLUSIVE, detail="the rule was not evaluated since")
    seen = {"state": "inactive", "evaluated": max(evaluated).isoformat()}
    return _check(signal, CheckResult.PASSED, detail="the rule has no active alert", seen=seen, query=rules[0]["query"])


def _by_alert(signal: Signal, alerts: tuple[Alert, ...]) -> Check:
    own = [alert for alert in alerts if alert.name == signal.alert_name and same_trouble(signal.labels, alert.labels)]
    if not own:
        return _check(signal, CheckResult.INCONCLUSIVE, detail="no alert of this name is known")
    if any(alert.state is AlertState.FIRING for alert in own):
        return _check(signal, CheckResult.FAILED, detail="the alert has not been resolved by its sender")
    return _check(signal, CheckResult.PASSED, detail="the sender resolved the alert")


def _check(signal: Signal, result: CheckResult, *, detail: str, seen: Any = None, query: str = "") -> Check:
    place = ", ".join(f"{key}={value}" for key, value in sorted(signal.labels.items()) if key not in _VOLATILE)
    return Check(
        name=f"{signal.alert_name} ({text.shorten(place, 120)})",
        kind="signal",
        query=query,
        result=result,
        last_seen=seen,
        detail=detail,
    )
