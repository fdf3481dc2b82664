"""Rows of the kill switch: what is halted, by whom, and who first wished to release it.

`governance/killswitch.py` alone writes them.
"""

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa

from toban.model.record import Instant, Record
from toban.store import rows, schema

_H = schema.halt


class Halt(Record):
    """Something may not start. `release_by` is the first of the two people that a release takes."""

    scope: str
    reason: str
    by: str
    at: Instant | None = None
    release_by: str | None = None
    release_at: Instant | None = None


def put(connection: sa.Connection, halt: Halt, now: datetime) -> None:
    """Store a halt; one of the same scope is replaced, and a wish to release it is forgotten."""
    values = {"reason": halt.reason, "by": halt.by, "at": rows.time_text(now), "release_by": None, "release_at": None}
    done = connection.execute(sa.update(_H).where(_H.c.scope == halt.scope).values(**values))
    if done.rowcount == 0:
        connection.execute(sa.insert(_H).values(scope=halt.scope, **values))


def get(connection: sa.Connection, scope: str) -> Halt | None:
    """The halt of exactly this scope."""
    found = connection.execute(sa.select(_H).where(_H.c.scope == scope)).mappings().first()
    return Halt.model_validate(dict(found)) if found else None


def first_of(connection: sa.Connection, scopes: Iterable[str]) -> Halt | None:
    """A halt of one of `scopes`."""
    query = sa.select(_H).where(_H.c.scope.in_(list(scopes))).order_by(_H.c.at).limit(1)
    found = connection.execute(query).mappings().first()
    return Halt.model_validate(dict(found)) if found else None


def every(connection: sa.Connection) -> list[Halt]:
    """All halts, oldest first."""
    return [Halt.model_validate(dict(row)) for row in connection.execute(sa.select(_H).order_by(_H.c.at)).mappings()]


def wish_release(connection: sa.Connection, scope: str, *, by: str, now: datetime) -> None:
    """Write down who is the first to wish a release."""
    values = {"release_by": by, "release_at": rows.time_text(now)}
    connection.execute(sa.update(_H).where(_H.c.scope == scope).values(**values))


def remove(connection: sa.Connection, scope: str) -> None:
    """Take a halt away."""
    connection.execute(sa.delete(_H).where(_H.c.scope == scope))
