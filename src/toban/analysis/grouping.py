"""Whether an alert belongs to an open incident or starts a new one, and why.

Called by `flow.correlate` with the open incidents of the alert's workspace. Pure and deterministic: the same facts give
the same answer in the same words. Rules beyond service, time and topology will stand beside these.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from toban.model.environment import Environment
from toban.model.incident import OPEN_STATES, Incident
from toban.model.service import Service


@dataclass(frozen=True)
class AlertFacts:
    """What grouping looks at in one alert. `environment` None means: do not compare it."""

    fingerprint: str
    service: str | None
    name: str
    at: datetime
    labels: dict[str, str] = field(default_factory=dict)
    environment: Environment | None = None


@dataclass(frozen=True)
class OpenIncident:
    """An incident with the fingerprints and the services of its own alerts."""

    incident: Incident
    fingerprints: frozenset[str]
    services: frozenset[str]


@dataclass(frozen=True)
class Decision:
    """The incident to join (None: open a new one), the reason in plain words, and the facts behind it.

    `facts["rule"]` is fingerprint, same_service, neighbour or new; pages translate by it.
    """

    incident_id: str | None
    reason: str
    facts: dict[str, Any]


def decide(
    alert: AlertFacts,
    incidents: Sequence[OpenIncident],
    services: Sequence[Service],
    *,
    window_s: float,
) -> Decision:
    """The strongest rule that fits wins, and of its incidents the newest.

    The rules: the same fingerprint at any time; the same service within `window_s`; a service that calls it or that it
    calls, if that one has an alert in the incident, within `window_s`. A service two calls away joins therefore only
    when the one between has an alert there.
    """
    newest_first = sorted(
        (one for one in incidents if one.incident.state in OPEN_STATES and _same_environment(alert, one)),
        key=lambda one: (one.incident.opened_at, one.incident.id),
        reverse=True,
    )
    for one in newest_first:
        if alert.fingerprint in one.fingerprints:
            return _join(one, "fingerprint", f"same alert as one of {one.incident.id}", {})
    near = [(one, seconds) for one in newest_first if (seconds := _apart(alert, one.incident)) <= window_s]
    for one, seconds in near:
        if alert.service and alert.service in one.services:
            facts = {"service": alert.service, "seconds": seconds}
            return _join(one, "same_service", f"same service {alert.service}, {seconds} s apart", facts)
    for one, seconds in near:
        link = _link(alert.service, one.services, services)
        if link:
            words, facts = link
            return _join(one, "neighbour", f"{words}, {seconds} s apart", {**facts, "seconds": seconds})
    return _new(alert, window_s)


def _same_environment(alert: AlertFacts, one: OpenIncident) -> bool:
    return alert.environment is None or alert.environment == one.incident.environment


def _apart(alert: AlertFacts, incident: Incident) -> int:
    """Seconds between the alert and the incident's span of alerts; 0 inside it."""
    early = (incident.started_at - alert.at).total_seconds()
    late = (alert.at - incident.last_alert_at).total_seconds()
    return round(max(early, late, 0.0))


def _link(
    service: str | None, others: frozenset[str], services: Sequence[Service]
) -> tuple[str, dict[str, Any]] | None:
    """A direct call between `service` and one of `others`, in words; a caller's call comes before a callee's."""
    if not service:
        return None
    known = {entry.name: entry for entry in services}
    for other in sorted(others):
        if other in known and service in known[other].calls:
            return f"{service} is called by {other}", {"service": service, "other": other, "relation": "called_by"}
    for other in sorted(others):
        if service in known and other in known[service].calls:
            return f"{service} calls {other}", {"service": service, "other": other, "relation": "calls"}
    return None


def _join(one: OpenIncident, rule: str, reason: str, facts: dict[str, Any]) -> Decision:
    return Decision(one.incident.id, reason, {"rule": rule, "incident": one.incident.id, **facts})


def _new(alert: AlertFacts, window_s: float) -> Decision:
    facts = {"rule": "new", "service": alert.service, "window_s": window_s}
    if not alert.service:
        return Decision(None, "its labels name no known service, so it stands alone", facts)
    reason = f"no open incident of {alert.service} or its neighbours within {round(window_s)} s"
    return Decision(None, reason, facts)
