"""Heartbeats of workers: who is alive, who has been silent for too long."""

from datetime import datetime

import sqlalchemy as sa

from toban.store import rows, schema

_W = schema.worker


def beat(connection: sa.Connection, worker: str, now: datetime) -> None:
    """Note that a worker is alive."""
    seen = {"seen_at": rows.time_text(now)}
    if connection.execute(sa.update(_W).where(_W.c.id == worker).values(**seen)).rowcount == 0:
        connection.execute(sa.insert(_W).values(id=worker, **seen))


def silent(connection: sa.Connection, since: datetime) -> list[str]:
    """Workers that were last heard of before `since`."""
    return list(connection.execute(sa.select(_W.c.id).where(_W.c.seen_at < rows.time_text(since))).scalars())


def forget(connection: sa.Connection, worker: str, since: datetime) -> bool:
    """Remove a worker that is still silent; True for the one caller that did it."""
    gone = connection.execute(sa.delete(_W).where(_W.c.id == worker, _W.c.seen_at < rows.time_text(since)))
    return gone.rowcount == 1


def leave(connection: sa.Connection, worker: str) -> None:
    """Remove oneself on a clean stop."""
    connection.execute(sa.delete(_W).where(_W.c.id == worker))
