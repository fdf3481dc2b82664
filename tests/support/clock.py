"""A clock for tests: sleeping is instant and moves the time."""

import asyncio
from datetime import UTC, datetime, timedelta

START = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


class VirtualClock:
    """Time that passes only when somebody sleeps, or a test says so."""

    def __init__(self, start: datetime = START) -> None:
        self._now = start

    def now(self) -> datetime:
        self._now += timedelta(microseconds=1)  # two events are never at the same instant
        return self._now

    async def sleep(self, delay_s: float) -> None:
        self._now += timedelta(seconds=delay_s)
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
