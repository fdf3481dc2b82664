"""Quantities, selectors, shares and documents: the pure parts behind the actions on Kubernetes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toban.integrations.kubernetes import documents, quantity, rollouts


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("128974848", 128974848),
        ("129M", 129_000_000),
        ("129e6", 129_000_000),
        ("123Mi", 123 * 2**20),
        ("1.5Gi", 3 * 2**29),
        ("1Ki", 1024),
        ("2Ti", 2**41),
        ("1500m", 2),
        ("7k", 7000),
    ],
)
def test_quantities_are_read_as_kubernetes_reads_them(text, size):
    assert quantity.in_bytes(text) == size


@pytest.mark.parametrize("text", ["", "Mi", "1 Gi", "-1", "1KI", "1ki", "0x10", "1e", "\uff11Gi", "1Gi2", "NaN", "inf"])
def test_what_is_no_quantity_is_refused(text):
    with pytest.raises(ValueError, match="not a quantity"):
        quantity.in_bytes(text)


@pytest.mark.parametrize(
    ("strategy", "replicas", "away"),
    [
        ({}, 3, 0),
        ({}, 4, 1),
        ({}, 1, 0),
        ({"rollingUpdate": {"maxUnavailable": 2, "maxSurge": 0}}, 4, 2),
        ({"rollingUpdate": {"maxUnavailable": "50%", "maxSurge": 0}}, 5, 2),
        ({"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 0}}, 5, 1),
        ({"rollingUpdate": {"maxUnavailable": 9}}, 5, 5),
        ({"type": "Recreate"}, 5, 5),
        ({}, 0, 0),
    ],
)
def test_the_strategy_tells_how_many_replicas_may_be_away_at_once(strategy, replicas, away):
    assert rollouts.at_once({"spec": {"replicas": replicas, "strategy": strategy}}) == away


def test_a_selector_is_written_as_a_query():
    expressions = [
        {"key": "tier", "operator": "In", "values": ["a", "b"]},
        {"key": "old", "operator": "NotIn", "values": ["x"]},
        {"key": "app", "operator": "Exists"},
        {"key": "test", "operator": "DoesNotExist"},
    ]
    spec = {"selector": {"matchLabels": {"app": "cart"}, "matchExpressions": expressions}}
    assert rollouts.selector({"spec": spec}) == "app=cart,tier in (a,b),old notin (x),app,!test"


def test_a_difference_has_three_lines_of_context_and_long_texts_as_blocks():
    before = {"data": {"config": "a\nb\nc\nd\ne\nf\ng\n", "z": "1"}}
    after = {"data": {"config": "a\nb\nc\nX\ne\nf\ng\n", "z": "1"}}
    assert documents.diff(before, after, title="v1 ConfigMap shop/x", origin="test").splitlines() == [
        "--- live  v1 ConfigMap shop/x",
        "+++ planned (test)",
        "@@ -3,7 +3,7 @@",
        "     a",
        "     b",
        "     c",
        "-    d",
        "+    X",
        "     e",
        "     f",
        "     g",
    ]


def test_bookkeeping_is_no_difference():
    before = {"metadata": {"resourceVersion": "1", "generation": 1}, "spec": {"a": 1}, "status": {"x": 1}}
    notes = {documents.MARK: "RUN-0001.1", documents.REVISION: "7"}
    after = {"metadata": {"resourceVersion": "2", "annotations": notes}, "spec": {"a": 1}}
    assert documents.diff(before, after, title="t", origin="o") == ""


TREES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text("abc \n:#-", max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3),
    max_leaves=8,
)


@given(TREES, TREES)
def test_two_specs_have_a_difference_exactly_when_they_differ(one, other):
    before, after = {"spec": {"x": one}}, {"spec": {"x": other}}
    differs = documents.diff(before, after, title="t", origin="o") != ""
    assert differs == (documents.spec_hash(before) != documents.spec_hash(after))
