"""Group commit: many small durable writes in one transaction, each caller waiting for its own.

Used by the intake journal and by the audit of reads. Items are written in the order they came. When too much waits, or
the database refuses, callers get an error and know that nothing was stored.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import sqlalchemy as sa

from toban.errors import OverloadedError, StorageError
from toban.store.database import Database

T = TypeVar("T")


class GroupCommit(Generic[T]):
    """`write(connection, items)` gets all that waited while the last commit was on its way to the disk."""

    def __init__(
        self,
        database: Database,
        write: Callable[[sa.Connection, Sequence[T]], Any],
        *,
        size: Callable[[T], int] = lambda _item: 1,
        limit: int = 5_000,
        size_limit: int = 64 * 1024 * 1024,
        batch: int = 500,
    ) -> None:
        """`limit` and `size_limit` bound what may wait, by count and by the sum of `size(item)`."""
        self._database = database
        self._write = write
        self._size = size
        self._limit = limit
        self._size_limit = size_limit
        self._batch = batch
        self._waiting: list[tuple[T, asyncio.Future[None]]] = []
        self._waiting_size = 0
        self._running: asyncio.Task[None] | None = None
        self._closed = False
        self.problem = ""
        """Why the last commit failed; empty when it did not."""

    async def submit(self, item: T) -> None:
        """Return once `item` is durable. Raises OverloadedError or StorageError: then it is not."""
        size = self._size(item)
        if self._closed:
            raise OverloadedError("Toban is shutting down; nothing was stored, send it again", retry_after=2)
        if len(self._waiting) >= self._limit or self._waiting_size + size > self._size_limit:
            raise OverloadedError
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        self._waiting_size += size
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._drain())
        await done

    async def _drain(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting[: self._batch], self._waiting[self._batch :]
            items = [item for item, _ in group]
            self._waiting_size -= sum(self._size(item) for item in items)
            try:
                await self._database.write(self._write, items)
            except Exception as error:  # noqa: BLE001 - every waiting caller must hear of it, whatever it is
                told = error if isinstance(error, StorageError) else StorageError(f"could not be stored: {error}")
                self.problem = told.message
                for _, done in group:
                    if not done.done():
                        done.set_exception(told)
            else:
                self.problem = ""
                for _, done in group:
                    if not done.done():
                        done.set_result(None)

    async def close(self) -> None:
        """Take no more; wait for what is on its way."""
        self._closed = True
        if self._running is not None:
            await asyncio.gather(self._running, return_exceptions=True)
