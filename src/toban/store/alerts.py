"""Alerts: one row for each firing of a fingerprint, and the events that are known already."""

from datetime import datetime

import sqlalchemy as sa

from toban.kit import canonical
from toban.model.alert import Alert, AlertEvent
from toban.store import rows, schema

_A = schema.alert
_E = schema.alert_event


def identity(workspace: str, event: AlertEvent) -> str:
    """What makes a delivery the same delivery: workspace, source, fingerprint, start, state and end."""
    end = rows.time_text(event.ended_at) if event.ended_at else ""
    return canonical.digest(
        [workspace, event.source, event.fingerprint, rows.time_text(event.started_at), event.state, end]
    )


def count_repeat(connection: sa.Connection, event_identity: str) -> str | None:
    """If this event is known, count the delivery and give its alert's id."""
    return connection.execute(
        sa.update(_E)
        .where(_E.c.identity == event_identity)
        .values(deliveries=_E.c.deliveries + 1)
        .returning(_E.c.alert_id)
    ).scalar_one_or_none()


def remember(connection: sa.Connection, event_identity: str, alert: Alert, now: datetime) -> None:
    """Note that this event was taken in."""
    connection.execute(
        sa.insert(_E).values(
            identity=event_identity, alert_id=alert.id, state=alert.state, received_at=rows.time_text(now)
        )
    )


def find(connection: sa.Connection, workspace: str, event: AlertEvent) -> Alert | None:
    """The alert of this firing, if it is known."""
    row = connection.execute(
        sa.select(_A.c.record).where(
            _A.c.workspace == workspace,
            _A.c.source == event.source,
            _A.c.fingerprint == event.fingerprint,
            _A.c.started_at == rows.time_text(event.started_at),
        )
    ).scalar_one_or_none()
    return rows.record_of(Alert, row) if row is not None else None


def save(connection: sa.Connection, alert: Alert) -> None:
    """Insert or replace an alert."""
    values = {
        "workspace": alert.workspace,
        "source": alert.source,
        "fingerprint": alert.fingerprint,
        "started_at": rows.time_text(alert.started_at),
        "state": alert.state,
        "service": alert.service,
        "incident_id": alert.incident_id,
        "received_at": rows.time_text(alert.received_at),
        "record": rows.json_of(alert),
    }
    changed = connection.execute(sa.update(_A).where(_A.c.id == alert.id).values(**values))
    if changed.rowcount == 0:
        connection.execute(sa.insert(_A).values(id=alert.id, **values))


def of_incident(connection: sa.Connection, incident_id: str) -> list[Alert]:
    """All alerts of an incident, oldest first."""
    found = connection.execute(
        sa.select(_A.c.record).where(_A.c.incident_id == incident_id).order_by(_A.c.started_at, _A.c.id)
    ).scalars()
    return [rows.record_of(Alert, record) for record in found]


def received(connection: sa.Connection, workspace: str) -> int:
    """How many deliveries of alerts were taken in, repeats included."""
    total = connection.execute(
        sa.select(sa.func.coalesce(sa.func.sum(_E.c.deliveries), 0))
        .join(_A, _A.c.id == _E.c.alert_id)
        .where(_A.c.workspace == workspace)
    ).scalar_one()
    return int(total)


def newest(connection: sa.Connection, workspace: str, limit: int = 100) -> list[Alert]:
    """The alerts that came last."""
    found = connection.execute(
        sa.select(_A.c.record).where(_A.c.workspace == workspace).order_by(_A.c.received_at.desc()).limit(limit)
    ).scalars()
    return [rows.record_of(Alert, record) for record in found]
