"""Service metrics: the PromQL that is asked, whose series is whose, and the findings that series become."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import objects as build
from toban.analysis import metrics
from toban.analysis.metrics import Reading
from toban.model.service import ObjectRef
from toban_sandbox.promql.parser import parse

MI = 1024 * 1024
ROWS = {metric.name: metric for metric in (*metrics.TABLE, metrics.MEMORY_LIMIT)}
CART, CART_DB = build.known("cart"), build.known("cart-db")
STATEFUL = CART.model_copy(update={"workload": ObjectRef(kind="StatefulSet", namespace="shop", name="cart")})
START = build.START.timestamp()


def reading(name, before, after, **more):
    values = [*before, *after]
    points = [(START + 120 - 15 * (len(values) - 1 - index), value) for index, value in enumerate(values)]
    window = (points[0][0], points[-1][0])
    return Reading(ROWS[name], CART, points, f"{name}(cart)", window, **more)


def findings(one):
    return metrics.findings(one, start=START, observed_at=build.NOW)


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("services", [[CART], [CART, CART_DB], [STATEFUL], [build.known('odd"na\\me.*')]])
def test_every_expression_is_valid_promql(name, services):
    parse(metrics.expression(ROWS[name], services, rate="1m"))


def test_one_service_is_asked_for_exactly_and_several_by_a_pattern():
    one = metrics.expression(ROWS["request_rate"], [CART], rate="1m")
    two = metrics.expression(ROWS["request_rate"], [CART_DB, CART], rate="5m")

    assert one == 'sum by (service) (rate(http_server_requests_total{namespace="shop",service="cart"}[1m]))'
    assert two == 'sum by (service) (rate(http_server_requests_total{namespace="shop",service=~"cart|cart-db"}[5m]))'


@pytest.mark.parametrize(
    ("service", "pod", "expected"),
    [
        (CART, "cart-7f65699fbc-9p4rf", True),
        (CART, "cart-db-7f65699fbc-9p4rf", False),
        (CART_DB, "cart-db-7f65699fbc-9p4rf", True),
        (STATEFUL, "cart-0", True),
        (STATEFUL, "cart-7f65699fbc-9p4rf", False),
    ],
)
def test_pods_belong_to_the_workload_that_made_them(service, pod, expected):
    assert metrics.belongs(ROWS["memory"], service, {"pod": pod}) is expected


def test_a_series_belongs_to_the_service_that_its_label_names():
    assert metrics.belongs(ROWS["error_share"], CART, {"service": "cart"})
    assert not metrics.belongs(ROWS["error_share"], CART, {"service": "cart-db"})


@given(st.lists(st.lists(st.tuples(st.integers(0, 5), st.floats(0, 10)), max_size=6), max_size=4))
def test_merged_series_have_each_time_once_in_order(series):
    times = [at for at, _ in metrics.merged(series, "max")]

    assert times == sorted(set(times)) == sorted({float(at) for points in series for at, _ in points})


def test_pods_are_merged_by_the_largest_or_by_the_sum():
    pods = [[(0, 1.0), (15, 2.0)], [(0, 3.0)]]

    assert metrics.merged(pods, "max") == [[0.0, 3.0], [15.0, 2.0]]
    assert metrics.merged(pods, "sum") == [[0.0, 4.0], [15.0, 2.0]]


def test_a_share_of_errors_that_rises_is_a_finding_with_band_window_and_chart():
    (found,) = findings(reading("error_share", [0.002] * 300, [0.31] * 8))

    assert found.code == "metric.error_share"
    assert found.statement == "Share of failed requests of cart rose from 0.2 % to 31 %."
    assert found.value == 0.31
    assert found.expected["low"] < 0.002 < found.expected["high"] < 0.31
    assert found.happened_at == datetime.fromtimestamp(found.facts["onset"], UTC)
    assert found.window_end == datetime.fromtimestamp(START + 120, UTC)
    assert len(found.facts["points"]) <= metrics.CHART_POINTS
    assert max(value for _, value in found.facts["points"]) == 0.31


def test_a_run_that_is_over_says_so():
    (found,) = findings(reading("latency_p95", [0.1] * 100, [0.9] * 4 + [0.1] * 2))

    assert found.statement == "95th percentile of response time of cart rose from 100 ms to 900 ms and has returned."


def test_fewer_errors_are_no_finding_but_fewer_requests_are():
    assert findings(reading("error_share", [0.3] * 100, [0.0] * 8)) == []

    (found,) = findings(reading("request_rate", [50.0] * 100, [2.0] * 8))
    assert found.statement == "Request rate of cart fell from 50 requests/s to 2 requests/s."


def test_memory_close_to_its_limit_is_a_finding_though_it_never_moved():
    (found,) = findings(reading("memory", [120.0 * MI] * 100, [], limit_bytes=128.0 * MI))

    assert found.code == "metric.memory_near_limit"
    assert found.statement == "Memory of cart reached 120 MiB, 94 % of its limit of 128Mi."


def test_a_calm_series_and_an_empty_one_give_nothing():
    assert findings(reading("memory", [50.0 * MI] * 100, [51.0 * MI] * 4, limit_bytes=128.0 * MI)) == []
    assert findings(Reading(ROWS["memory"], CART, [], "memory", (0.0, 1.0), 1.0)) == []
