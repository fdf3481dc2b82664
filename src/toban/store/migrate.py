"""Brings the tables to the version of this code, and back. Called at start, before anything else uses the database."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import exc

from toban.errors import StorageError
from toban.store import schema

_FOLDER = Path(__file__).parent / "migrations"


def _config(connection: sa.Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.attributes["connection"] = connection
    return config


def upgrade(engine: sa.Engine) -> None:
    """Apply what is missing, in one transaction.

    Raises StorageError when the database cannot be opened, or was written by a newer Toban.
    """
    try:
        with engine.begin() as connection:
            current = MigrationContext.configure(connection).get_current_revision()
            known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
            if current is not None and current not in known:
                raise StorageError(f"the database is of a newer Toban (schema {current}); install that version again")
            command.upgrade(_config(connection), "head")
    except exc.DBAPIError as error:
        raise StorageError(f"the database {engine.url} cannot be opened: {error.orig}") from error


def downgrade(engine: sa.Engine, revision: str = "base") -> None:
    """Go back to a revision; `base` removes all tables."""
    with engine.begin() as connection:
        command.downgrade(_config(connection), revision)


def differences(engine: sa.Engine) -> list[object]:
    """What separates the migrated tables from `schema.py`; empty when the migrations are complete."""
    with engine.connect() as connection:
        return list(compare_metadata(MigrationContext.configure(connection), schema.metadata))
