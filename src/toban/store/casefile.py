"""Reads everything that is known of one incident in one transaction."""

import sqlalchemy as sa

from toban.model.casefile import CaseFile, ChangeFile
from toban.model.change import Change
from toban.store import alerts, changes, evidence, incidents, services, timeline


def change_file(connection: sa.Connection, change: Change) -> ChangeFile:
    """A change with its votes and verifications."""
    return ChangeFile(
        change=change,
        approvals=tuple(changes.votes(connection, change.id)),
        verification=changes.verification(connection, change.id, phase="run"),
        rollback_verification=changes.verification(connection, change.id, phase="rollback"),
    )


def load(connection: sa.Connection, workspace: str, incident_id: str) -> CaseFile:
    """The case file. Raises NotFoundError."""
    incident = incidents.get(connection, workspace, incident_id)
    return CaseFile(
        incident=incident,
        alerts=tuple(alerts.of_incident(connection, incident_id)),
        findings=tuple(evidence.findings(connection, incident_id)),
        diagnosis=evidence.diagnosis(connection, incident_id),
        changes=tuple(change_file(connection, change) for change in changes.of_incident(connection, incident_id)),
        timeline=tuple(timeline.after(connection, workspace, 0, incident_id=incident_id, limit=2000)),
        services=tuple(services.all_of(connection, workspace).values()),
        lesson=evidence.lesson(connection, incident_id),
    )
