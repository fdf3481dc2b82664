"""PromQL's lexer, parser and printer: what is understood, what is refused and where."""

import contextlib
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toban_sandbox.metrics.series import SeriesStore
from toban_sandbox.promql import engine, numbers, parser, printer, tree
from toban_sandbox.promql.errors import ParseError, PromQLError
from toban_sandbox.promql.labels import canonical
from toban_sandbox.promql.matchers import Matcher, compile_pattern

NAMES = st.sampled_from(["up", "http_requests_total", "job:rate:sum", "sum", "by", "offset_x"])
LABELS = st.sampled_from(["job", "service", "code", "by", "on"])
TEXTS = st.text(max_size=8)
DURATIONS = st.integers(1, 10**9)
OFFSETS = st.builds(
    tree.When,
    offset_ms=st.sampled_from([0, 60_000, -5_000]),
    at=st.sampled_from([None, "start", "end", 1_500, -2_000]),
)


@st.composite
def selectors(draw):
    name = draw(NAMES)
    pairs = draw(st.lists(st.tuples(LABELS, st.sampled_from(["=", "!="]), TEXTS), max_size=3))
    matchers = (Matcher("__name__", "=", name), *(Matcher(label, operator, value) for label, operator, value in pairs))
    return tree.Selector(matchers, name, draw(OFFSETS))


GROUPS = st.lists(LABELS, max_size=2, unique=True).map(tuple)


def _vectors(inner):
    ranges = st.one_of(
        st.builds(tree.Range, selectors(), DURATIONS),
        st.builds(tree.Subquery, inner.map(tree.Paren), DURATIONS, st.none() | DURATIONS, OFFSETS),
    )
    matching = st.builds(tree.Matching, labels=GROUPS, on=st.just(True))
    return st.one_of(
        st.builds(lambda arg: tree.Call("rate", (arg,)), ranges),
        st.builds(lambda arg: tree.Call("abs", (arg,)), inner),
        st.builds(tree.Paren, inner),
        st.builds(tree.Unary, st.just("-"), inner.map(tree.Paren)),
        st.builds(tree.Aggregate, st.sampled_from(["sum", "max"]), inner, grouping=GROUPS, without=st.booleans()),
        st.builds(
            lambda operator, left, right, how: tree.Binary(operator, tree.Paren(left), tree.Paren(right), False, how),
            st.sampled_from(["+", "and", ">", "^", "unless"]),
            inner,
            inner,
            matching,
        ),
    )


EXPRESSIONS = st.recursive(selectors(), _vectors, max_leaves=6)


@settings(deadline=None)
@given(EXPRESSIONS)
def test_an_expression_that_is_printed_is_parsed_as_the_same_tree(expression):
    assert parser.parse(printer.show(expression)) == expression


PIECES = [
    *("sum", "by", "rate", "up", "5m", "offset", "and", "bool", "on", "ignoring", "group_left", "1", "0", "nan", "inf"),
    *("topk", "quantile", "abs", "round", "vector", "time"),
]
TEXT = st.text(max_size=60) | st.lists(st.sampled_from([*"(){}[],\"'=~!<>+-*/%^@: ", *PIECES]), max_size=25).map(
    "".join
)


@settings(deadline=None)
@given(TEXT)
def test_any_text_is_parsed_or_refused_but_never_crashes(text):
    with contextlib.suppress(PromQLError):
        parser.parse(text)


def _store():
    store = SeriesStore()
    extremes = [0.0, -0.0, 1e308, -1e308, math.inf, -math.inf, math.nan, 5e-324, 1.0]
    for name in ("up", "http_requests_total", "sum"):
        for index, value in enumerate(extremes):
            labels = canonical({"__name__": name, "job": str(index), "code": str(index % 2), "le": str(index)})
            for second in range(0, 600, 60):
                store.series(labels).append(second * 1000, value * (1 if second % 120 else -1))
    return store


STORE = _store()
POINTS = st.sampled_from(["abs", "ceil", "exp", "sqrt", "ln", "round", "sgn", "hour", "year", "timestamp", "sort"])
OVERS = st.sampled_from(["rate", "irate", "delta", "deriv", "avg_over_time", "stddev_over_time", "changes", "resets"])


@settings(deadline=None)
@given(EXPRESSIONS, POINTS, OVERS, st.sampled_from(["+", "-", "*", "/", "%", "^", ">", "== bool"]))
def test_any_expression_over_extreme_values_has_an_answer_or_an_error(expression, point, over, operator):
    shown = printer.show(expression)
    for text in (
        shown,
        f"{point}({shown}) {operator} 0.3",
        f"2 {operator} ({over}({shown}[5m:1m]))",
        f"topk(2, {shown})",
    ):
        with contextlib.suppress(PromQLError):
            engine.instant(STORE, parser.parse(text), 540_000, budget_s=0.02)


def test_very_deep_nesting_is_refused_instead_of_exhausting_the_stack():
    for text in ("(" * 5000 + "1" + ")" * 5000, "-" * 5000 + "1", "2^" * 5000 + "2", "1+" * 5000 + "1"):
        with pytest.raises(ParseError):
            parser.parse(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sum(", "1:5: parse error: unexpected end of input"),
        ("up{job=5}", "1:8: parse error: unexpected number"),
        ("holt_winters(up[5m], 1, 1)", '1:1: parse error: unknown function with name "holt_winters"'),
        ("up +\n  histogram_fraction(0, 1, up)", "2:3: parse error: unknown function"),
        ("up atan2 up", "1:4: parse error: operator atan2 is not supported"),
        ("rate(up)", '1:1: parse error: expected type range vector in call to function "rate", got instant vector'),
        ('up{job=~"(?=x)"}', "1:9: parse error: invalid or unsupported regular expression syntax: `(?=`"),
        ('up{job=~"a\\\\1"}', "1:9: parse error: invalid or unsupported regular expression syntax"),
    ],
)
def test_a_refusal_names_the_thing_and_its_place(text, message):
    with pytest.raises(ParseError) as caught:
        parser.parse(text)
    assert str(caught.value).startswith(message)


def test_powers_bind_to_the_right_and_tighter_than_a_sign():
    assert parser.parse("2 ^ 3 ^ 2") == parser.parse("2 ^ (3 ^ 2)").__class__(
        "^", tree.Number(2), tree.Binary("^", tree.Number(3), tree.Number(2))
    )
    assert isinstance(parser.parse("-2 ^ 2"), tree.Unary)


def test_keywords_may_name_metrics_and_labels():
    assert parser.parse("sum") == tree.Selector((Matcher("__name__", "=", "sum"),), "sum")
    assert parser.parse('up{by="a", on="b"}') is not None


def test_expressions_match_whole_values_and_only_ascii_classes():
    assert compile_pattern("a|b").fullmatch("ab") is None
    assert compile_pattern(r"\d+").fullmatch("٣") is None
    assert Matcher("x", "!~", "a.*").accepts("")


@settings(deadline=None)
@given(st.floats())
def test_a_written_number_reads_back_as_the_same_value(value):
    for exponents in (True, False):
        text = numbers.show_number(value, exponents=exponents)
        again = numbers.parse_number(text)
        assert again is not None
        assert again == value or (math.isnan(again) and math.isnan(value))
        assert exponents or "e" not in text


@settings(deadline=None)
@given(st.integers(1, 10**12))
def test_a_written_duration_reads_back_as_the_same_time(milliseconds):
    assert numbers.parse_duration(numbers.show_duration(milliseconds)) == milliseconds


def test_only_the_marker_counts_as_the_end_of_a_series():
    assert numbers.is_stale(numbers.STALE)
    assert not numbers.is_stale(math.nan)
    assert not numbers.is_stale(1.0)
