"""Evaluates parsed PromQL against a Source of series, at one time or over a range of times.

Called by the metrics API and the alert rules. Semantics: Prometheus 2.42. Knows neither HTTP nor how series are stored.
"""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from toban_sandbox.promql import aggregates, binary, special, tree
from toban_sandbox.promql import labels as labelling
from toban_sandbox.promql.check import SET_OPERATORS, type_of
from toban_sandbox.promql.errors import ExecutionError, QueryTimeoutError
from toban_sandbox.promql.functions import FUNCTIONS
from toban_sandbox.promql.labels import Labels
from toban_sandbox.promql.matchers import Matcher
from toban_sandbox.promql.numbers import is_stale
from toban_sandbox.promql.ranges import Window

LOOKBACK_MS = 5 * 60_000
DEFAULT_SUBQUERY_STEP_MS = 60_000
MAX_SAMPLES = 20_000_000
MAX_SUBQUERY_STEPS = 20_000
BUDGET_S = 2.0  # for the values of one time; nothing else of the sandbox runs meanwhile

Vector = list[tuple[Labels, float]]
Value = float | str | Vector


class SeriesView(NamedTuple):
    """One series as the evaluator reads it: timestamps in milliseconds, ascending, and a value for each."""

    labels: Labels
    timestamps: Sequence[int]
    values: Sequence[float]


class Source(Protocol):
    """Where series come from."""

    def select(self, matchers: tuple[Matcher, ...]) -> list[SeriesView]:
        """Every series that all matchers accept, in the order of its labels; the views must not change while in use."""
        ...


class RangeSeries(NamedTuple):
    labels: Labels
    points: list[tuple[int, float]]


class Evaluation:
    """One query's evaluation: its source and what was read so far; `start_ms`, `end_ms` are what `@ start()` means."""

    def __init__(self, source: Source, *, start_ms: int, end_ms: int, budget_s: float = BUDGET_S) -> None:
        self._source = source
        self._budget_s = budget_s
        self._deadline = time.monotonic() + budget_s
        self._bounds = {"start": start_ms, "end": end_ms}
        self._selected: dict[int, list[SeriesView]] = {}
        self._subqueries: dict[tuple[int, int], Value] = {}
        self._samples = 0
        self._steps = 0

    def at(self, node: tree.Expr, time_ms: int) -> Value:
        """The expression's value at a time: a number, a string or a vector.

        Raises ExecutionError, and QueryTimeoutError when the budget is spent.
        """
        if time.monotonic() > self._deadline:
            raise QueryTimeoutError
        match node:
            case tree.Number() | tree.String():
                return node.value
            case tree.Paren():
                return self.at(node.expr, time_ms)
            case tree.Selector():
                return [(labels, value) for labels, value, _ in self._instant(node, time_ms)]
            case tree.Unary():
                return self._unary(node, time_ms)
            case tree.Binary():
                return self._binary(node, time_ms)
            case tree.Aggregate():
                return self._aggregate(node, time_ms)
            case tree.Call():
                return self._call(node, time_ms)
            case _:
                raise ExecutionError(f"a {type_of(node)} has no single value per series")

    def renew_budget(self) -> None:
        """Grants the time anew; called when others have had their turn."""
        self._deadline = time.monotonic() + self._budget_s

    def vector(self, node: tree.Expr, time_ms: int) -> Vector:
        value = self.at(node, time_ms)
        return value if isinstance(value, list) else []

    def scalar(self, node: tree.Expr, time_ms: int) -> float:
        value = self.at(node, time_ms)
        return value if isinstance(value, float) else special.scalar([])

    # -- reading series -------------------------------------------------------------------------------------------
    def _series(self, selector: tree.Selector) -> list[SeriesView]:
        found = self._selected.get(id(selector))
        if found is None:
            found = self._selected[id(selector)] = self._source.select(selector.matchers)
        return found

    def _moved(self, when: tree.When, time_ms: int) -> int:
        base = time_ms if when.at is None else self._bounds[when.at] if isinstance(when.at, str) else when.at
        return base - when.offset_ms

    def _count(self, samples: int) -> None:
        self._samples += samples
        if self._samples > MAX_SAMPLES:
            raise ExecutionError("query processing would load too many samples into memory in query execution")

    def _instant(self, selector: tree.Selector, time_ms: int) -> list[tuple[Labels, float, int]]:
        """The newest sample of each series within the look-back, unless the series has ended."""
        moment = self._moved(selector.when, time_ms)
        oldest = moment - LOOKBACK_MS
        result: list[tuple[Labels, float, int]] = []
        for labels, timestamps, values in self._series(selector):
            index = bisect_right(timestamps, moment) - 1
            if index >= 0 and timestamps[index] >= oldest:
                value = values[index]
                if value == value or not is_stale(value):  # noqa: PLR0124 - a NaN differs from itself; the test is hot
                    result.append((labels, value, timestamps[index]))
        self._count(len(result))
        return result

    def windows(self, node: tree.Expr, time_ms: int) -> Iterator[tuple[Labels, Window]]:
        """The samples of each series of a range vector; series without any are left out."""
        while isinstance(node, tree.Paren):
            node = node.expr
        if isinstance(node, tree.Subquery):
            yield from self._subquery_windows(node, time_ms)
            return
        if not isinstance(node, tree.Range):
            raise ExecutionError("expected a range vector")
        end = self._moved(node.selector.when, time_ms)
        start = end - node.range_ms
        for labels, timestamps, values in self._series(node.selector):
            low, high = bisect_left(timestamps, start), bisect_right(timestamps, end)
            if low == high:
                continue
            self._count(high - low)
            times, chunk = timestamps[low:high], values[low:high]
            if any(value != value for value in chunk):  # noqa: PLR0124 - finds NaN, which may be the end of a series
                kept = [(t, v) for t, v in zip(times, chunk, strict=True) if not is_stale(v)]
                times, chunk = [t for t, _ in kept], [v for _, v in kept]
            if chunk:
                yield labels, Window(times, chunk, start, end, time_ms)

    def _subquery_windows(self, node: tree.Subquery, time_ms: int) -> Iterator[tuple[Labels, Window]]:
        end = self._moved(node.when, time_ms)
        start = end - node.range_ms
        step = node.step_ms or DEFAULT_SUBQUERY_STEP_MS
        collected: dict[Labels, list[tuple[int, float]]] = {}
        # Steps are aligned to the clock, not to the query, so that neighbouring queries see the same points.
        for moment in range(-(-start // step) * step, end + 1, step):
            key = (id(node), moment)
            if key not in self._subqueries:
                self._steps += 1
                if self._steps > MAX_SUBQUERY_STEPS:
                    raise ExecutionError(f"the query's subqueries need more than {MAX_SUBQUERY_STEPS} steps")
                self._subqueries[key] = self.at(node.expr, moment)
            value = self._subqueries[key]
            for labels, number in value if isinstance(value, list) else []:
                collected.setdefault(labels, []).append((moment, number))
        for labels, points in collected.items():
            self._count(len(points))
            yield labels, Window([t for t, _ in points], [v for _, v in points], start, end, time_ms)

    # -- operators ------------------------------------------------------------------------------------------------
    def _unary(self, node: tree.Unary, time_ms: int) -> Value:
        value = self.at(node.expr, time_ms)
        if node.operator == "+":
            return value
        if isinstance(value, list):
            return unique([(labelling.drop_name(labels), -number) for labels, number in value])
        return -value if isinstance(value, float) else value

    def _binary(self, node: tree.Binary, time_ms: int) -> Value:
        left, right = self.at(node.left, time_ms), self.at(node.right, time_ms)
        if isinstance(left, float) and isinstance(right, float):
            return binary.scalars(node.operator, left, right)
        if isinstance(left, list) and isinstance(right, float):
            return unique(binary.vector_scalar(node, left, right, swapped=False))
        if isinstance(left, float) and isinstance(right, list):
            return unique(binary.vector_scalar(node, right, left, swapped=True))
        if isinstance(left, list) and isinstance(right, list):
            combine = binary.sets if node.operator in SET_OPERATORS else binary.vectors
            return unique(combine(node, left, right))
        raise ExecutionError("binary expression must contain only scalar and instant vector types")

    def _aggregate(self, node: tree.Aggregate, time_ms: int) -> Value:
        param = 0.0 if node.param is None else self.at(node.param, time_ms)
        vector = self.vector(node.expr, time_ms)
        return aggregates.aggregate(
            node.operator,
            vector,
            grouping=node.grouping,
            without=node.without,
            param=param if isinstance(param, float | str) else 0.0,
        )

    # -- functions ------------------------------------------------------------------------------------------------
    def _call(self, node: tree.Call, time_ms: int) -> Value:
        function = FUNCTIONS[node.function]
        if function.over is not None:
            return self._over(node, time_ms)
        if function.point is not None:
            return self._point(node, time_ms)
        return self._special(node, time_ms)

    def _over(self, node: tree.Call, time_ms: int) -> Vector:
        function = FUNCTIONS[node.function]
        calculate = function.over
        if calculate is None:
            return []
        extra = [self.scalar(arg, time_ms) for arg in node.args if type_of(arg) is tree.Type.SCALAR]
        ranged = next(arg for arg in node.args if type_of(arg) is tree.Type.RANGE)
        result: Vector = []
        for labels, window in self.windows(ranged, time_ms):
            value = calculate(window, *extra)
            if value is not None:
                result.append((labels if function.keeps_name else labelling.drop_name(labels), value))
        return unique(result)

    def _point(self, node: tree.Call, time_ms: int) -> Vector:
        calculate = FUNCTIONS[node.function].point
        if calculate is None:
            return []
        if not node.args:
            return [(labelling.EMPTY, calculate(time_ms / 1000))]
        vector = self.vector(node.args[0], time_ms)
        extra = [self.scalar(arg, time_ms) for arg in node.args[1:]]
        return unique([(labelling.drop_name(labels), calculate(value, *extra)) for labels, value in vector])

    def _special(self, node: tree.Call, time_ms: int) -> Value:
        args = node.args
        match node.function:
            case "time":
                return time_ms / 1000
            case "vector":
                return [(labelling.EMPTY, self.scalar(args[0], time_ms))]
            case "scalar":
                return special.scalar(self.vector(args[0], time_ms))
            case "timestamp":
                return self._timestamps(args[0], time_ms)
            case "absent" | "absent_over_time":
                return self._absent(node, time_ms)
            case "histogram_quantile":
                return special.histogram_quantile(self.scalar(args[0], time_ms), self.vector(args[1], time_ms))
            case "label_replace":
                words = [str(self.at(arg, time_ms)) for arg in args[1:]]
                return unique(special.label_replace(self.vector(args[0], time_ms), *words))
            case _:
                return special.sort(self.vector(args[0], time_ms), descending=node.function == "sort_desc")

    def _timestamps(self, node: tree.Expr, time_ms: int) -> Vector:
        while isinstance(node, tree.Paren):
            node = node.expr
        if isinstance(node, tree.Selector):
            samples = self._instant(node, time_ms)
            return unique([(labelling.drop_name(labels), moment / 1000) for labels, _, moment in samples])
        return unique([(labelling.drop_name(labels), time_ms / 1000) for labels, _ in self.vector(node, time_ms)])

    def _absent(self, node: tree.Call, time_ms: int) -> Vector:
        if node.function == "absent":
            present = bool(self.vector(node.args[0], time_ms))
        else:
            present = any(True for _ in self.windows(node.args[0], time_ms))
        return [] if present else [(special.absent_labels(node.args[0]), 1.0)]


def unique(vector: Vector) -> Vector:
    """The vector itself; raises ExecutionError when two samples carry the same labels."""
    if len({labels for labels, _ in vector}) != len(vector):
        raise ExecutionError("vector cannot contain metrics with the same labelset")
    return vector


def instant(source: Source, node: tree.Expr, time_ms: int, *, budget_s: float = BUDGET_S) -> Value:
    """The value of an expression that is not a range vector, at one time."""
    return Evaluation(source, start_ms=time_ms, end_ms=time_ms, budget_s=budget_s).at(node, time_ms)


def instant_range(source: Source, node: tree.Expr, time_ms: int) -> list[RangeSeries]:
    """The samples of a range vector as an instant query returns them."""
    evaluation = Evaluation(source, start_ms=time_ms, end_ms=time_ms)
    windows = evaluation.windows(node, time_ms)
    return [RangeSeries(labels, list(zip(w.timestamps, w.values, strict=True))) for labels, w in windows]


def over_range(
    source: Source, node: tree.Expr, *, start_ms: int, end_ms: int, step_ms: int
) -> Iterator[list[RangeSeries]]:
    """Evaluates step by step: yields an empty list after each, so that the caller can give way, and last the answer."""
    evaluation = Evaluation(source, start_ms=start_ms, end_ms=end_ms)
    collected: dict[Labels, list[tuple[int, float]]] = {}
    for time_ms in range(start_ms, end_ms + 1, step_ms):
        value = evaluation.at(node, time_ms)
        if isinstance(value, float):
            collected.setdefault(labelling.EMPTY, []).append((time_ms, value))
        elif isinstance(value, list):
            for labels, number in value:
                collected.setdefault(labels, []).append((time_ms, number))
        yield []
        evaluation.renew_budget()
    yield [RangeSeries(labels, collected[labels]) for labels in sorted(collected)]
