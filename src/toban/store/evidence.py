"""Findings, diagnoses and lessons of incidents."""

from collections.abc import Sequence

import sqlalchemy as sa

from toban.model.diagnosis import Diagnosis
from toban.model.finding import Finding
from toban.model.lesson import Lesson
from toban.store import rows, schema

_F = schema.finding
_D = schema.diagnosis
_L = schema.lesson


def save_findings(connection: sa.Connection, incident_id: str, findings: Sequence[Finding]) -> None:
    """Store findings; one that says the same as a stored one replaces it."""
    for finding in {one.id: one for one in findings}.values():
        changed = connection.execute(
            sa.update(_F)
            .where(_F.c.incident_id == incident_id, _F.c.id == finding.id)
            .values(record=rows.json_of(finding))
        )
        if changed.rowcount == 0:
            connection.execute(
                sa.insert(_F).values(incident_id=incident_id, id=finding.id, record=rows.json_of(finding))
            )


def findings(connection: sa.Connection, incident_id: str) -> list[Finding]:
    """All findings of an incident, by id."""
    found = connection.execute(sa.select(_F.c.record).where(_F.c.incident_id == incident_id).order_by(_F.c.id))
    return [rows.record_of(Finding, record) for record in found.scalars()]


def save_diagnosis(connection: sa.Connection, diagnosis: Diagnosis) -> None:
    """Add a diagnosis; older ones of the incident stay."""
    connection.execute(
        sa.insert(_D).values(
            incident_id=diagnosis.incident_id,
            made_at=rows.time_text(diagnosis.made_at),
            record=rows.json_of(diagnosis),
        )
    )


def diagnosis(connection: sa.Connection, incident_id: str) -> Diagnosis | None:
    """The newest diagnosis of an incident."""
    record = connection.execute(
        sa.select(_D.c.record).where(_D.c.incident_id == incident_id).order_by(_D.c.seq.desc()).limit(1)
    ).scalar_one_or_none()
    return rows.record_of(Diagnosis, record) if record is not None else None


def save_lesson(connection: sa.Connection, lesson: Lesson) -> None:
    """Store an incident's lesson; a later one replaces it."""
    values = {"cause": lesson.cause, "service": lesson.service, "record": rows.json_of(lesson)}
    changed = connection.execute(sa.update(_L).where(_L.c.incident_id == lesson.incident_id).values(**values))
    if changed.rowcount == 0:
        connection.execute(
            sa.insert(_L).values(
                id=lesson.id,
                workspace=lesson.workspace,
                incident_id=lesson.incident_id,
                written_at=rows.time_text(lesson.written_at),
                **values,
            )
        )


def lesson(connection: sa.Connection, incident_id: str) -> Lesson | None:
    """The lesson of an incident."""
    record = connection.execute(sa.select(_L.c.record).where(_L.c.incident_id == incident_id)).scalar_one_or_none()
    return rows.record_of(Lesson, record) if record is not None else None


def similar_lessons(connection: sa.Connection, workspace: str, cause: str, service: str | None) -> list[Lesson]:
    """Earlier lessons of the same cause, those of the same service first, newest first."""
    found = connection.execute(
        sa.select(_L.c.record)
        .where(_L.c.workspace == workspace, _L.c.cause == cause)
        .order_by(sa.case((_L.c.service == service, 0), else_=1), _L.c.written_at.desc())
        .limit(5)
    ).scalars()
    return [rows.record_of(Lesson, record) for record in found]
