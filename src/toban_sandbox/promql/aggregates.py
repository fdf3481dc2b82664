"""Aggregates a vector's samples into groups: sum, avg, topk, quantile … by and without labels. The evaluator calls."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence

from toban_sandbox.promql import labels as labelling
from toban_sandbox.promql.errors import ExecutionError
from toban_sandbox.promql.labels import NAME, Labels
from toban_sandbox.promql.numbers import show_number
from toban_sandbox.promql.ranges import quantile, variance

Vector = list[tuple[Labels, float]]
_LABEL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _sum(values: Sequence[float]) -> float:
    total = 0.0
    for value in values:
        total += value
    return total


def _avg(values: Sequence[float]) -> float:
    total = _sum(values)
    if math.isinf(total) and all(math.isfinite(value) for value in values):
        return sum(value / len(values) for value in values)
    return total / len(values)


def _min(values: Sequence[float]) -> float:
    return min((value for value in values if not math.isnan(value)), default=math.nan)


def _max(values: Sequence[float]) -> float:
    return max((value for value in values if not math.isnan(value)), default=math.nan)


_SIMPLE: dict[str, Callable[[Sequence[float]], float]] = {
    "sum": _sum,
    "avg": _avg,
    "min": _min,
    "max": _max,
    "count": lambda values: float(len(values)),
    "group": lambda _: 1.0,
    "stddev": lambda values: math.sqrt(variance(values)),
    "stdvar": variance,
}


def group_labels(labels: Labels, grouping: frozenset[str], *, without: bool) -> Labels:
    """The labels that name the sample's group."""
    return labelling.drop(labels, grouping | {NAME}) if without else labelling.keep(labels, grouping)


def aggregate(
    operator: str, vector: Vector, *, grouping: tuple[str, ...], without: bool, param: float | str = 0.0
) -> Vector:
    """The aggregated vector; `param` is k for topk and bottomk, the share for quantile, the label for count_values."""
    names = frozenset(grouping)
    if operator == "count_values":
        return _count_values(vector, names, without=without, label=str(param))
    groups: dict[Labels, Vector] = {}
    for labels, value in vector:
        groups.setdefault(group_labels(labels, names, without=without), []).append((labels, value))
    if operator in ("topk", "bottomk"):
        count = _whole(float(param))
        return [sample for group in groups.values() for sample in _extreme(group, count, largest=operator == "topk")]
    if operator == "quantile":
        share = float(param)
        return [(labels, quantile(share, [value for _, value in group])) for labels, group in groups.items()]
    calculate = _SIMPLE[operator]
    return [(labels, calculate([value for _, value in group])) for labels, group in groups.items()]


def _whole(count: float) -> int:
    if math.isnan(count) or abs(count) >= 2**63:
        raise ExecutionError(f"Scalar value {show_number(count)} overflows int64")
    return max(int(count), 0)


def _extreme(group: Vector, count: int, *, largest: bool) -> Vector:
    """The count largest (or smallest) samples in order, NaN last."""

    def rank(sample: tuple[Labels, float]) -> tuple[bool, float]:
        value = sample[1]
        return math.isnan(value), -value if largest else value

    return sorted(group, key=rank)[:count]


def _count_values(vector: Vector, names: frozenset[str], *, without: bool, label: str) -> Vector:
    if not _LABEL_NAME.fullmatch(label):
        raise ExecutionError(f'invalid label name "{label}"')
    counts: dict[Labels, float] = {}
    for labels, value in vector:
        group = labelling.replace(group_labels(labels, names - {label}, without=without), [(label, show_number(value))])
        counts[group] = counts.get(group, 0.0) + 1
    return list(counts.items())
