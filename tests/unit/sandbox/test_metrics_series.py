"""The series store: staleness, bounds, thinning, selection."""

from array import array

from toban_sandbox.metrics import series as module
from toban_sandbox.metrics.series import SeriesStore
from toban_sandbox.promql import engine, parser
from toban_sandbox.promql.labels import canonical


def labels(**pairs):
    return canonical({"__name__": "g", **pairs})


def test_a_series_that_a_scrape_no_longer_brings_ends_at_once_and_may_come_back():
    store = SeriesStore()
    query = parser.parse("g")
    store.scrape(1_000, [(labels(a="1"), 1.0), (labels(a="2"), 2.0)])
    store.scrape(2_000, [(labels(a="1"), 1.0)])
    assert engine.instant(store, query, 2_500) == [(labels(a="1"), 1.0)]
    store.scrape(3_000, [(labels(a="1"), 1.0), (labels(a="2"), 5.0)])
    assert engine.instant(store, query, 3_500) == [(labels(a="1"), 1.0), (labels(a="2"), 5.0)]


def test_what_rules_record_does_not_end_what_was_scraped():
    store = SeriesStore()
    store.scrape(1_000, [(labels(a="1"), 1.0)])
    store.record(1_000, [(labels(a="alert"), 1.0)])
    store.record(2_000, [])
    assert engine.instant(store, parser.parse("g"), 2_000) == [(labels(a="1"), 1.0)]


def test_old_samples_are_thinned_and_forgotten_so_that_memory_is_bounded():
    store = SeriesStore()
    end_s = 5 * 3600
    for second in range(0, end_s, 1):
        store.scrape(second * 1000, [(labels(), float(second))])
        store.tidy(second * 1000)
    view = store.select(parser.parse("g").matchers)[0]
    assert len(view.timestamps) < 600 + 3 * 3600 / 15 + 600
    assert view.timestamps[0] >= (end_s - 3 * 3600) * 1000 - 120_000
    assert list(view.timestamps[-600:]) == [second * 1000 for second in range(end_s - 600, end_s)]


def test_a_view_in_use_does_not_change_when_the_series_is_thinned():
    store = SeriesStore()
    for second in range(2_000):
        store.scrape(second * 1000, [(labels(), float(second))])
    view = store.select(parser.parse("g").matchers)[0]
    for _ in range(100):
        store.tidy(2_000_000)
    assert len(view.timestamps) == len(view.values) == 2_000
    assert len(store.select(parser.parse("g").matchers)[0].timestamps) < 1_000


def test_series_that_ended_long_ago_are_forgotten():
    store = SeriesStore()
    store.scrape(0, [(labels(a="1"), 1.0), (labels(a="2"), 1.0)])
    late = module.RETENTION_MS + 60_000
    store.scrape(1_000, [(labels(a="1"), 1.0)])
    for moment in range(late, late + 200_000, 1_000):
        store.scrape(moment, [(labels(a="1"), 1.0)])
        store.tidy(moment)
    assert len(store) == 1


def test_history_comes_in_stretches_and_what_a_later_stretch_lacks_has_ended():
    store = SeriesStore()
    store.load(array("q", [0, 15_000]), {labels(a="1"): array("d", [1, 2]), labels(a="2"): array("d", [7])})
    store.load(array("q", [30_000, 45_000]), {labels(a="1"): array("d", [3, 4])})
    assert engine.instant(store, parser.parse("g"), 20_000) == [(labels(a="1"), 2.0), (labels(a="2"), 7.0)]
    assert engine.instant(store, parser.parse("g"), 50_000) == [(labels(a="1"), 4.0)]
    assert engine.instant(store, parser.parse('g{a="2"}'), 10_000) == []


def test_a_sample_that_is_not_newer_is_ignored():
    store = SeriesStore()
    store.scrape(2_000, [(labels(), 1.0)])
    store.scrape(2_000, [(labels(), 9.0)])
    store.scrape(1_000, [(labels(), 9.0)])
    assert engine.instant(store, parser.parse("g"), 2_000) == [(labels(), 1.0)]
