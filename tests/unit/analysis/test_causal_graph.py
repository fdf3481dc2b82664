"""The causal graph: from the change to the cause to the service to its callers to the alerts."""

from support import objects as build
from toban.analysis import rootcause
from toban.kit import dag


def draw(*names, services=build.SHOP, herring=True):
    """The graph of a bad release of payment with alerts of `names`."""
    new = build.replicaset("payment", 2, build.template("payment", "shop/payment:2"), created=build.ago(minutes=1))
    old = build.replicaset("payment", 1, build.template("payment"))
    inventory = build.inventory(
        deployments=[build.deployment("payment", revision=2)],
        replicasets=[old, new],
        services=[build.service("payment")],
    )
    findings = [*build.analyze(inventory), *(build.metric("error_share", name) for name in ("payment", "checkout"))]
    alerts = [build.alert(service_name=name, number=index) for index, name in enumerate(names)]
    return rootcause.join(build.incident("payment"), alerts, findings, services, build.NOW)


def test_edges_lead_from_the_change_to_the_alerts():
    diagnosis = draw("payment", "frontend")

    roles = {node.id.partition(":")[0] + ":" + node.label: node.role for node in diagnosis.nodes}
    named = {node.id: node.label for node in diagnosis.nodes}
    arrows = [(named[edge.cause], named[edge.effect]) for edge in diagnosis.edges]
    assert arrows == [
        ("payment", "Bad rollout"),
        ("Bad rollout", "payment"),
        ("payment", "checkout"),
        ("checkout", "frontend"),
        ("payment", "ServiceHighErrorRate"),
        ("frontend", "ServiceHighErrorRate"),
    ]
    assert roles["cause:Bad rollout"] == "cause"
    assert roles["change:payment"] == "change"
    assert roles["service:checkout"] == "effect"


def test_services_off_the_path_are_not_drawn():
    labels = {node.label for node in draw("payment").nodes}

    assert "checkout" in labels
    assert not {"frontend", "cart", "catalog"} & labels


def test_many_alerts_of_one_rule_and_service_are_one_node():
    nodes = [node for node in draw(*["payment"] * 30).nodes if node.id.startswith("alert:")]

    assert [(node.label, node.detail) for node in nodes] == [("ServiceHighErrorRate", "payment, 30 times")]


def test_services_that_call_each_other_make_no_cycle():
    services = [
        build.known("payment", "checkout"),
        build.known("checkout", "payment"),
        build.known("frontend", "checkout"),
    ]
    diagnosis = draw("payment", "checkout", "frontend", services=services)

    before = {node.id: [edge.cause for edge in diagnosis.edges if edge.effect == node.id] for node in diagnosis.nodes}
    assert len(dag.order(before)) == len(diagnosis.nodes)


def test_without_a_cause_only_services_and_their_alerts_are_drawn():
    diagnosis = rootcause.join(build.incident("cart"), [build.alert()], [], build.SHOP, build.NOW)

    assert [node.id for node in diagnosis.nodes] == ["service:cart", "alert:cart:ServiceHighErrorRate"]
    assert [(edge.cause, edge.effect) for edge in diagnosis.edges] == [
        ("service:cart", "alert:cart:ServiceHighErrorRate")
    ]
