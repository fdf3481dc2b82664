"""Functions over one series' samples in a window: rate and its family, the *_over_time family, regression.

Each takes a Window and returns a value, or None where Prometheus gives no sample. Called by the evaluator.
Semantics: Prometheus 2.42 (windows closed at both ends, extrapolation to the window's edges, counter resets).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

from toban_sandbox.promql.numbers import divide


class Window(NamedTuple):
    """Samples with start_ms <= timestamp <= end_ms, stale markers left out; `at_ms` is the evaluation time."""

    timestamps: Sequence[int]
    values: Sequence[float]
    start_ms: int
    end_ms: int
    at_ms: int


_PAIR = 2
_EDGE = 1.1  # a gap to the window's edge up to 1.1 average intervals counts as covered


def _extrapolated(window: Window, *, counter: bool, per_second: bool) -> float | None:
    timestamps, values = window.timestamps, window.values
    if len(values) < _PAIR:
        return None
    growth = values[-1] - values[0]
    if counter:
        growth += sum(before for before, after in itertools.pairwise(values) if after < before)
    sampled = (timestamps[-1] - timestamps[0]) / 1000
    average = sampled / (len(values) - 1)
    to_start = (timestamps[0] - window.start_ms) / 1000
    to_end = (window.end_ms - timestamps[-1]) / 1000
    if counter and growth > 0 and values[0] >= 0:
        # A counter cannot have been below zero: do not extrapolate past the point where it would have been.
        to_start = min(to_start, sampled * (values[0] / growth))
    covered = sampled
    covered += to_start if to_start < average * _EDGE else average / 2
    covered += to_end if to_end < average * _EDGE else average / 2
    factor = covered / sampled
    if per_second:
        factor /= (window.end_ms - window.start_ms) / 1000
    return growth * factor


def rate(window: Window) -> float | None:
    return _extrapolated(window, counter=True, per_second=True)


def increase(window: Window) -> float | None:
    return _extrapolated(window, counter=True, per_second=False)


def delta(window: Window) -> float | None:
    return _extrapolated(window, counter=False, per_second=False)


def irate(window: Window) -> float | None:
    if len(window.values) < _PAIR:
        return None
    before, last = window.values[-2], window.values[-1]
    growth = last if last < before else last - before
    return divide(growth, (window.timestamps[-1] - window.timestamps[-2]) / 1000)


def idelta(window: Window) -> float | None:
    return window.values[-1] - window.values[-2] if len(window.values) >= _PAIR else None


def avg_over_time(window: Window) -> float | None:
    total = _sum(window.values)
    if math.isfinite(total):
        return total / len(window.values)
    return sum(value / len(window.values) for value in window.values)


def _sum(values: Sequence[float]) -> float:
    try:
        return math.fsum(values)
    except (OverflowError, ValueError):
        return sum(values)


def sum_over_time(window: Window) -> float | None:
    return _sum(window.values)


def count_over_time(window: Window) -> float | None:
    return float(len(window.values))


def last_over_time(window: Window) -> float | None:
    return window.values[-1]


def present_over_time(window: Window) -> float | None:
    return 1.0 if window.values else None


def min_over_time(window: Window) -> float | None:
    return min((value for value in window.values if not math.isnan(value)), default=math.nan)


def max_over_time(window: Window) -> float | None:
    return max((value for value in window.values if not math.isnan(value)), default=math.nan)


def stdvar_over_time(window: Window) -> float | None:
    return variance(window.values)


def stddev_over_time(window: Window) -> float | None:
    return math.sqrt(variance(window.values))


def quantile_over_time(window: Window, share: float) -> float | None:
    return quantile(share, window.values)


def changes(window: Window) -> float | None:
    pairs = itertools.pairwise(window.values)
    return float(sum(1 for a, b in pairs if a != b and not (math.isnan(a) and math.isnan(b))))


def resets(window: Window) -> float | None:
    return float(sum(1 for before, after in itertools.pairwise(window.values) if after < before))


def deriv(window: Window) -> float | None:
    if len(window.values) < _PAIR:
        return None
    return _regression(window, window.timestamps[0])[0]


def predict_linear(window: Window, seconds: float) -> float | None:
    if len(window.values) < _PAIR:
        return None
    slope, intercept = _regression(window, window.at_ms)
    return slope * seconds + intercept


def _regression(window: Window, origin_ms: int) -> tuple[float, float]:
    values = window.values
    if all(value == values[0] for value in values):
        return (0.0, values[0]) if math.isfinite(values[0]) else (math.nan, math.nan)
    seconds = [(timestamp - origin_ms) / 1000 for timestamp in window.timestamps]
    count = float(len(values))
    sum_x, sum_y = _sum(seconds), _sum(values)
    sum_xy = _sum([x * y for x, y in zip(seconds, values, strict=True)])
    sum_xx = _sum([x * x for x in seconds])
    slope = divide(sum_xy - sum_x * sum_y / count, sum_xx - sum_x * sum_x / count)
    return slope, sum_y / count - slope * sum_x / count


def variance(values: Sequence[float]) -> float:
    """Population variance by Welford's method; NaN for no values."""
    mean = squares = 0.0
    count = 0
    for count, value in enumerate(values, start=1):
        gap = value - mean
        mean += gap / count
        squares += gap * (value - mean)
    return squares / count if count else math.nan


def quantile(share: float, values: Sequence[float]) -> float:
    """The share-quantile by linear interpolation; -Inf below 0, +Inf above 1, NaN for no values."""
    if not values or math.isnan(share):
        return math.nan
    if not 0 <= share <= 1:
        return -math.inf if share < 0 else math.inf
    ordered = sorted(values, key=lambda value: (not math.isnan(value), value))
    rank = share * (len(ordered) - 1)
    lower = math.floor(rank)
    upper = min(lower + 1, len(ordered) - 1)
    weight = rank - lower
    return ordered[lower] * (1 - weight) + ordered[upper] * weight
