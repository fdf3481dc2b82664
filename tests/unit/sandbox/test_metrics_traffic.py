"""Requests through the shop: load goes down the call graph, failures and latency come back up."""

import dataclasses

import pytest

from toban_sandbox import world as worlds
from toban_sandbox.metrics.services import RequestCounters
from toban_sandbox.metrics.traffic import CallGraph, Demand
from toban_sandbox.programs import Programs

NOON = 1_790_000_000.0


@pytest.fixture(scope="module")
def shop():
    return worlds.load("shop")


@pytest.fixture
def flows(shop):
    """Calculates flows with every service's replicas running, but for what is changed."""
    programs = Programs(shop.images)

    def calculate(surge=None, **changes):
        instances = {
            service.name: [programs.lookup(service.history[-1].image)] * service.replicas for service in shop.services
        }
        instances.update({name.replace("_", "-"): value for name, value in changes.items()})
        demand = Demand(shop)
        for service, factor in (surge or {}).items():
            demand.surge(service, factor=factor, ramp_s=0, now=NOON)
        return CallGraph(shop).flows(demand, instances, NOON)

    return calculate


def test_a_healthy_shop_has_few_errors_and_short_answers(flows):
    for flow in flows().values():
        assert flow.failed < 0.01
        assert flow.latency_ms < 250


def test_load_follows_the_calls_of_the_callers(flows):
    found = flows()
    assert found["payment"].offered_rps == pytest.approx(found["checkout"].offered_rps)
    carts = 0.4 * found["frontend"].offered_rps + found["checkout"].offered_rps
    assert found["cart"].offered_rps == pytest.approx(carts)


def test_payment_without_instances_hurts_its_callers_but_not_the_catalog(flows):
    before, after = flows(), flows(payment=[])
    assert not after["payment"].served
    assert after["checkout"].failed > 0.99
    assert after["checkout"].codes["503"] > 0.9
    assert 0.15 < after["frontend"].failed < 0.25
    assert after["catalog"] == before["catalog"]


def test_a_failing_release_shows_at_itself_first_and_diluted_at_its_callers(flows, shop):
    bad = Programs(shop.images).lookup("shop/payment:2.0.0")
    found = flows(payment=[bad, bad])
    assert found["payment"].codes["500"] == pytest.approx(0.3)
    assert found["checkout"].codes["502"] == pytest.approx(0.3, abs=0.01)
    assert 0.05 < found["frontend"].failed < 0.08
    assert found["checkout"].latency_ms > 400


def test_a_surge_reaches_a_service_along_the_way_from_the_entry(flows):
    before, after = flows(), flows(surge={"cart": 3})
    extra = 2 * before["cart"].offered_rps
    assert after["cart"].offered_rps == pytest.approx(before["cart"].offered_rps + extra)
    assert after["frontend"].offered_rps == pytest.approx(before["frontend"].offered_rps + extra)
    assert after["cart-db"].offered_rps == pytest.approx(3 * before["cart-db"].offered_rps)
    assert after["catalog"].offered_rps == pytest.approx(before["catalog"].offered_rps)


def test_nobody_is_called_by_a_service_that_is_down(flows):
    assert flows(cart=[])["cart-db"].offered_rps == 0


def test_more_load_than_capacity_is_shed_with_503(flows, shop):
    weak = dataclasses.replace(Programs(shop.images).lookup("shop/catalog:3.4.2"), capacity_rps=10)
    found = flows(catalog=[weak])
    assert found["catalog"].codes["503"] > 0.7
    assert found["frontend"].failed > 0.6


def test_counters_hold_whole_requests_and_cumulative_buckets(flows):
    counters = RequestCounters("shop", noise=0.0, seed=1)
    for _ in range(100):
        counters.add(flows(), 1.0)
    found = {tuple(sorted(dict(labels).items())): value for labels, value in counters.samples()}
    total = sum(
        v for k, v in found.items() if ("__name__", "http_server_requests_total") in k and ("service", "cart") in k
    )
    assert total == pytest.approx(100 * flows()["cart"].offered_rps, abs=5)
    buckets = [
        (float(dict(k)["le"]), v)
        for k, v in found.items()
        if dict(k)["__name__"].endswith("_bucket") and dict(k)["service"] == "cart"
    ]
    counts = [count for _, count in sorted(buckets)]
    assert counts == sorted(counts)
    assert all(value == int(value) for k, value in found.items() if not dict(k)["__name__"].endswith("_sum"))
    assert any(dict(k).get("peer") == "payment" and dict(k)["service"] == "checkout" for k in found)


def test_the_same_seed_gives_the_same_traffic(flows):
    first, second = (RequestCounters("shop", noise=0.05, seed=7) for _ in range(2))
    for counters in (first, second):
        for _ in range(20):
            counters.add(flows(), 1.0)
    assert first.samples() == second.samples()
