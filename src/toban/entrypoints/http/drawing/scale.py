"""Scales and axes: values and times to coordinates, and ticks that people read easily. Used by chart and lanes."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

_MINUTE_S, _DAY_S = 60, 86400
_TIME_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)


@dataclass(frozen=True)
class Scale:
    """A straight line from values to coordinates."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The coordinate of a value, held inside the scale."""
        share = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)


def nice_ticks(low: float, high: float, wanted: int = 4) -> list[float]:
    """Round numbers that enclose low and high, about `wanted` steps of 1, 2 or 5 times a power of ten."""
    span = high - low
    if not math.isfinite(span) or span <= 0:
        low, span = (low - 0.5, 1.0) if math.isfinite(low) else (0.0, 1.0)
        high = low + span
    rough = span / max(wanted, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next((factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999), 10 * power)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(index * step, 12) for index in range(first, last + 1)]


def tick_label(value: float) -> str:
    """A tick in few characters: 1.5k, 12M, 0.25."""
    for limit, suffix in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            shown = value / (1e3 if suffix == "k" else limit)
            return f"{shown:.4g}{suffix}"
    return f"{value:.4g}"


def time_ticks(start: float, end: float, zone: tzinfo, wanted: int) -> list[tuple[float, str]]:
    """Full local times between two Unix times, with ISO labels; the date stands at the first and at each new day."""
    rough = max(end - start, 1.0) / max(wanted, 1)
    step = next((candidate for candidate in _TIME_STEPS_S if candidate >= rough), _DAY_S * math.ceil(rough / _DAY_S))
    opening = datetime.fromtimestamp(start, UTC).astimezone(zone)
    midnight = opening.replace(hour=0, minute=0, second=0, microsecond=0)
    offset = math.ceil((opening - midnight).total_seconds() / step) * step
    result: list[tuple[float, str]] = []
    day = None
    moment = (midnight + timedelta(seconds=offset)).timestamp()
    while moment <= end and len(result) < 4 * max(wanted, 1):
        local = datetime.fromtimestamp(moment, UTC).astimezone(zone)
        if step >= _DAY_S:
            label = f"{local:%m-%d}"
        else:
            label = f"{local:%H:%M:%S}" if step < _MINUTE_S else f"{local:%H:%M}"
            if day is not None and local.date() != day:
                label = f"{local:%m-%d} {label}"
        day = local.date()
        result.append((moment, label))
        moment += step
    return result
