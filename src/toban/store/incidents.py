"""Incidents: insert, read, and compare-and-set."""

from typing import Any

import sqlalchemy as sa

from toban.errors import ConflictError, InvalidTransitionError, NotFoundError
from toban.model.incident import INCIDENT_STATES, OPEN_STATES, Incident, IncidentState
from toban.store import rows, schema

_I = schema.incident


def _values(incident: Incident) -> dict[str, Any]:
    return {
        "workspace": incident.workspace,
        "state": incident.state,
        "severity": incident.severity,
        "service": incident.service,
        "opened_at": rows.time_text(incident.opened_at),
        "last_alert_at": rows.time_text(incident.last_alert_at),
        "version": incident.version,
        "record": rows.json_of(incident),
    }


def insert(connection: sa.Connection, incident: Incident) -> None:
    """Store a new incident."""
    connection.execute(sa.insert(_I).values(id=incident.id, **_values(incident)))


def get(connection: sa.Connection, workspace: str, incident_id: str) -> Incident:
    """The incident. Raises NotFoundError, for another workspace's ids too."""
    record = connection.execute(
        sa.select(_I.c.record).where(_I.c.id == incident_id, _I.c.workspace == workspace)
    ).scalar_one_or_none()
    if record is None:
        raise NotFoundError(f"there is no incident {incident_id}")
    return rows.record_of(Incident, record)


def update(connection: sa.Connection, /, incident: Incident, **changes: Any) -> Incident:
    """Store `changes` if nobody else did since `incident` was read.

    Raises ConflictError when it moved on and InvalidTransitionError when its state table does not allow the new state.
    """
    state = changes.get("state", incident.state)
    if state is not incident.state and not INCIDENT_STATES.allows(incident.state, state):
        raise InvalidTransitionError(f"{incident.id} is {incident.state} and cannot become {state}")
    after = incident.model_copy(update={**changes, "version": incident.version + 1})
    done = connection.execute(
        sa.update(_I).where(_I.c.id == incident.id, _I.c.version == incident.version).values(**_values(after))
    )
    if done.rowcount != 1:
        raise ConflictError(f"{incident.id} changed in the meantime")
    return after


def move(
    connection: sa.Connection, /, workspace: str, incident_id: str, state: IncidentState, **changes: Any
) -> Incident:
    """Read the incident and bring it to `state`; nothing happens if it is there already."""
    incident = get(connection, workspace, incident_id)
    if incident.state is state and not changes:
        return incident
    return update(connection, incident, state=state, **changes)


def open_ones(connection: sa.Connection, workspace: str) -> list[Incident]:
    """All open incidents, the newest alert first."""
    found = connection.execute(
        sa.select(_I.c.record)
        .where(_I.c.workspace == workspace, _I.c.state.in_(sorted(OPEN_STATES)))
        .order_by(_I.c.last_alert_at.desc(), _I.c.id.desc())
    ).scalars()
    return [rows.record_of(Incident, record) for record in found]


def page(
    connection: sa.Connection, workspace: str, *, open_only: bool, limit: int, before: str | None
) -> list[Incident]:
    """Incidents, newest first, older than the id `before`."""
    query = sa.select(_I.c.record).where(_I.c.workspace == workspace)
    if open_only:
        query = query.where(_I.c.state.in_(sorted(OPEN_STATES)))
    if before:
        opened = sa.select(_I.c.opened_at).where(_I.c.id == before, _I.c.workspace == workspace).scalar_subquery()
        query = query.where(_I.c.opened_at < opened)
    found = connection.execute(query.order_by(_I.c.opened_at.desc(), _I.c.id.desc()).limit(limit)).scalars()
    return [rows.record_of(Incident, record) for record in found]


def in_states(connection: sa.Connection, states: frozenset[IncidentState]) -> list[Incident]:
    """All incidents of all workspaces in one of `states`."""
    found = connection.execute(sa.select(_I.c.record).where(_I.c.state.in_(sorted(states)))).scalars()
    return [rows.record_of(Incident, record) for record in found]


def totals(connection: sa.Connection, workspace: str) -> tuple[int, int]:
    """How many incidents are open, and how many there are."""
    is_open = sa.case((_I.c.state.in_(sorted(OPEN_STATES)), 1), else_=0)
    row = connection.execute(
        sa.select(sa.func.coalesce(sa.func.sum(is_open), 0), sa.func.count()).where(_I.c.workspace == workspace)
    ).one()
    return int(row[0]), int(row[1])
