"""HorizontalPodAutoscalers: up with the load, down with patience, and what they say when they cannot tell."""

import pytest

from support.cluster import deployment, running
from toban_sandbox.programs import Program

WEB = Program("shop/web:1.0", capacity_rps=100)
SIZED = {"resources": {"requests": {"cpu": "100m"}}}


@pytest.fixture
async def cluster():
    async with running(WEB) as found:
        yield found


async def start(cluster, container=SIZED, **spec):
    cluster.store.create("deployments", deployment("web", "shop/web:1.0", container=container))
    await cluster.until(lambda: cluster.rolled_out("web"))
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": spec.pop("target", "web")}
    cluster.store.create(
        "horizontalpodautoscalers",
        {
            "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"scaleTargetRef": target, "maxReplicas": 5, **spec},
        },
    )
    await cluster.pass_time(0.3)


def scaler(cluster):
    return cluster.store.get("horizontalpodautoscalers", "shop", "web")


def condition(cluster, kind):
    return next(one for one in scaler(cluster)["status"]["conditions"] if one["type"] == kind)


def size(cluster):
    return cluster.deployment("web")["spec"]["replicas"]


async def minutes(cluster, count):
    for _ in range(count * 30):
        cluster.clock.advance(2)
        await cluster.turns()


async def test_more_load_makes_more_replicas_and_less_load_fewer_after_a_while(cluster):
    await start(cluster)
    cluster.load.set_rps("shop", "web", 22)
    await minutes(cluster, 2)
    assert size(cluster) == 3
    assert cluster.events("SuccessfulRescale")[0]["message"] == (
        "New size: 3; reason: cpu resource utilization (percentage of request) above target"
    )
    assert condition(cluster, "ScalingActive")["reason"] == "ValidMetricFound"
    assert scaler(cluster)["status"]["currentMetrics"][0]["resource"]["current"]["averageUtilization"] == pytest.approx(
        76, abs=4
    )
    cluster.load.set_rps("shop", "web", 1)
    await minutes(cluster, 2)
    assert size(cluster) == 3
    assert condition(cluster, "AbleToScale")["reason"] == "ScaleDownStabilized"
    await minutes(cluster, 6)
    assert size(cluster) == 1
    assert cluster.events("SuccessfulRescale")[-1]["message"] == "New size: 1; reason: All metrics below target"


async def test_the_maximum_is_never_passed(cluster):
    await start(cluster)
    cluster.load.set_rps("shop", "web", 500)
    await minutes(cluster, 4)
    assert size(cluster) == 5
    assert condition(cluster, "ScalingLimited")["reason"] == "TooManyReplicas"


async def test_a_workload_without_requests_cannot_be_judged(cluster):
    await start(cluster, container={})
    name = cluster.only_pod("web")["metadata"]["name"]
    why = f"failed to get cpu utilization: missing request for cpu in container app of Pod {name}"
    assert condition(cluster, "ScalingActive")["message"] == f"the HPA was unable to compute the replica count: {why}"
    assert cluster.events("FailedGetResourceMetric")[0]["message"] == why
    assert size(cluster) == 1


async def test_a_target_that_is_not_there_is_named(cluster):
    await start(cluster, target="nobody")
    text = 'the HPA controller was unable to get the target\'s current scale: deployments.apps "nobody" not found'
    assert condition(cluster, "AbleToScale")["message"] == text


async def test_too_few_replicas_are_brought_up_to_the_minimum(cluster):
    await start(cluster, minReplicas=2)
    assert size(cluster) == 2
    assert "below Spec.MinReplicas" in cluster.events("SuccessfulRescale")[0]["message"]


async def test_the_old_version_shows_the_same_autoscaler(cluster):
    await start(cluster)
    path = "/apis/autoscaling/v1/namespaces/shop/horizontalpodautoscalers"
    async with cluster.client() as client:
        old = (await client.get(f"{path}/web")).json()
        assert old["apiVersion"] == "autoscaling/v1"
        assert old["spec"]["targetCPUUtilizationPercentage"] == 80
        patch = {"spec": {"targetCPUUtilizationPercentage": 50}}
        headers = {"content-type": "application/merge-patch+json"}
        answer = await client.patch(f"{path}/web", json=patch, headers=headers)
        assert answer.status_code == 200, answer.text
    assert scaler(cluster)["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 50
