"""Time series in memory: compact arrays with staleness markers and bounded size.

The sampler appends, the PromQL evaluator and the metrics API read. No clock, no parsing, no disk.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping

from toban_sandbox.promql.engine import SeriesView
from toban_sandbox.promql.labels import NAME, Labels, value_of
from toban_sandbox.promql.matchers import Matcher, matches_all
from toban_sandbox.promql.numbers import STALE

RETENTION_MS = 3 * 3_600_000
FINE_MS = 10 * 60_000  # samples younger than this are kept as they came
COARSE_MS = 15_000  # of older ones, the last in each interval
_TIDY_SHARE = 60  # a tidy call looks at one series in so many
_WORTH_THINNING = 2  # times as dense as the coarse step


class Series:
    """One series: timestamps in milliseconds, ascending, and their values."""

    __slots__ = ("ended", "labels", "timestamps", "values")

    def __init__(self, labels: Labels) -> None:
        self.labels = labels
        self.timestamps: array[int] = array("q")
        self.values: array[float] = array("d")
        self.ended = False

    def append(self, time_ms: int, value: float) -> None:
        """Adds a sample; one that is not newer than the last is ignored, as Prometheus does."""
        if self.timestamps and time_ms <= self.timestamps[-1]:
            return
        self.timestamps.append(time_ms)
        self.values.append(value)
        self.ended = False

    def end(self, time_ms: int) -> None:
        """Marks that the series is gone, so that queries stop seeing it at once."""
        if not self.ended:
            self.append(time_ms, STALE)
            self.ended = True

    def tidy(self, now_ms: int) -> None:
        """Forgets samples beyond retention and thins old ones, in new arrays, so that views in use stay as they are."""
        first = bisect_left(self.timestamps, now_ms - RETENTION_MS)
        fine = bisect_left(self.timestamps, now_ms - FINE_MS)
        times = self.timestamps[first:fine]
        dense = len(times) > _WORTH_THINNING * max(1, (times[-1] - times[0]) // COARSE_MS + 1) if times else False
        if dense:
            kept = [
                i
                for i in range(len(times))
                if i + 1 == len(times) or times[i] // COARSE_MS != times[i + 1] // COARSE_MS
            ]
            values = self.values[first:fine]
            self.timestamps = array("q", [times[i] for i in kept]) + self.timestamps[fine:]
            self.values = array("d", [values[i] for i in kept]) + self.values[fine:]
        elif first:
            self.timestamps, self.values = self.timestamps[first:], self.values[first:]


class SeriesStore:
    """All series, found by metric name first. Implements promql's Source."""

    def __init__(self) -> None:
        self._by_name: dict[str, dict[Labels, Series]] = {}
        self._present: dict[Labels, Series] = {}
        self._recorded: dict[Labels, Series] = {}
        self._queue: list[Series] = []

    def series(self, labels: Labels) -> Series:
        """The series with these labels, made when it does not exist."""
        named = self._by_name.setdefault(value_of(labels, NAME), {})
        found = named.get(labels)
        if found is None:
            found = named[labels] = Series(labels)
        return found

    def load(self, timestamps: array[int], columns: Mapping[Labels, array[float]]) -> None:
        """Puts in a stretch of history: for each series the last values at these times; a shorter column starts later.

        Series of the stretch before that are not in this one end at its first moment. Stretches come oldest first.
        """
        for labels, series in self._present.items():
            if labels not in columns:
                series.end(timestamps[0])
        self._present = {}
        for labels, values in columns.items():
            series = self._present[labels] = self.series(labels)
            series.timestamps.extend(timestamps[-len(values) :])
            series.values.extend(values)

    def scrape(self, time_ms: int, samples: Iterable[tuple[Labels, float]]) -> None:
        """Appends one sample of everything that exists now; what the last scrape had and this one lacks ends."""
        self._present = self._append(time_ms, samples, self._present)

    def record(self, time_ms: int, samples: Iterable[tuple[Labels, float]]) -> None:
        """Does the same for the series that rules write, which come and go apart from the scraped ones."""
        self._recorded = self._append(time_ms, samples, self._recorded)

    def _append(
        self, time_ms: int, samples: Iterable[tuple[Labels, float]], before: dict[Labels, Series]
    ) -> dict[Labels, Series]:
        present: dict[Labels, Series] = {}
        for labels, value in samples:
            series = before.get(labels) or self.series(labels)
            series.append(time_ms, value)
            present[labels] = series
        for labels, series in before.items():
            if labels not in present:
                series.end(time_ms)
        return present

    def tidy(self, now_ms: int) -> None:
        """Looks after a small share of the series; called after each scrape, so that no call takes long."""
        if not self._queue:
            self._queue = [series for named in self._by_name.values() for series in named.values()]
        for _ in range(len(self) // _TIDY_SHARE + 1):
            if not self._queue:
                return
            series = self._queue.pop()
            series.tidy(now_ms)
            if not series.timestamps or series.timestamps[-1] < now_ms - RETENTION_MS:
                self._forget(series)

    def _forget(self, series: Series) -> None:
        if series.labels in self._present or series.labels in self._recorded:
            return
        name = value_of(series.labels, NAME)
        named = self._by_name.get(name, {})
        named.pop(series.labels, None)
        if not named:
            self._by_name.pop(name, None)

    def select(self, matchers: tuple[Matcher, ...]) -> list[SeriesView]:
        rest = tuple(matcher for matcher in matchers if matcher.name != NAME)
        names = [matcher for matcher in matchers if matcher.name == NAME]
        exact = next((matcher.value for matcher in names if matcher.operator == "="), None)
        candidates = [exact] if exact is not None else list(self._by_name)
        found = [
            series
            for name in candidates
            if all(matcher.accepts(name) for matcher in names)
            for series in self._by_name.get(name, {}).values()
            if matches_all(rest, series.labels)
        ]
        found.sort(key=lambda series: series.labels)
        return [SeriesView(series.labels, series.timestamps, series.values) for series in found]

    def __len__(self) -> int:
        return sum(len(named) for named in self._by_name.values())
