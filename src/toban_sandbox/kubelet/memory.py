"""How a container's memory grows towards what its program needs, and when it meets its limit."""

import math
from dataclasses import dataclass


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

    def at(self, now: float) -> float:
        """Bytes in use at a moment in Unix seconds."""
        if self.ramp_s <= 0:
            return self.target
        return self.target + (self.start - self.target) * math.exp(-max(0.0, now - self.since) / self.ramp_s)

    def aim(self, target: float, now: float) -> None:
        """Head for another target from where it is now."""
        self.start, self.target, self.since = self.at(now), target, now

    def reaches(self, limit: float, now: float) -> float | None:
        """Seconds from now until the limit is passed; None when it never is."""
        current = self.at(now)
        if current >= limit:
            return 0.0
        if self.target <= limit:
            return None
        return self.ramp_s * math.log((self.target - current) / (self.target - limit))
