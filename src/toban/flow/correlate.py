"""Correlate: put each alert into an incident, and say why. The decision itself is pure (`analysis/grouping.py`)."""

from datetime import datetime

import sqlalchemy as sa

from toban.analysis import grouping, topology
from toban.flow.settings import CorrelateSettings
from toban.kit.clock import Clock
from toban.model.alert import Alert, AlertEvent, AlertState
from toban.model.environment import Environment
from toban.model.incident import OPEN_STATES, Incident, IncidentState
from toban.model.service import Service
from toban.model.timeline import Lane, Note
from toban.store import alerts, counters, incidents, services, timeline


class Correlator:
    """Called inside the transaction that stores an alert; one decision for each alert."""

    def __init__(self, settings: CorrelateSettings, clock: Clock, environments: dict[str, Environment]) -> None:
        self._settings = settings
        self._clock = clock
        self._environments = environments

    def __call__(self, connection: sa.Connection, alert: Alert, event: AlertEvent) -> None:
        """Join the alert to an incident or open one; refresh the incident's counts."""
        now = self._clock.now()
        if alert.incident_id is not None:
            self._refresh(connection, alert, now, joined=False)
            return
        known = services.all_of(connection, alert.workspace)
        service = topology.service_of(alert.labels, list(known.values()))
        alert = alert.model_copy(update={"service": service})
        if event.state is AlertState.RESOLVED:
            # its firing was never seen: kept, so that a late firing of the same start finds it, but nothing to do
            alerts.save(connection, alert)
            return
        decision = self._decide(connection, alert, known)
        if decision.incident_id is None:
            alert = self._open(connection, alert, known, now)
            if alert.state is AlertState.RESOLVED:  # the firing came after its own resolve
                self._refresh(connection, alert, now, joined=False)
        else:
            joined = {"incident_id": decision.incident_id, "joined_because": decision.reason}
            alert = alert.model_copy(update=joined)
            alerts.save(connection, alert)
            self._refresh(connection, alert, now, joined=True)

    def _decide(self, connection: sa.Connection, alert: Alert, known: dict[str, Service]) -> grouping.Decision:
        candidates = []
        for incident in incidents.open_ones(connection, alert.workspace):
            members = alerts.of_incident(connection, incident.id)
            candidates.append(
                grouping.OpenIncident(
                    incident=incident,
                    fingerprints=frozenset(member.fingerprint for member in members),
                    services=frozenset(member.service for member in members if member.service),
                )
            )
        facts = grouping.AlertFacts(
            fingerprint=alert.fingerprint,
            service=alert.service,
            name=alert.name,
            at=alert.started_at,
            labels=alert.labels,
            environment=self._environment(alert, known.get(alert.service or "")),
        )
        return grouping.decide(facts, candidates, list(known.values()), window_s=self._settings.window_s)

    def _open(self, connection: sa.Connection, alert: Alert, known: dict[str, Service], now: datetime) -> Alert:
        service = known.get(alert.service or "")
        title = alert.annotations.get("summary") or alert.name
        incident = Incident(
            id=counters.take(connection, "INC"),
            workspace=alert.workspace,
            title=title[:200],
            state=IncidentState.NEW,
            severity=alert.severity,
            environment=self._environment(alert, service),
            service=alert.service,
            services=(alert.service,) if alert.service else (),
            started_at=alert.started_at,
            opened_at=now,
            last_alert_at=alert.started_at,
        )
        incidents.insert(connection, incident)
        alert = alert.model_copy(update={"incident_id": incident.id, "joined_because": "opened the incident"})
        alerts.save(connection, alert)
        self._note(connection, alert, now, kind="incident.opened", text=f"{alert.name} opened {incident.id}")
        return alert

    def _environment(self, alert: Alert, service: Service | None) -> Environment:
        namespace = alert.labels.get("namespace", "")
        if service is not None:
            return service.environment
        if namespace in self._environments:
            return self._environments[namespace]
        return Environment.of(alert.labels.get("environment") or alert.labels.get("env"))

    def _refresh(self, connection: sa.Connection, alert: Alert, now: datetime, *, joined: bool) -> None:
        incident = incidents.get(connection, alert.workspace, str(alert.incident_id))
        members = alerts.of_incident(connection, incident.id)
        firing = sum(member.state is AlertState.FIRING for member in members)
        worst = max((member.severity for member in members), key=lambda severity: severity.rank)
        touched = {member.service for member in members if member.service}
        changes: dict[str, object] = {
            "alert_count": len(members),
            "firing_count": firing,
            "severity": worst,
            "services": tuple(sorted(touched)),
            "started_at": min(member.started_at for member in members),
            "last_alert_at": max(incident.last_alert_at, alert.started_at),
        }
        incidents.update(connection, incident, **changes)
        if joined:
            text = f"{alert.name} joined: {alert.joined_because}"
            self._note(connection, alert, now, kind="alert.joined", text=text)
        elif alert.state is AlertState.RESOLVED:
            self._note(connection, alert, now, kind="alert.resolved", text=f"{alert.name} resolved")
        if firing == 0 and incident.state in OPEN_STATES:
            text = "all alerts are resolved"
            self._note(connection, alert, now, kind="incident.quiet", text=text)

    def _note(self, connection: sa.Connection, alert: Alert, now: datetime, *, kind: str, text: str) -> None:
        facts = {
            "alert": alert.id,
            "name": alert.name,
            "service": alert.service,
            "severity": alert.severity,
            "because": alert.joined_because,
        }
        note = Note(at=now, lane=Lane.ALERTS, kind=kind, text=text, actor=alert.source, facts=facts)
        timeline.append(connection, alert.workspace, str(alert.incident_id), note)
