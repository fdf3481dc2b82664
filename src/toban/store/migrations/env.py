"""Alembic's environment: the connection is handed in by `store/migrate.py`, never read from a file."""

from alembic import context

from toban.store import schema

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=schema.metadata,
    render_as_batch=True,
    compare_type=True,
)
context.run_migrations()
