"""What one run of a container has written: a bounded buffer of lines with their moments, and those who follow it."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import NamedTuple

LARGEST = 2000
_END = None


class Line(NamedTuple):
    """One line; `time` is in Unix seconds, simulated."""

    time: float
    text: str

    def shown(self, *, timestamps: bool) -> str:
        """The line as clients get it."""
        if not timestamps:
            return self.text
        moment = datetime.fromtimestamp(self.time, UTC)
        return f"{moment.strftime('%Y-%m-%dT%H:%M:%S.%f')}000Z {self.text}"


class LogBuffer:
    """The lines of one run of one container."""

    def __init__(self) -> None:
        self._lines: deque[Line] = deque(maxlen=LARGEST)
        self._followers: set[asyncio.Queue[Line | None]] = set()
        self.closed = False

    def write(self, time: float, text: str) -> None:
        for part in text.split("\n"):
            line = Line(time, part)
            self._lines.append(line)
            for follower in self._followers:
                follower.put_nowait(line)

    def close(self) -> None:
        """The run has ended: no line will follow."""
        self.closed = True
        for follower in self._followers:
            follower.put_nowait(_END)

    @property
    def last_time(self) -> float:
        return self._lines[-1].time if self._lines else 0.0

    def lines(self, *, tail: int | None, since: float | None) -> list[Line]:
        """The kept lines since a moment, the last `tail` of them."""
        found = [line for line in self._lines if since is None or line.time >= since]
        return found if tail is None else found[len(found) - tail :] if tail else []

    def follow(self) -> AsyncIterator[Line]:
        """The lines from now on, until the run ends; following begins with this call."""
        queue: asyncio.Queue[Line | None] = asyncio.Queue()
        self._followers.add(queue)
        if self.closed:
            queue.put_nowait(_END)
        return self._read(queue)

    async def _read(self, queue: asyncio.Queue[Line | None]) -> AsyncIterator[Line]:
        try:
            while (line := await queue.get()) is not None:
                yield line
        finally:
            self._followers.discard(queue)

    @property
    def followed(self) -> bool:
        return bool(self._followers)
