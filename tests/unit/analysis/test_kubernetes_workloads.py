"""Analyzers of deployments, nodes and changes."""

import pytest

from support import objects as build


def rolled(new, old=None, *, created=None, cause="", replicas=(2, 0), ready=(2, 0)):
    """The cart after a rollout from revision 1 to revision 2."""
    first = build.replicaset("cart", 1, old or build.template(), replicas=replicas[1], ready=ready[1])
    second = build.replicaset(
        "cart", 2, new, created=created or build.ago(minutes=5), cause=cause, replicas=replicas[0], ready=ready[0]
    )
    return build.inventory(
        deployments=[build.deployment("cart", new, revision=2)],
        replicasets=[first, second],
        pods=[build.pod(second), build.pod(second, 2)],
        services=[build.service("cart")],
    )


def of(code, *worlds, **more):
    return [finding for finding in build.analyze(*worlds, **more) if finding.code == code]


def test_a_rollout_shortly_before_the_start_is_found_with_images_revisions_and_cause():
    (found,) = of("change.rollout", rolled(build.template(image="shop/cart:1.1"), cause="ci-bot: release"))

    assert found.kind == "change"
    assert found.statement == (
        "Deployment shop/cart was rolled out to revision 2 (image shop/cart:1.0 → shop/cart:1.1), "
        "5 min before the first alert."
    )
    assert (found.facts["revision"], found.facts["previous_revision"]) == (2, 1)
    assert found.facts["seconds_before_start"] == 300
    assert found.facts["change_cause"] == "ci-bot: release"
    assert found.facts["changes"] == [
        {"path": "spec.containers[name=cart].image", "before": "shop/cart:1.0", "after": "shop/cart:1.1"}
    ]


def test_an_old_rollout_and_a_first_revision_are_no_news():
    assert of("change.rollout", rolled(build.template(image="x:1"), created=build.ago(minutes=600))) == []
    assert of("change.rollout", build.healthy("cart")) == []


def test_values_of_environment_variables_are_not_carried_along():
    world = rolled(build.template(env={"PASSWORD": "new-secret"}), build.template(env={"PASSWORD": "old-secret"}))

    (found,) = of("change.rollout", world)

    assert found.facts["changes"] == [
        {"path": "spec.containers[name=cart].env[name=PASSWORD].value", "before": "…", "after": "…"}
    ]
    assert "secret" not in found.model_dump_json()


def test_a_restart_is_told_from_a_change():
    again = build.template()
    again["metadata"]["annotations"] = {"kubectl.kubernetes.io/restartedAt": build.ago()}

    (found,) = of("change.rollout", rolled(again))

    assert found.facts["restart_only"] is True
    assert "a restart, nothing else changed" in found.statement


def test_a_return_to_an_old_revision_is_found_by_its_events():
    world = rolled(build.template(image="shop/cart:0.9"), created=build.ago(minutes=6000))
    old, new = (entry["metadata"]["name"] for entry in world["replicasets"])
    up = build.event("Deployment", "cart", "ScalingReplicaSet", f"Scaled up replica set {new} from 0 to 1")
    down = build.event("Deployment", "cart", "ScalingReplicaSet", f"Scaled down replica set {old} from 2 to 1")
    scaled_only = {**world, "events": [up]}
    returned = {**world, "events": [up, down]}

    assert of("change.rollout", scaled_only) == []
    assert len(of("change.rollout", returned)) == 1


def test_a_stuck_rollout_is_found_while_old_pods_still_serve():
    world = rolled(build.template(image="shop/cart:nope"), replicas=(1, 2), ready=(0, 2))
    world["pods"] = [build.pod(world["replicasets"][1], state=build.waiting("ImagePullBackOff"))]
    world["deployments"][0]["status"]["updatedReplicas"] = 1

    (found,) = of("rollout.stuck", world)

    assert found.statement == "The rollout of revision 2 of Deployment shop/cart is stuck: 0 of 2 new pods ready."


def test_a_rollout_past_its_deadline_is_stuck():
    world = build.healthy("cart")
    world["deployments"][0]["status"]["conditions"][1]["reason"] = "ProgressDeadlineExceeded"

    (found,) = of("rollout.stuck", world)

    assert found.facts["overdue"] is True


def test_a_rollout_that_is_merely_young_is_not_stuck():
    world = rolled(build.template(image="shop/cart:1.1"), replicas=(1, 2), ready=(0, 2))
    world["pods"] = [build.pod(world["replicasets"][1], state=build.waiting("ContainerCreating"))]

    assert of("rollout.stuck", world) == []


def test_a_deployment_without_available_replicas_is_found_unless_scaled_to_zero():
    down = build.inventory(deployments=[build.deployment("cart", available=0)])
    zero = build.inventory(deployments=[build.deployment("cart", replicas=0, available=0)])

    (found,) = of("deployment.unavailable", down)

    assert (found.value, found.expected) == (0, 2)
    assert of("deployment.unavailable", zero) == []


@pytest.mark.parametrize(
    ("conditions", "code"),
    [({"Ready": "Unknown"}, "node.not_ready"), ({"MemoryPressure": "True"}, "node.pressure")],
)
def test_a_node_in_trouble_names_the_services_on_it(conditions, code):
    world = build.healthy("cart")
    world["nodes"] = [build.node("node-1", **conditions), build.node("node-2")]
    world["pods"][0]["spec"] = {**world["pods"][0]["spec"], "nodeName": "node-1"}

    (found,) = build.analyze(world)

    assert found.code == code
    assert found.facts["services"] == ["cart"]
    assert str(found.subject) == "Node node-1"


def test_a_configmap_made_in_the_window_is_a_change_and_one_born_with_its_namespace_is_not():
    world = build.healthy("cart", references=["cart-config"])
    made = {"metadata": {"name": "cart-config", "creationTimestamp": build.ago(minutes=3)}, "data": {"A": "secret"}}
    born = {"metadata": {"name": "root-ca", "creationTimestamp": build.ago(minutes=10)}, "data": {}}
    world["namespace"] = {"metadata": {"name": "shop", "creationTimestamp": build.ago(minutes=10)}}
    world["configmaps"] = [made, born]

    (found,) = build.analyze(world)

    assert found.code == "change.configmap"
    assert found.subject.name == "cart-config"
    assert found.facts["used_by"] == ["cart"]
    assert found.service == "cart"
    assert "secret" not in found.model_dump_json()
