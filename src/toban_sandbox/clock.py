"""The sandbox's time: one simulated clock that everything in the world reads and waits on.

Used by every part of the sandbox. It keeps no dates of its own: stamping objects is the store's work.
"""

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from datetime import UTC, datetime

_EARLY_S = 1e-6


class Timer:
    """One call that waits for its simulated moment; `cancel()` takes it back."""

    __slots__ = ("callback", "when")

    def __init__(self, when: float, callback: Callable[[], object]) -> None:
        self.when = when
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        self.callback = None


class Clock:
    """Simulated time that runs `speed` times as fast as real time; a speed of 0 stops it."""

    def __init__(self, *, speed: float = 1.0, start: datetime | None = None) -> None:
        self._speed = _checked(speed)
        self._simulated_origin = (start or datetime.now(UTC)).timestamp()
        self._real_origin = time.monotonic()
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._alarm: asyncio.TimerHandle | None = None

    def now(self) -> datetime:
        """The simulated moment, aware and in UTC."""
        return datetime.fromtimestamp(self.time(), UTC)

    def time(self) -> float:
        """The simulated moment in Unix seconds."""
        return self._simulated_origin + (time.monotonic() - self._real_origin) * self._speed

    @property
    def speed(self) -> float:
        return self._speed

    @speed.setter
    def speed(self, value: float) -> None:
        self._rebase(self.time())
        self._speed = _checked(value)
        self._arm()

    def advance(self, seconds: float) -> None:
        """Jump ahead by simulated seconds; timers that fell due run on the next turn of the event loop."""
        self._rebase(self.time() + max(0.0, seconds))
        self._arm()

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Timer:
        """Call back after simulated seconds; needs a running event loop."""
        self._loop = asyncio.get_running_loop()
        timer = Timer(self.time() + max(0.0, seconds), callback)
        heapq.heappush(self._timers, (timer.when, next(self._order), timer))
        if self._timers[0][2] is timer:
            self._arm()
        return timer

    async def sleep(self, seconds: float) -> None:
        """Wait for simulated seconds, through changes of speed and pauses."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def wake() -> None:
            if not woken.done():
                woken.set_result(None)

        timer = self.call_later(seconds, wake)
        try:
            await woken
        finally:
            timer.cancel()

    def _rebase(self, simulated: float) -> None:
        self._simulated_origin = simulated
        self._real_origin = time.monotonic()

    def _arm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._loop is None or self._loop.is_closed() or not self._timers or self._speed == 0:
            self._arm_overdue()
            return
        wait = max(0.0, (self._timers[0][0] - self.time()) / self._speed)
        self._alarm = self._loop.call_later(wait, self._ring)

    def _arm_overdue(self) -> None:
        # A paused clock still owes the calls that a jump ahead has made due.
        if self._loop is None or self._loop.is_closed() or not self._timers:
            return
        if self._timers[0][0] <= self.time():
            self._alarm = self._loop.call_later(0, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        due_before = self.time() + _EARLY_S
        try:
            while self._timers and self._timers[0][0] <= due_before:
                timer = heapq.heappop(self._timers)[2]
                callback, timer.callback = timer.callback, None
                if callback is not None:
                    callback()
        finally:
            if self._alarm is None:
                self._arm()


def _checked(speed: float) -> float:
    if speed < 0:
        raise ValueError("speed must not be negative")
    return speed
