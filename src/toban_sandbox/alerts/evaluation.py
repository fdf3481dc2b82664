"""Evaluates alert rules as Prometheus does: pending, firing, resolved; ALERTS series and the shapes of its API.

Called once per tick by the world. It sends nothing; `notifications` decides what is told to whom.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus

from toban_sandbox.alerts.rules import Group, Rule
from toban_sandbox.promql import engine
from toban_sandbox.promql import labels as labelling
from toban_sandbox.promql.errors import ExecutionError, PromQLError
from toban_sandbox.promql.labels import NAME, Labels
from toban_sandbox.promql.numbers import show_number

RESOLVED_KEPT_S = 15 * 60
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Alert:
    """One alert of one rule; `state` is pending, firing or inactive (resolved). Times are Unix seconds."""

    rule: Rule = field(repr=False)
    labels: Labels
    annotations: dict[str, str] = field(repr=False)
    value: float
    state: str
    active_at: float
    fired_at: float | None = None
    resolved_at: float | None = None


@dataclass
class _RuleState:
    rule: Rule
    alerts: dict[Labels, Alert] = field(default_factory=dict)
    evaluated_at: float = 0.0
    last_error: str = ""


class RuleEvaluator:
    """The state of all rules."""

    def __init__(self, groups: tuple[Group, ...]) -> None:
        self._groups = [(group, [_RuleState(rule) for rule in group.rules]) for group in groups]
        self._due: dict[str, float] = {}

    def evaluate(self, source: engine.Source, now: float) -> None:
        """Evaluates the groups whose interval has passed; a rule that fails keeps its alerts and says why."""
        for group, states in self._groups:
            if now < self._due.get(group.name, 0.0):
                continue
            self._due[group.name] = now + group.interval_s * 0.999
            for state in states:
                self._evaluate_rule(state, source, now)

    def _evaluate_rule(self, state: _RuleState, source: engine.Source, now: float) -> None:
        state.evaluated_at = now
        try:
            value = engine.instant(source, state.rule.expr, round(now * 1000))
            found = _found(state.rule, value)
        except PromQLError as error:
            if state.last_error != str(error):
                _log.warning("rule %s failed: %s", state.rule.name, error)
            state.last_error = str(error)
            return
        state.last_error = ""
        for labels, sample in found.items():
            state.alerts[labels] = _seen(state.rule, state.alerts.get(labels), labels=labels, sample=sample, now=now)
        for labels, alert in list(state.alerts.items()):
            if labels not in found:
                _gone(state.alerts, alert, now)

    def alerts(self) -> list[Alert]:
        """Every alert that is pending, firing or resolved a short time ago."""
        return [alert for _, states in self._groups for state in states for alert in state.alerts.values()]

    def firing(self) -> list[Alert]:
        return [alert for alert in self.alerts() if alert.state == "firing"]

    def resolve_all(self, now: float) -> list[Alert]:
        """Ends every alert, as when the world it belongs to ends; returns those that had fired."""
        for _, states in self._groups:
            for state in states:
                for alert in list(state.alerts.values()):
                    _gone(state.alerts, alert, now)
        return self.alerts()

    def series(self) -> list[tuple[Labels, float]]:
        """The ALERTS and ALERTS_FOR_STATE samples of this moment."""
        samples: list[tuple[Labels, float]] = []
        for alert in self.alerts():
            if alert.state == "inactive":
                continue
            named = [(NAME, "ALERTS"), ("alertstate", alert.state)]
            samples.append((labelling.replace(alert.labels, named), 1.0))
            samples.append((labelling.replace(alert.labels, [(NAME, "ALERTS_FOR_STATE")]), float(int(alert.active_at))))
        return samples

    def api_alerts(self) -> list[dict[str, Any]]:
        """What `/api/v1/alerts` lists."""
        return [_api_alert(alert) for alert in self.alerts() if alert.state != "inactive"]

    def api_groups(self) -> list[dict[str, Any]]:
        """What `/api/v1/rules` lists."""
        return [
            {
                "name": group.name,
                "file": "rules.yaml",
                "interval": group.interval_s,
                "limit": 0,
                "evaluationTime": 0,
                "lastEvaluation": timestamp(max((state.evaluated_at for state in states), default=0.0)),
                "rules": [_api_rule(state) for state in states],
            }
            for group, states in self._groups
        ]


def _found(rule: Rule, value: engine.Value) -> dict[Labels, tuple[float, dict[str, str]]]:
    """Alert labels -> (value, the sample's own labels)."""
    vector = [(labelling.EMPTY, value)] if isinstance(value, float) else value if isinstance(value, list) else []
    found: dict[Labels, tuple[float, dict[str, str]]] = {}
    for labels, number in vector:
        own = dict(labelling.drop_name(labels))
        extra = rule.rendered("labels", labels=own, value=number)
        key = labelling.canonical({**own, **extra, "alertname": rule.name})
        if key in found:
            raise ExecutionError("vector contains metrics with the same labelset after applying alert labels")
        found[key] = (number, own)
    return found


def _seen(
    rule: Rule, before: Alert | None, *, labels: Labels, sample: tuple[float, dict[str, str]], now: float
) -> Alert:
    value, own = sample
    annotations = rule.rendered("annotations", labels=own, value=value)
    if before is None or before.state == "inactive":
        alert = Alert(rule, labels, annotations, value, "pending", now)
    else:
        alert = replace(before, annotations=annotations, value=value)
    if alert.state == "pending" and now - alert.active_at >= rule.for_s:
        return replace(alert, state="firing", fired_at=now)
    return alert


def _gone(alerts: dict[Labels, Alert], alert: Alert, now: float) -> None:
    long_ago = alert.resolved_at is not None and now - alert.resolved_at > RESOLVED_KEPT_S
    if alert.state == "pending" or long_ago:
        del alerts[alert.labels]
    elif alert.state == "firing":
        alerts[alert.labels] = replace(alert, state="inactive", resolved_at=now)


def timestamp(seconds: float) -> str:
    """RFC 3339 in UTC with milliseconds."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def generator_url(base: str, rule: Rule) -> str:
    """The link from an alert to its expression's graph."""
    return f"{base}/graph?g0.expr={quote_plus(rule.query)}&g0.tab=1"


def _api_alert(alert: Alert) -> dict[str, Any]:
    return {
        "labels": dict(alert.labels),
        "annotations": alert.annotations,
        "state": alert.state,
        "activeAt": timestamp(alert.active_at),
        "value": show_number(alert.value),
    }


def _api_rule(state: _RuleState) -> dict[str, Any]:
    rule = state.rule
    active = [alert for alert in state.alerts.values() if alert.state != "inactive"]
    states = {alert.state for alert in active}
    return {
        "state": "firing" if "firing" in states else "pending" if states else "inactive",
        "name": rule.name,
        "query": rule.query,
        "duration": rule.for_s,
        "keepFiringFor": 0,
        "labels": rule.labels,
        "annotations": rule.annotations,
        "alerts": [_api_alert(alert) for alert in active],
        "health": "err" if state.last_error else "ok" if state.evaluated_at else "unknown",
        **({"lastError": state.last_error} if state.last_error else {}),
        "evaluationTime": 0,
        "lastEvaluation": timestamp(state.evaluated_at),
        "type": "alerting",
    }
