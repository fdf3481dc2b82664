"""Numbers for spoken ids, one sequence a prefix, taken inside the caller's transaction."""

import sqlalchemy as sa

from toban.kit import ids
from toban.store import schema


def take(connection: sa.Connection, prefix: str) -> str:
    """The next id such as `INC-0042`; given back if the transaction rolls back."""
    table = schema.counter
    raised = connection.execute(
        sa.update(table).where(table.c.prefix == prefix).values(value=table.c.value + 1).returning(table.c.value)
    ).scalar_one_or_none()
    if raised is None:
        connection.execute(sa.insert(table).values(prefix=prefix, value=1))
        raised = 1
    return ids.spoken(prefix, raised)
