"""Services out of Kubernetes and metrics, and which service a set of labels is about."""

import pytest

from support import objects as build
from toban.analysis import topology
from toban.model.environment import Environment

SERVICES = list(build.SHOP)


def learn(*inventories, series=()):
    whole = build.inventory()
    for part in inventories:
        for kind, found in part.items():
            if isinstance(found, list):
                whole[kind] = [*whole[kind], *found]
    return topology.services_from(
        whole, series, workspace="default", environment=Environment.STAGING, seen_at=build.NOW
    )


def test_services_get_their_workload_from_the_selector_and_their_calls_from_client_metrics():
    series = [
        {"namespace": "shop", "service": "checkout", "peer": "cart.shop.svc.cluster.local:8080"},
        {"namespace": "shop", "service": "checkout", "peer": "http://payment:80/v1"},
        {"namespace": "other", "service": "checkout", "peer": "elsewhere"},
    ]

    cart, checkout = learn(build.healthy("cart"), build.healthy("checkout"), series=series)

    assert (cart.name, str(cart.workload), cart.calls) == ("cart", "Deployment shop/cart", ())
    assert (checkout.name, checkout.calls) == ("checkout", ("cart", "payment"))
    assert checkout.environment is Environment.STAGING


def test_a_deployment_that_no_service_selects_is_a_service_too():
    worker = build.inventory(deployments=[build.deployment("worker")])

    assert [(one.name, str(one.workload)) for one in learn(worker)] == [("worker", "Deployment shop/worker")]


def test_a_service_that_selects_nothing_is_none():
    assert learn(build.inventory(services=[build.service("ghost")])) == []


def test_a_service_over_two_deployments_takes_the_one_of_its_name():
    blue, cart = build.healthy("cart-blue"), build.healthy("cart")
    for one in (blue, cart):
        one["deployments"][0]["spec"]["template"]["metadata"]["labels"] = {"part": "cart"}
    both = build.inventory(
        deployments=[*blue["deployments"], *cart["deployments"]], services=[build.service("cart", part="cart")]
    )

    (found,) = learn(both)

    assert str(found.workload) == "Deployment shop/cart"


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"service": "payment"}, "payment"),
        ({"app": "payment", "namespace": "shop"}, "payment"),
        ({"app_kubernetes_io_name": "payment"}, "payment"),
        ({"deployment": "cart"}, "cart"),
        ({"pod": "cart-7f65699fbc-9p4rf"}, "cart"),
        ({"pod": "cart-db-7f65699fbc-9p4rf"}, "cart-db"),
        ({"pod": "cart-0"}, "cart"),
        ({"container": "checkout"}, "checkout"),
        ({"job": "shop/checkout"}, "checkout"),
        ({"service": "kube-state-metrics", "deployment": "cart"}, "cart"),
        ({"service": "payment", "pod": "cart-7f65699fbc-9p4rf"}, "payment"),
        ({"pod": "cart-7f65699fbc-9p4rf", "container": "payment"}, "cart"),
        ({"service": "payment", "namespace": "billing"}, None),
        ({"node": "node-1"}, None),
        ({}, None),
    ],
)
def test_labels_lead_to_the_service_that_they_are_about(labels, expected):
    assert topology.service_of(labels, SERVICES) == expected


def test_a_workload_that_runs_a_service_of_another_name_leads_to_it():
    basket = build.known("basket").model_copy(update={"workload": build.known("cart").workload})

    assert topology.service_of({"deployment": "cart"}, [basket]) == "basket"


def test_callees_and_callers_are_followed_all_the_way_nearest_first():
    services = {service.name: service for service in SERVICES}

    assert topology.callees(services, "frontend") == ["cart", "catalog", "checkout", "cart-db", "payment"]
    assert topology.reach("cart-db", topology.called_by(services)) == ["cart", "checkout", "frontend"]


def test_services_that_call_each_other_do_not_go_round_for_ever():
    services = {one.name: one for one in (build.known("a", "b"), build.known("b", "a"))}

    assert topology.callees(services, "a") == ["b"]


def test_hosts_are_names_in_all_lengths_and_cluster_addresses():
    hosts = topology.hosts(SERVICES, [build.inventory(services=[build.service("cart")])])

    assert {hosts[host] for host in ("cart", "cart.shop", "cart.shop.svc.cluster.local", "10.0.0.4")} == {"cart"}
