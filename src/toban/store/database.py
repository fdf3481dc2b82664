"""One database by URL: connections, transactions, and errors in Toban's words.

Queries are synchronous functions `query(connection, ...)`; `read` and `write` run them in a worker thread, so that the
event loop never waits for a disk. A write is one transaction that begins IMMEDIATE on SQLite: deferred ones fail under
contention. Writes are durable on return (`synchronous=FULL`).
"""

import asyncio
import errno
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa
from sqlalchemy import event, exc

from toban.errors import StorageError

P = ParamSpec("P")
T = TypeVar("T")


def sqlite_engine(url: sa.URL | str, *, synchronous: str, busy_timeout_s: float) -> sa.Engine:
    """An SQLite engine as Toban needs it: WAL, foreign keys, IMMEDIATE transactions."""
    engine = sa.create_engine(url, connect_args={"check_same_thread": False, "timeout": busy_timeout_s})

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={int(busy_timeout_s * 1000)}")
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute(f"PRAGMA synchronous={synchronous}")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        deferred = connection.get_execution_options().get("toban_read", False)
        connection.exec_driver_sql("BEGIN" if deferred else "BEGIN IMMEDIATE")

    return engine


def make_engine(url: str, *, busy_timeout_s: float = 5.0) -> sa.Engine:
    """An engine for Toban's own tables from a SQLAlchemy URL."""
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        if parsed.database and not parsed.database.startswith("file:"):
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return sqlite_engine(parsed, synchronous="FULL", busy_timeout_s=busy_timeout_s)
    return sa.create_engine(parsed, pool_size=8, max_overflow=8, pool_pre_ping=True)


def _translate(error: Exception) -> StorageError:
    text = str(getattr(error, "orig", None) or error)
    lowered = text.lower()
    if "locked" in lowered or "busy" in lowered:
        return StorageError(f"the database is locked by another process ({text}); nothing was stored, try again")
    if "full" in lowered or getattr(error, "errno", None) == errno.ENOSPC:
        return StorageError(f"the disk of the database is full ({text}); nothing was stored, free some space")
    if "readonly" in lowered or "read-only" in lowered:
        return StorageError(f"the database cannot be written ({text}); nothing was stored, check its permissions")
    return StorageError(f"the database is not available ({text}); nothing was stored")


class Database:
    """Runs queries in worker threads. Writers take turns inside the process, so SQLite's lock is not fought over."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine
        self._readers = ThreadPoolExecutor(4, thread_name_prefix="store-read")
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="store-write")

    async def read(self, query: Callable[Concatenate[sa.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a query that changes nothing. Raises StorageError when the database is not available."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, lambda: self.read_now(query, *args, **kwargs))

    async def write(self, query: Callable[Concatenate[sa.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a query in one transaction that is durable on return; any exception rolls it back whole."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._writer, lambda: self.write_now(query, *args, **kwargs))

    def read_now(self, query: Callable[Concatenate[sa.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `read`, in the calling thread."""
        try:
            with self.engine.connect().execution_options(toban_read=True) as connection:
                return query(connection, *args, **kwargs)
        except (exc.DBAPIError, OSError) as error:
            raise _translate(error) from error

    def write_now(self, query: Callable[Concatenate[sa.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `write`, in the calling thread."""
        try:
            with self.engine.begin() as connection:
                return query(connection, *args, **kwargs)
        except exc.IntegrityError:
            raise
        except (exc.DBAPIError, OSError) as error:
            raise _translate(error) from error

    def close(self) -> None:
        """Wait for running queries and close all connections."""
        self._readers.shutdown(wait=True)
        self._writer.shutdown(wait=True)
        self.engine.dispose()
