"""The timeline: what happened to incidents, numbered in the order it was written; the event stream reads it too."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from toban.model.timeline import Lane, Note, TimelineEntry
from toban.store import rows, schema

_T = schema.timeline


def append(connection: sa.Connection, workspace: str, incident_id: str, note: Note) -> None:
    """Write a note down, unless one of the same `once` is there: steps may run twice, the story says it once."""
    once = f"{incident_id}:{note.once}" if note.once else None
    if once and connection.execute(sa.select(_T.c.seq).where(_T.c.once == once)).first():
        return
    connection.execute(
        sa.insert(_T).values(
            workspace=workspace,
            incident_id=incident_id,
            at=rows.time_text(note.at),
            lane=note.lane,
            kind=note.kind,
            text=note.text,
            actor=note.actor,
            facts=note.facts,
            once=once,
        )
    )


def after(
    connection: sa.Connection, workspace: str, seq: int, *, incident_id: str | None = None, limit: int = 500
) -> list[TimelineEntry]:
    """Entries newer than `seq`, in order, of one incident or of all."""
    query = sa.select(_T).where(_T.c.workspace == workspace, _T.c.seq > seq)
    if incident_id:
        query = query.where(_T.c.incident_id == incident_id)
    found = connection.execute(query.order_by(_T.c.seq).limit(limit))
    return [_entry(row) for row in found]


def _entry(row: Any) -> TimelineEntry:
    return TimelineEntry(
        seq=row.seq,
        workspace=row.workspace,
        incident_id=row.incident_id,
        at=datetime.fromisoformat(row.at),
        lane=Lane(row.lane),
        kind=row.kind,
        text=row.text,
        actor=row.actor,
        facts=row.facts,
    )


def last_seq(connection: sa.Connection) -> int:
    """The number of the newest entry, 0 when there is none."""
    return int(connection.execute(sa.select(sa.func.coalesce(sa.func.max(_T.c.seq), 0))).scalar_one())
