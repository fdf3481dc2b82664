"""Learn: what an ended incident taught, written down as a lesson, from the records alone."""

from datetime import datetime

import sqlalchemy as sa

from toban.model.casefile import CaseFile
from toban.model.change import ChangeState
from toban.model.incident import IncidentState
from toban.model.lesson import Lesson
from toban.model.timeline import Lane, Note
from toban.store import casefile, counters, evidence, timeline


def learn(connection: sa.Connection, workspace: str, incident_id: str, now: datetime) -> Lesson:
    """Write the incident's lesson, once, in the caller's transaction."""
    file = casefile.load(connection, workspace, incident_id)
    if file.lesson is not None:
        return file.lesson
    lesson = drawn(file, counters.take(connection, "LSN"), now)
    evidence.save_lesson(connection, lesson)
    note = Note(
        at=now,
        lane=Lane.ANALYSIS,
        kind="lesson.written",
        text=f"lesson: {lesson.statement}",
        facts={"lesson": lesson.id, "cause": lesson.cause, "worked": lesson.worked},
        once="lesson",
    )
    timeline.append(connection, workspace, incident_id, note)
    return lesson


def drawn(file: CaseFile, lesson_id: str, now: datetime) -> Lesson:
    """The lesson that a case file holds."""
    incident = file.incident
    best = file.diagnosis.best if file.diagnosis else None
    done = [one.change for one in file.changes if one.change.dispatched_at is not None]
    change = done[-1] if done else None
    worked = None if change is None else change.state is ChangeState.SUCCEEDED
    cause = best.cause if best else "unknown"
    words = [best.statement if best else "No cause was found."]
    if change is not None:
        words.append(f"{change.title}: {'it worked' if worked else f'it ended as {change.state}'}.")
    elif incident.state is IncidentState.RESOLVED:
        words.append("The signal ended without a change by Toban.")
    diagnosed = file.diagnosis.made_at if file.diagnosis else None
    return Lesson(
        id=lesson_id,
        workspace=incident.workspace,
        incident_id=incident.id,
        service=incident.service,
        cause=cause,
        statement=" ".join(words),
        remedy=change.runbook if change else "",
        change_id=change.id if change else "",
        worked=worked,
        seconds_to_diagnosis=(diagnosed - incident.opened_at).total_seconds() if diagnosed else None,
        seconds_to_recovery=(incident.resolved_at - incident.opened_at).total_seconds()
        if incident.resolved_at
        else None,
        alert_names=tuple(sorted({alert.name for alert in file.alerts})),
        written_at=now,
    )
