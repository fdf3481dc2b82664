"""PromQL's evaluation where the sandbox depends on it most; tests/real holds all of it against Prometheus."""

import math

import pytest

from toban_sandbox.metrics.series import SeriesStore
from toban_sandbox.promql import engine, parser
from toban_sandbox.promql.errors import ExecutionError, QueryTimeoutError
from toban_sandbox.promql.labels import canonical
from toban_sandbox.promql.numbers import STALE


def store_of(series):
    """{(name, job): [(seconds, value)]} as a source."""
    store = SeriesStore()
    for (name, job), samples in series.items():
        for second, value in samples:
            store.series(canonical({"__name__": name, "job": job})).append(second * 1000, value)
    return store


def ask(series, text, second):
    value = engine.instant(store_of(series), parser.parse(text), second * 1000)
    return {dict(labels).get("job", ""): number for labels, number in value} if isinstance(value, list) else value


def test_rate_counts_on_after_a_counter_starts_again_from_zero():
    samples = [(0, 0.0), (10, 10.0), (20, 20.0), (30, 5.0), (40, 15.0)]
    assert ask({("c", "a"): samples}, "increase(c[40s])", 40) == {"a": pytest.approx(35.0)}


def test_rate_extrapolates_to_the_edges_of_the_window_but_not_below_zero():
    inside = [(10, 100.0), (20, 200.0), (30, 300.0)]
    assert ask({("c", "a"): inside}, "increase(c[40s])", 40) == {"a": pytest.approx(400.0)}
    from_zero = [(10, 1.0), (20, 101.0), (30, 201.0)]
    assert ask({("c", "a"): from_zero}, "increase(c[40s])", 40)["a"] < 310


def test_a_series_is_seen_for_five_minutes_unless_it_has_ended():
    series = {("g", "quiet"): [(0, 1.0)], ("g", "ended"): [(0, 1.0), (10, STALE)], ("g", "old"): [(-10, 1.0)]}
    assert ask(series, "g", 5) == {"quiet": 1.0, "ended": 1.0, "old": 1.0}
    assert ask(series, "g", 20) == {"quiet": 1.0, "old": 1.0}
    assert ask(series, "g", 295) == {"quiet": 1.0}
    assert ask(series, "g", 301) == {}


def test_the_end_of_a_series_is_no_sample_of_a_window():
    assert ask({("g", "a"): [(0, 1.0), (10, 3.0), (20, STALE)]}, "count_over_time(g[1m])", 30) == {"a": 2.0}


def test_an_ambiguous_match_is_an_error_and_not_a_guess():
    series = {("x", "a"): [(0, 1.0)], ("x", "b"): [(0, 2.0)], ("y", "a"): [(0, 1.0)]}
    with pytest.raises(ExecutionError, match="many-to-one matching must be explicit"):
        ask(series, "x * on () y", 0)
    with pytest.raises(ExecutionError, match="many-to-many matching not allowed"):
        ask(series, "y * on () x", 0)


def test_a_query_that_would_read_too_much_is_stopped(monkeypatch):
    monkeypatch.setattr(engine, "MAX_SAMPLES", 100)
    series = {("g", "a"): [(second, 1.0) for second in range(200)]}
    with pytest.raises(ExecutionError, match="too many samples"):
        ask(series, "sum_over_time(g[5m])", 200)


def test_a_query_that_takes_too_long_is_stopped():
    nested = "max_over_time(max_over_time(max_over_time(g[1h:1s])[1h:1s])[1h:1s])"
    with pytest.raises(QueryTimeoutError):
        engine.instant(store_of({("g", "a"): [(0, 1.0)]}), parser.parse(nested), 0, budget_s=0.05)


def test_a_subquery_with_endless_steps_is_stopped():
    with pytest.raises(ExecutionError, match="steps"):
        ask({("g", "a"): [(0, 1.0)]}, "max_over_time(g[10y:1ms])", 0)


def test_division_by_zero_and_quantiles_of_nothing_follow_ieee():
    assert math.isnan(ask({}, "0 / 0", 0))
    assert ask({}, "-1 / 0", 0) == -math.inf
    assert ask({}, "quantile(0.5, nothing)", 0) == {}


def test_a_range_query_gives_way_after_each_step():
    steps = list(
        engine.over_range(
            store_of({("g", "a"): [(0, 1.0)]}), parser.parse("g"), start_ms=0, end_ms=30_000, step_ms=10_000
        )
    )
    assert len(steps) == 5
    assert [len(step) for step in steps] == [0, 0, 0, 0, 1]
    assert len(steps[-1][0].points) == 4
