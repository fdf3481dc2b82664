"""How far a series moved away from its normal around a start, by a robust band of the time before.

Called for each series that an investigation reads. Counters come in as rates. It names no causes and knows no metrics.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

Point = tuple[float, float]

_BAND = 4.0  # scales either side of the median that still count as normal
_NORMAL_SCALE = 1.4826  # turns a median absolute deviation into a standard deviation, for normal noise
_TAIL_SCALE = 3.29  # the same for the distance between the 5th and the 95th percentile
_LONE_POINT = 2.0  # a lone point must be this many times further out than a run


@dataclass(frozen=True)
class Floor:
    """The least scale that is believed: `absolute` in the series' unit, `relative` as a share of the median."""

    absolute: float = 0.0
    relative: float = 0.05


@dataclass(frozen=True)
class Deviation:
    """A run of points outside the band. Times are Unix seconds; `ended_at` is None while it goes on.

    `score` is the run's distance from the baseline in scales, `low` and `high` are the band, `now` is the run's median.
    """

    score: float
    direction: str
    baseline: float
    low: float
    high: float
    now: float
    started_at: float
    ended_at: float | None = None


def deviation(
    points: Iterable[Sequence[float]],
    *,
    start: float,
    floor: Floor = Floor(),
    lead_s: float = 120.0,
    least_before: int = 8,
) -> Deviation | None:
    """The longest run outside the normal band at or after `start - lead_s`; None without one or without enough data.

    `points` are (Unix seconds, value) in any order; what is not finite is left out. `lead_s` covers the time that an
    alert's own hold-off takes: trouble starts before its alert.
    """
    ordered = sorted((float(at), float(value)) for at, value in points if math.isfinite(at) and math.isfinite(value))
    before = [value for at, value in ordered if at < start - lead_s]
    after = [point for point in ordered if point[0] >= start - lead_s]
    if len(before) < least_before or not after:
        return None
    baseline, scale = _normal(before, floor)
    low, high = baseline - _BAND * scale, baseline + _BAND * scale
    run, ended_at = _longest_run(after, low, high)
    if not run:
        return None
    now = median([value for _, value in run])
    score = abs(now - baseline) / scale
    if len(run) == 1 and score < _BAND * _LONE_POINT:
        return None
    direction = "up" if now > baseline else "down"
    return Deviation(score, direction, baseline, low, high, now, started_at=run[0][0], ended_at=ended_at)


def _normal(values: list[float], floor: Floor) -> tuple[float, float]:
    middle = median(values)
    absolute_deviation = median([abs(value - middle) for value in values])
    ranked = sorted(values)
    low, high = ranked[int(0.05 * (len(ranked) - 1))], ranked[math.ceil(0.95 * (len(ranked) - 1))]
    scale = max(
        _NORMAL_SCALE * absolute_deviation,
        (high - low) / _TAIL_SCALE,
        floor.absolute,
        floor.relative * abs(middle),
    )
    return middle, scale or 1e-9


def _longest_run(after: list[Point], low: float, high: float) -> tuple[list[Point], float | None]:
    """The longest stretch on one side of the band and when it ended; of equal ones the later."""
    best: list[Point] = []
    best_end: float | None = None
    run: list[Point] = []
    side = 0
    for at, value in after:
        now_side = (value > high) - (value < low)
        if now_side != side:
            best, best_end = (run, at) if side and len(run) >= len(best) else (best, best_end)
            run, side = [], now_side
        run.append((at, value))
    if side and len(run) >= len(best):
        return run, None
    return best, best_end


def thinned(points: Iterable[Sequence[float]], limit: int, baseline: float) -> list[list[float]]:
    """At most `limit` points for a drawing; of each stretch the one furthest from `baseline`, so that peaks stay."""
    ordered = sorted([float(at), float(value)] for at, value in points if math.isfinite(value))
    if len(ordered) <= limit:
        return ordered
    size = math.ceil(len(ordered) / limit)
    stretches = [ordered[first : first + size] for first in range(0, len(ordered), size)]
    return [max(stretch, key=lambda point: abs(point[1] - baseline)) for stretch in stretches]
