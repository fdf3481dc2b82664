"""How a container's memory grows towards what its program needs, and when it meets its limit."""

import math
from dataclasses import dataclass

_HALVINGS = 40


@dataclass(frozen=True)
class Usage:
    """What one container uses now."""

    memory_bytes: int
    cpu_cores: float


@dataclass
class Memory:
    """Memory that approaches `target` from `start`, with a time constant of `ramp_s` seconds, since a moment."""

    start: float
    target: float
    since: float
    ramp_s: float
    leak_per_s: float = 0.0
    born: float = -1.0

    def __post_init__(self) -> None:
        if self.born < 0:
            self.born = self.since

    def at(self, now: float) -> float:
        """Bytes in use at a moment in Unix seconds."""
        return self._needed(now) + self.leak_per_s * max(0.0, now - self.born)

    def _needed(self, now: float) -> float:
        if self.ramp_s <= 0:
            return self.target
        return self.target + (self.start - self.target) * math.exp(-max(0.0, now - self.since) / self.ramp_s)

    def aim(self, target: float, now: float) -> None:
        """Head for another target from where it is now."""
        self.start, self.target, self.since = self._needed(now), target, now

    def reaches(self, limit: float, now: float) -> float | None:
        """Seconds from now until the limit is passed; None when it never is."""
        if self.at(now) >= limit:
            return 0.0
        if self.leak_per_s > 0:
            return self._leaks_over(limit, now)
        current = self._needed(now)
        if self.target <= limit:
            return None
        return self.ramp_s * math.log((self.target - current) / (self.target - limit))

    def _leaks_over(self, limit: float, now: float) -> float:
        """Seconds until need and leak together pass the limit, found by halving."""
        low, high = 0.0, max(1.0, (limit - self.target) / self.leak_per_s + 1.0)
        while self.at(now + high) < limit:
            high *= 2
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if self.at(now + middle) < limit else (low, middle)
        return high
