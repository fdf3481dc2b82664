"""What alerts and their rules say by themselves. Called by `flow.investigate`."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from toban.analysis.kubernetes.changes import duration
from toban.model import finding
from toban.model.alert import Alert, AlertState
from toban.model.finding import Finding, FindingKind
from toban.model.service import ObjectRef


def rule(name: str, answer: Mapping[str, Any], observed_at: datetime) -> list[Finding]:
    """`alert.rule` for each rule of that name in the answer of `prometheus.rule_state`."""
    return [_rule(name, one, observed_at) for one in answer.get("rules") or []]


def _rule(name: str, one: Mapping[str, Any], observed_at: datetime) -> Finding:
    states = [str(alert.get("state")) for alert in one.get("alerts") or []]
    firing = states.count("firing")
    state = "firing" if firing else "pending" if states else "inactive"
    hold_s = float(one.get("duration_s") or 0.0)
    said = f" with {firing} {'alert' if firing == 1 else 'alerts'}" if firing else ""
    return finding.make(
        kind=FindingKind.ALERT,
        code="alert.rule",
        subject=ObjectRef(kind="AlertRule", name=name),
        statement=f"Rule {name} is {state}{said}; it waits {duration(hold_s)} before it fires.",
        facts={
            "alert": name,
            "state": state,
            "rule_query": str(one.get("query", "")),
            "hold_s": hold_s,
            "active": firing,
        },
        value=state,
        quote=str(one.get("query", ""))[:400],
        source="prometheus",
        query=f"prometheus.rule_state {json.dumps({'alert_name': name})}",
        observed_at=observed_at,
    )


def ended(alerts: Sequence[Alert], observed_at: datetime) -> list[Finding]:
    """`alert.ended` for each alert that is resolved."""
    return [_ended(alert, observed_at) for alert in alerts if alert.state is AlertState.RESOLVED]


def _ended(alert: Alert, observed_at: datetime) -> Finding:
    seconds = round((alert.ended_at - alert.started_at).total_seconds()) if alert.ended_at else None
    lasted = f" after {duration(seconds)}" if seconds is not None else ""
    return finding.make(
        kind=FindingKind.ALERT,
        code="alert.ended",
        subject=ObjectRef(kind="Alert", namespace=alert.labels.get("namespace", ""), name=alert.name),
        service=alert.service,
        statement=f"Alert {alert.name} ended{lasted}.",
        facts={"alert": alert.name, "seconds": seconds},
        value="resolved",
        source=alert.source,
        query=f"alert {alert.id}",
        happened_at=alert.ended_at,
        observed_at=observed_at,
    )
