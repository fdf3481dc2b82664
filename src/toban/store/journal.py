"""The intake journal: what senders posted, durable before they are answered, and the dead letters that came of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from toban.errors import NotFoundError
from toban.store import counters, rows, schema

_J = schema.journal
_D = schema.dead_letter


@dataclass(frozen=True)
class Delivery:
    """One body as it arrived. `seq` is 0 until it is stored."""

    workspace: str
    source: str
    received_at: datetime
    body: bytes
    seq: int = 0
    attempts: int = 0


def append(connection: sa.Connection, deliveries: Sequence[Delivery]) -> None:
    """Store all deliveries, in order, in the caller's transaction."""
    connection.execute(
        sa.insert(_J),
        [
            {
                "workspace": one.workspace,
                "source": one.source,
                "received_at": rows.time_text(one.received_at),
                "body": one.body,
            }
            for one in deliveries
        ],
    )


def waiting(connection: sa.Connection, limit: int) -> list[Delivery]:
    """The oldest deliveries that nobody has read yet."""
    found = connection.execute(sa.select(_J).where(_J.c.state == "new").order_by(_J.c.seq).limit(limit))
    return [_delivery(row) for row in found]


def _delivery(row: Any) -> Delivery:
    return Delivery(
        workspace=row.workspace,
        source=row.source,
        received_at=datetime.fromisoformat(row.received_at),
        body=bytes(row.body),
        seq=row.seq,
        attempts=row.attempts,
    )


def done(connection: sa.Connection, seq: int) -> None:
    """Mark a delivery as read, in the transaction that stored what it said."""
    connection.execute(sa.update(_J).where(_J.c.seq == seq).values(state="done"))


def attempt_failed(connection: sa.Connection, seq: int) -> int:
    """Count a failed attempt; how many there were."""
    counted = sa.update(_J).where(_J.c.seq == seq).values(attempts=_J.c.attempts + 1).returning(_J.c.attempts)
    return int(connection.execute(counted).scalar_one())


def bury(connection: sa.Connection, delivery: Delivery, *, field: str, problem: str, now: datetime) -> str:
    """Turn a delivery into a dead letter that names the wrong field; its id. The body stays for a replay."""
    letter = counters.take(connection, "DLQ")
    connection.execute(sa.update(_J).where(_J.c.seq == delivery.seq).values(state="dead"))
    connection.execute(
        sa.insert(_D).values(
            id=letter,
            journal_seq=delivery.seq,
            workspace=delivery.workspace,
            source=delivery.source,
            field=field,
            problem=problem,
            created_at=rows.time_text(now),
        )
    )
    return letter


def dead_letters(connection: sa.Connection, workspace: str, limit: int = 100) -> list[dict[str, Any]]:
    """The newest dead letters with the beginning of their bodies."""
    found = connection.execute(
        sa.select(_D, _J.c.body, _J.c.received_at)
        .join(_J, _J.c.seq == _D.c.journal_seq)
        .where(_D.c.workspace == workspace)
        .order_by(_D.c.id.desc())
        .limit(limit)
    )
    return [
        {
            "id": row.id,
            "source": row.source,
            "field": row.field,
            "problem": row.problem,
            "received_at": row.received_at,
            "created_at": row.created_at,
            "replayed_at": row.replayed_at,
            "size": len(row.body),
            "body": bytes(row.body[:2000]).decode("utf-8", "replace"),
        }
        for row in found
    ]


def replay(connection: sa.Connection, workspace: str, letter: str, now: datetime) -> None:
    """Put a dead letter's body back in line. Raises NotFoundError."""
    row = connection.execute(sa.select(_D).where(_D.c.id == letter, _D.c.workspace == workspace)).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no dead letter {letter}")
    connection.execute(sa.update(_D).where(_D.c.id == letter).values(replayed_at=rows.time_text(now)))
    connection.execute(sa.update(_J).where(_J.c.seq == row.journal_seq).values(state="new", attempts=0))


def backlog(connection: sa.Connection) -> int:
    """How many deliveries wait to be read."""
    return int(connection.execute(sa.select(sa.func.count()).where(_J.c.state == "new")).scalar_one())
