"""Brings the tables to the version of this code, and back. Called at start, before anything else uses the database.

An empty database gets all tables at once; Alembic is loaded only where there is something to migrate, since that takes
longer than everything else here. A test holds both ways against each other.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy import exc

from toban.errors import StorageError
from toban.store import schema

if TYPE_CHECKING:
    from alembic.config import Config

REVISION = "0001"
"""The newest revision in `migrations/versions`."""

_FOLDER = Path(__file__).parent / "migrations"
_VERSIONS = sa.Table("alembic_version", sa.MetaData(), sa.Column("version_num", sa.String(32), primary_key=True))


def upgrade(engine: sa.Engine) -> None:
    """Make or migrate the tables, in one transaction.

    Raises StorageError when the database cannot be opened, or was written by a newer Toban.
    """
    try:
        with engine.begin() as connection:
            there = set(sa.inspect(connection).get_table_names())
            current = None
            if _VERSIONS.name in there:
                current = connection.execute(sa.select(_VERSIONS.c.version_num)).scalar_one_or_none()
            if current == REVISION:
                return
            if not there:
                schema.metadata.create_all(connection)
                _VERSIONS.create(connection)
                connection.execute(sa.insert(_VERSIONS).values(version_num=REVISION))
                return
            migrate(connection, current)
    except exc.DBAPIError as error:
        raise StorageError(f"the database {engine.url} cannot be opened: {error.orig}") from error


def migrate(connection: sa.Connection, current: str | None = None) -> None:
    """Apply the missing migrations, one by one. Raises StorageError when `current` is not among them."""
    from alembic import command
    from alembic.script import ScriptDirectory

    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if current is not None and current not in known:
        raise StorageError(f"the database is of a newer Toban (schema {current}); install that version again")
    command.upgrade(_config(connection), "head")


def downgrade(engine: sa.Engine, revision: str = "base") -> None:
    """Go back to a revision; `base` removes all tables."""
    from alembic import command

    with engine.begin() as connection:
        command.downgrade(_config(connection), revision)


def differences(engine: sa.Engine) -> list[object]:
    """What separates the tables from `schema.py`, and their revision from `REVISION`; empty when all is well."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        found: list[object] = list(compare_metadata(context, schema.metadata))
        revision = context.get_current_revision()
    return found if revision == REVISION else [*found, f"revision {revision} is not {REVISION}"]


def _config(connection: sa.Connection | None = None) -> "Config":
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.attributes["connection"] = connection
    return config
