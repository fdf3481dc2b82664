"""The functions and aggregations of the subset: one table with signatures and the calculation behind each name.

Read by the parser (names, types) and the evaluator (calculations). Functions that need more than one series or the
evaluation itself (`absent`, `label_replace`, `histogram_quantile` …) have no calculation here; `special` does them.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable
from dataclasses import dataclass

from toban_sandbox.promql import numbers, ranges
from toban_sandbox.promql.tree import Type

AGGREGATES = frozenset(
    ["sum", "avg", "min", "max", "count", "stddev", "stdvar", "topk", "bottomk", "quantile", "group", "count_values"]
)
PARAMETRIC = frozenset(["topk", "bottomk", "quantile", "count_values"])

V, S, R, T = Type.VECTOR, Type.SCALAR, Type.RANGE, Type.STRING


@dataclass(frozen=True)
class Function:
    """A function's argument types (the last `optional` may be left out), its result and its calculation.

    `over` works on one series' window, `point` on one value; both get the scalar arguments after it.
    """

    args: tuple[Type, ...]
    returns: Type = V
    optional: int = 0
    over: Callable[..., float | None] | None = None
    point: Callable[..., float] | None = None
    keeps_name: bool = False


def _log(base_log: Callable[[float], float]) -> Callable[[float], float]:
    def logarithm(value: float) -> float:
        if value > 0:
            return base_log(value)
        return -math.inf if value == 0 else math.nan

    return logarithm


def _exp(value: float) -> float:
    try:
        return math.exp(value)
    except OverflowError:
        return math.inf


def _sqrt(value: float) -> float:
    return math.sqrt(value) if value >= 0 else math.nan


def _round(value: float, to: float = 1.0) -> float:
    inverse = numbers.divide(1.0, to)
    return numbers.divide(numbers.floor(value * inverse + 0.5), inverse)


def _minimum(left: float, right: float) -> float:
    return math.nan if math.isnan(left) or math.isnan(right) else min(left, right)


def _maximum(left: float, right: float) -> float:
    return math.nan if math.isnan(left) or math.isnan(right) else max(left, right)


def _clamp(value: float, lowest: float, highest: float) -> float:
    return _maximum(lowest, _minimum(highest, value))


def _sign(value: float) -> float:
    return value if value == 0 or math.isnan(value) else math.copysign(1.0, value)


def _date(read: Callable[[dt.datetime], int]) -> Callable[[float], float]:
    def part(value: float) -> float:
        try:
            return float(read(dt.datetime.fromtimestamp(math.floor(value), tz=dt.UTC)))
        except (ValueError, OverflowError, OSError):
            return math.nan

    return part


def _days_in_month(moment: dt.datetime) -> int:
    following = moment.replace(day=28) + dt.timedelta(days=4)
    return (following - dt.timedelta(days=following.day)).day


def _calendar(read: Callable[[dt.datetime], int]) -> Function:
    return Function((V,), optional=1, point=_date(read))


FUNCTIONS: dict[str, Function] = {
    "rate": Function((R,), over=ranges.rate),
    "irate": Function((R,), over=ranges.irate),
    "increase": Function((R,), over=ranges.increase),
    "delta": Function((R,), over=ranges.delta),
    "idelta": Function((R,), over=ranges.idelta),
    "deriv": Function((R,), over=ranges.deriv),
    "predict_linear": Function((R, S), over=ranges.predict_linear),
    "changes": Function((R,), over=ranges.changes),
    "resets": Function((R,), over=ranges.resets),
    "avg_over_time": Function((R,), over=ranges.avg_over_time),
    "min_over_time": Function((R,), over=ranges.min_over_time),
    "max_over_time": Function((R,), over=ranges.max_over_time),
    "sum_over_time": Function((R,), over=ranges.sum_over_time),
    "count_over_time": Function((R,), over=ranges.count_over_time),
    "quantile_over_time": Function((S, R), over=ranges.quantile_over_time),
    "stddev_over_time": Function((R,), over=ranges.stddev_over_time),
    "stdvar_over_time": Function((R,), over=ranges.stdvar_over_time),
    "last_over_time": Function((R,), over=ranges.last_over_time, keeps_name=True),
    "present_over_time": Function((R,), over=ranges.present_over_time),
    "abs": Function((V,), point=abs),
    "ceil": Function((V,), point=numbers.ceil),
    "floor": Function((V,), point=numbers.floor),
    "round": Function((V, S), optional=1, point=_round),
    "exp": Function((V,), point=_exp),
    "sqrt": Function((V,), point=_sqrt),
    "ln": Function((V,), point=_log(math.log)),
    "log2": Function((V,), point=_log(math.log2)),
    "log10": Function((V,), point=_log(math.log10)),
    "sgn": Function((V,), point=_sign),
    "clamp": Function((V, S, S), point=_clamp),
    "clamp_min": Function((V, S), point=_maximum),
    "clamp_max": Function((V, S), point=_minimum),
    "minute": _calendar(lambda moment: moment.minute),
    "hour": _calendar(lambda moment: moment.hour),
    "day_of_week": _calendar(lambda moment: moment.isoweekday() % 7),
    "day_of_month": _calendar(lambda moment: moment.day),
    "day_of_year": _calendar(lambda moment: moment.timetuple().tm_yday),
    "days_in_month": _calendar(_days_in_month),
    "month": _calendar(lambda moment: moment.month),
    "year": _calendar(lambda moment: moment.year),
    "absent": Function((V,)),
    "absent_over_time": Function((R,)),
    "histogram_quantile": Function((S, V)),
    "label_replace": Function((V, T, T, T, T)),
    "scalar": Function((V,), returns=S),
    "sort": Function((V,)),
    "sort_desc": Function((V,)),
    "time": Function((), returns=S),
    "timestamp": Function((V,)),
    "vector": Function((S,)),
}
