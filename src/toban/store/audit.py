"""The audit chain's rows: append, read in order, search.

Each event's hash covers the hash before it and the event's canonical JSON. `governance/audit.py` masks what goes in and
proves the chain; only it calls `append`. Nothing updates or deletes a row.
"""

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from toban.kit import canonical
from toban.model.audit import AuditDraft, AuditEvent
from toban.model.record import JsonValue
from toban.store import counters, rows, schema

_A = schema.audit
_BATCH = 1_000
_SAFE_INTEGER = 2**53 - 1

GENESIS = "0" * 64
"""The `previous_hash` of the first event."""


@dataclass(frozen=True)
class AuditQuery:
    """What to look for in one workspace; None means any. `since` is included, `until` is not."""

    workspace: str
    subject: str | None = None
    actor: str | None = None
    operation: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def event_hash(event: dict[str, Any]) -> str:
    """SHA-256 over the bytes of `previous_hash` and the RFC 8785 JSON of `event` without its `hash`.

    Raises ValueError, or what the encoder raises, for anything that is not an event's JSON.
    """
    body = {key: value for key, value in event.items() if key != "hash"}
    return hashlib.sha256(bytes.fromhex(event["previous_hash"]) + canonical.encode(body)).hexdigest()


def append(connection: sa.Connection, draft: AuditDraft, now: datetime) -> AuditEvent:
    """Put an event at the end of the chain, in the caller's transaction."""
    # The counter first: on PostgreSQL, which has no write lock, its row lock makes appending transactions take turns.
    spoken = counters.take(connection, "AUD")
    last = connection.execute(sa.select(_A.c.seq, _A.c.hash).order_by(_A.c.seq.desc()).limit(1)).first()
    body = _portable(rows.json_of(draft))
    body |= {
        "seq": last.seq + 1 if last else 1,
        "id": spoken,
        "at": rows.time_text(now),
        "previous_hash": last.hash if last else GENESIS,
    }
    body["hash"] = event_hash(body)
    connection.execute(sa.insert(_A).values(record=body, **{name: body[name] for name in COLUMNS}))
    return rows.record_of(AuditEvent, body)


COLUMNS = ("seq", "id", "workspace", "at", "actor", "operation", "subject", "result", "previous_hash", "hash")
"""What is kept beside the record for searching; a row whose columns say something else is a forged one."""


def _portable(value: JsonValue) -> JsonValue:
    """`value` such that it reads back from JSON, in any database, as exactly what was hashed."""
    if isinstance(value, dict):
        return {_portable(str(key)): _portable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_portable(item) for item in value]
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8").replace("\x00", "\N{SYMBOL FOR NULL}")
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, int) and abs(value) > _SAFE_INTEGER:
        return str(value)
    return value


def in_order(connection: sa.Connection, *, after: int = 0, until: int | None = None) -> Iterator[dict[str, Any]]:
    """The events' JSON by `seq`, read in batches; `until` is included."""
    position = after
    while True:
        query = sa.select(_A).where(_A.c.seq > position).order_by(_A.c.seq).limit(_BATCH)
        if until is not None:
            query = query.where(_A.c.seq <= until)
        found = connection.execute(query).mappings().all()
        for row in found:
            yield checked(dict(row))
        if len(found) < _BATCH:
            return
        position = found[-1]["seq"]


def checked(row: dict[str, Any]) -> dict[str, Any]:
    """The event of a row; a column that differs from the record wins, so that a forged row fails its hash."""
    record: dict[str, Any] = dict(row["record"])
    return record | {name: row[name] for name in COLUMNS}


def head(connection: sa.Connection) -> tuple[int, str]:
    """Number and hash of the last event; (0, GENESIS) when there is none."""
    last = connection.execute(sa.select(_A.c.seq, _A.c.hash).order_by(_A.c.seq.desc()).limit(1)).first()
    return (last.seq, last.hash) if last else (0, GENESIS)


def hash_at(connection: sa.Connection, seq: int) -> str | None:
    """The stored hash of one event; None when there is no such event."""
    return GENESIS if seq == 0 else connection.execute(sa.select(_A.c.hash).where(_A.c.seq == seq)).scalar_one_or_none()


def search(
    connection: sa.Connection, query: AuditQuery, *, before: int | None = None, limit: int = 100
) -> tuple[list[AuditEvent], int | None]:
    """The newest events that fit, newest first, and the `before` of the next page (None: there is no more)."""
    chosen = sa.select(_A.c.record).where(_A.c.workspace == query.workspace)
    for column, wanted in ((_A.c.subject, query.subject), (_A.c.actor, query.actor), (_A.c.operation, query.operation)):
        if wanted is not None:
            chosen = chosen.where(column == wanted)
    if query.since is not None:
        chosen = chosen.where(_A.c.at >= rows.time_text(query.since))
    if query.until is not None:
        chosen = chosen.where(_A.c.at < rows.time_text(query.until))
    if before is not None:
        chosen = chosen.where(_A.c.seq < before)
    found = connection.execute(chosen.order_by(_A.c.seq.desc()).limit(limit + 1)).scalars().all()
    events = [rows.record_of(AuditEvent, record) for record in found[:limit]]
    return events, events[-1].seq if len(found) > limit else None


def last_at(connection: sa.Connection, query: AuditQuery) -> datetime | None:
    """When the newest event that fits was written."""
    events, _ = search(connection, query, limit=1)
    return events[0].at if events else None
