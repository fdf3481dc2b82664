"""Leases on targets: one change in flight on each, with a fencing token that only ever grows.

Taken, checked and released inside the Gate's transactions. A row outlives its lease, so that a worker which was stopped
and goes on later finds its token outdated.
"""

from datetime import datetime

import sqlalchemy as sa

from toban.store import rows, schema

_L = schema.lease
_ENDED = ""  # sorts before every time, whatever the clock does


def key_of(target: str) -> str:
    """The lease's name for a target's text: a container belongs to the object that it is a part of."""
    return target.partition(" [")[0]


def take(connection: sa.Connection, target: str, change_id: str, now: datetime, until: datetime) -> int | None:
    """The fencing token of a new lease; None while another change holds the target.

    The same change may take it again, as after a crash: the token grows, and whoever held the old one is fenced off.
    """
    key = key_of(target)
    held = connection.execute(sa.select(_L).where(_L.c.target == key)).mappings().first()
    values = {"change_id": change_id, "taken_at": rows.time_text(now), "until": rows.time_text(until)}
    if held is None:
        connection.execute(sa.insert(_L).values(target=key, token=1, **values))
        return 1
    if held["change_id"] != change_id and held["until"] > rows.time_text(now):
        return None
    token: int = held["token"] + 1
    done = connection.execute(
        sa.update(_L).where(_L.c.target == key, _L.c.token == held["token"]).values(token=token, **values)
    )
    return token if done.rowcount == 1 else None


def holds(connection: sa.Connection, target: str, change_id: str, *, token: int, now: datetime) -> bool:
    """Whether this very lease still counts; to be asked in the transaction that relies on it."""
    query = sa.select(sa.literal(1)).where(
        _L.c.target == key_of(target),
        _L.c.change_id == change_id,
        _L.c.token == token,
        _L.c.until > rows.time_text(now),
    )
    return connection.execute(query).first() is not None


def holder(connection: sa.Connection, target: str, now: datetime) -> str | None:
    """The change that holds a target now."""
    query = sa.select(_L.c.change_id).where(_L.c.target == key_of(target), _L.c.until > rows.time_text(now))
    found: str | None = connection.execute(query).scalar_one_or_none()
    return found


def release(connection: sa.Connection, target: str, change_id: str) -> None:
    """Give a lease back; nothing happens if another change holds it. The row and its token stay."""
    query = sa.update(_L).where(_L.c.target == key_of(target), _L.c.change_id == change_id)
    connection.execute(query.values(until=_ENDED, token=_L.c.token + 1))
