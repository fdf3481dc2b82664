"""Controllers and scheduler: rollouts, sizes, history, garbage and places."""

import pytest

from support.cluster import deployment, running
from toban_sandbox.controllers import rollout
from toban_sandbox.kube import deletion, kinds


@pytest.fixture
async def cluster():
    async with running() as found:
        yield found


def condition(obj, kind):
    return next((one for one in obj["status"]["conditions"] if one["type"] == kind), None)


def replicasets(cluster, name):
    return [one for one in cluster.store.list("replicasets", "shop") if one["metadata"]["name"].startswith(f"{name}-")]


def delete(cluster, resource, namespace, name, **options):
    obj = cluster.store.get(resource, namespace, name)
    return deletion.delete(cluster.store, kinds.stored(resource), obj, deletion.Options(**options))


async def rolled_out(cluster, name):
    await cluster.until(lambda: cluster.rolled_out(name))


# -- deployments ------------------------------------------------------------------------------------------------------
async def test_a_new_deployment_gets_its_pods_and_says_it_is_available(cluster):
    cluster.store.create("deployments", deployment("web", replicas=3))
    await rolled_out(cluster, "web")
    obj = cluster.deployment("web")
    assert len(cluster.pods("web")) == 3
    assert condition(obj, "Available")["reason"] == "MinimumReplicasAvailable"
    assert condition(obj, "Progressing")["reason"] == "NewReplicaSetAvailable"
    assert obj["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
    assert cluster.events("ScalingReplicaSet")[0]["message"].startswith("Scaled up replica set web-")


async def test_a_rollout_never_has_fewer_or_more_pods_than_its_strategy_allows(cluster):
    cluster.store.create("deployments", deployment("web", replicas=4))
    await rolled_out(cluster, "web")
    seen = []
    cluster.change_container("web", image="nginx:1.28")
    for _ in range(200):
        await cluster.pass_time(0.1)
        pods = [one for one in cluster.pods("web") if not one["metadata"].get("deletionTimestamp")]
        ready = [one for one in pods if one["status"].get("containerStatuses", [{}])[0].get("ready")]
        seen.append((len(pods), len(ready)))
        if cluster.rolled_out("web"):
            break
    assert cluster.rolled_out("web")
    assert max(total for total, _ in seen) <= 5
    assert min(ready for _, ready in seen) >= 3


async def test_a_rollout_that_cannot_succeed_keeps_the_old_pods_and_misses_its_deadline(cluster):
    cluster.store.create("deployments", deployment("web", replicas=4, progressDeadlineSeconds=10))
    await rolled_out(cluster, "web")
    cluster.change_container("web", image="nginx:does-not-exist")
    await cluster.until(
        lambda: condition(cluster.deployment("web"), "Progressing")["reason"] == "ProgressDeadlineExceeded"
    )
    obj = cluster.deployment("web")
    assert condition(obj, "Progressing")["status"] == "False"
    assert obj["status"]["availableReplicas"] == 3
    assert condition(obj, "Available")["status"] == "True"


async def test_going_back_uses_the_old_replicaset_again_under_a_new_revision(cluster):
    cluster.store.create("deployments", deployment("web", replicas=2))
    await rolled_out(cluster, "web")
    first = replicasets(cluster, "web")[0]["metadata"]["name"]
    cluster.change_container("web", image="nginx:1.28")
    await rolled_out(cluster, "web")
    cluster.change_container("web", image="nginx:1.27")
    await rolled_out(cluster, "web")
    found = {one["metadata"]["name"]: one for one in replicasets(cluster, "web")}
    assert len(found) == 2
    assert found[first]["spec"]["replicas"] == 2
    assert found[first]["metadata"]["annotations"][rollout.REVISION] == "3"
    assert found[first]["metadata"]["annotations"][rollout.REVISION_HISTORY] == "1"


async def test_only_so_many_old_replicasets_are_kept(cluster):
    cluster.store.create("deployments", deployment("web", revisionHistoryLimit=2))
    for version in range(27, 32):
        cluster.change_container("web", image=f"nginx:1.{version}")
        await rolled_out(cluster, "web")
    await cluster.pass_time(1)
    assert len(replicasets(cluster, "web")) == 3


async def test_a_paused_deployment_does_not_roll_out_but_still_scales(cluster):
    cluster.store.create("deployments", deployment("web", replicas=2))
    await rolled_out(cluster, "web")
    cluster.change("web", paused=True)
    cluster.change_container("web", image="nginx:1.28")
    await cluster.pass_time(3)
    assert len(replicasets(cluster, "web")) == 1
    assert condition(cluster.deployment("web"), "Progressing")["reason"] == "DeploymentPaused"
    cluster.change("web", replicas=3)
    await cluster.pass_time(3)
    assert len(cluster.pods("web")) == 3
    cluster.change("web", paused=False)
    await rolled_out(cluster, "web")
    assert len(replicasets(cluster, "web")) == 2


async def test_recreate_stops_every_old_pod_before_it_starts_a_new_one(cluster):
    cluster.store.create("deployments", deployment("web", replicas=2, strategy={"type": "Recreate"}))
    await rolled_out(cluster, "web")
    cluster.change_container("web", image="nginx:1.28")
    images = []
    for _ in range(60):
        await cluster.pass_time(0.1)
        images.append({one["spec"]["containers"][0]["image"] for one in cluster.pods("web")})
        if cluster.rolled_out("web"):
            break
    assert cluster.rolled_out("web")
    assert all(len(found) <= 1 for found in images)


async def test_a_resize_in_the_middle_of_a_rollout_is_shared_out(cluster):
    cluster.store.create("deployments", deployment("web", replicas=4))
    await rolled_out(cluster, "web")
    cluster.change_container("web", image="nginx:does-not-exist")
    await cluster.pass_time(3)
    cluster.change("web", replicas=8)
    await cluster.pass_time(3)
    sizes = [one["spec"]["replicas"] for one in replicasets(cluster, "web")]
    assert sum(sizes) == 10
    assert all(sizes)


async def test_a_pod_that_is_deleted_comes_back_under_another_name(cluster):
    cluster.store.create("deployments", deployment("web"))
    await rolled_out(cluster, "web")
    before = cluster.only_pod("web")["metadata"]["name"]
    delete(cluster, "pods", "shop", before)
    await cluster.pass_time(3)
    assert cluster.only_pod("web")["metadata"]["name"] != before
    assert cluster.rolled_out("web")


async def test_the_least_useful_pod_goes_first_when_scaling_down(cluster):
    cluster.store.create("deployments", deployment("web", replicas=2))
    await rolled_out(cluster, "web")
    kept = {one["metadata"]["name"] for one in cluster.pods("web")}
    cluster.change("web", replicas=3)
    await cluster.turns()
    cluster.change("web", replicas=2)
    await cluster.pass_time(3)
    assert {one["metadata"]["name"] for one in cluster.pods("web")} == kept


async def test_pods_are_available_only_after_being_ready_for_long_enough(cluster):
    cluster.store.create("deployments", deployment("web", minReadySeconds=5))
    await cluster.pass_time(3)
    status = cluster.deployment("web")["status"]
    assert status["readyReplicas"] == 1
    assert "availableReplicas" not in status
    await cluster.pass_time(5)
    assert cluster.deployment("web")["status"]["availableReplicas"] == 1


# -- garbage and namespaces -------------------------------------------------------------------------------------------
async def test_deleting_a_deployment_takes_its_replicasets_and_pods_along(cluster):
    cluster.store.create("deployments", deployment("web", replicas=2))
    await rolled_out(cluster, "web")
    delete(cluster, "deployments", "shop", "web")
    await cluster.pass_time(2)
    assert replicasets(cluster, "web") == []
    assert cluster.pods("web") == []


async def test_an_orphaning_delete_leaves_the_dependents(cluster):
    cluster.store.create("deployments", deployment("web", replicas=2))
    await rolled_out(cluster, "web")
    delete(cluster, "deployments", "shop", "web", policy="Orphan")
    await cluster.pass_time(2)
    assert cluster.deployment("web") is None
    (left,) = replicasets(cluster, "web")
    assert not left["metadata"]["ownerReferences"]
    assert len(cluster.pods("web")) == 2


async def test_a_foreground_delete_waits_for_the_dependents(cluster):
    cluster.store.create("deployments", deployment("web", replicas=2))
    await rolled_out(cluster, "web")
    _, gone = delete(cluster, "deployments", "shop", "web", policy="Foreground")
    assert not gone
    await cluster.turns()
    assert cluster.deployment("web")["metadata"]["finalizers"] == [deletion.FOREGROUND]
    await cluster.pass_time(2)
    assert cluster.deployment("web") is None
    assert cluster.pods("web") == []


async def test_a_deleted_namespace_is_emptied_before_it_goes(cluster):
    cluster.store.create("deployments", deployment("web", replicas=2))
    await rolled_out(cluster, "web")
    delete(cluster, "namespaces", None, "shop")
    await cluster.turns()
    assert cluster.store.get("namespaces", None, "shop")["status"]["phase"] == "Terminating"
    await cluster.pass_time(2)
    assert cluster.store.get("namespaces", None, "shop") is None
    assert not any(
        cluster.store.list(resource, "shop") for resource in ("pods", "deployments", "replicasets", "events")
    )


async def test_every_namespace_is_furnished(cluster):
    assert cluster.store.get("serviceaccounts", "shop", "default")
    assert cluster.store.get("configmaps", "shop", "kube-root-ca.crt")


# -- services ---------------------------------------------------------------------------------------------------------
async def test_a_service_lists_its_pods_and_says_which_are_ready(cluster):
    service = {"metadata": {"name": "web", "namespace": "shop"}}
    service["spec"] = {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}]}
    cluster.store.create("services", service)
    ports = [{"name": "http", "containerPort": 8080}]
    cluster.store.create("deployments", deployment("web", replicas=2, container={"ports": ports}))
    await rolled_out(cluster, "web")
    await cluster.turns()
    (found,) = cluster.store.list("endpointslices", "shop")
    assert found["ports"] == [{"name": "", "port": 8080, "protocol": "TCP"}]
    addresses = {pod["status"]["podIP"] for pod in cluster.pods("web")}
    assert {one["addresses"][0] for one in found["endpoints"]} == addresses
    assert all(one["conditions"]["ready"] for one in found["endpoints"])
    cluster.change("web", replicas=0)
    await cluster.pass_time(2)
    (found,) = cluster.store.list("endpointslices", "shop")
    assert found["endpoints"] == []


# -- scheduler --------------------------------------------------------------------------------------------------------
async def test_replicas_are_spread_over_the_nodes(cluster):
    cluster.store.create("deployments", deployment("web", replicas=6))
    await rolled_out(cluster, "web")
    nodes = [pod["spec"]["nodeName"] for pod in cluster.pods("web")]
    assert sorted(nodes.count(node) for node in set(nodes)) == [2, 2, 2]


async def test_a_pod_that_fits_nowhere_says_why(cluster):
    container = {"resources": {"requests": {"cpu": "64"}}}
    cluster.store.create("deployments", deployment("big", container=container))
    await cluster.turns()
    pod = cluster.only_pod("big")
    (found,) = pod["status"]["conditions"]
    assert (found["type"], found["status"], found["reason"]) == ("PodScheduled", "False", "Unschedulable")
    assert found["message"].startswith("0/3 nodes are available: 3 Insufficient cpu.")
    assert cluster.events("FailedScheduling")[0]["message"] == found["message"]


async def test_a_waiting_pod_is_placed_as_soon_as_there_is_room(cluster):
    container = {"resources": {"requests": {"cpu": "3"}}}
    cluster.store.create("deployments", deployment("big", replicas=4, container=container))
    await cluster.pass_time(3)
    assert sorted(bool(pod["spec"].get("nodeName")) for pod in cluster.pods("big")) == [False, True, True, True]
    placed = next(pod for pod in cluster.pods("big") if pod["spec"].get("nodeName"))
    cluster.change("big", replicas=3)
    await cluster.pass_time(1)
    cluster.change("big", replicas=4)
    await cluster.turns()
    cluster.store.update(
        "nodes", _bigger(cluster.store.get("nodes", None, placed["spec"]["nodeName"])), subresource="status"
    )
    await cluster.pass_time(3)
    assert cluster.rolled_out("big")


def _bigger(node):
    return node | {"status": node["status"] | {"allocatable": node["status"]["allocatable"] | {"cpu": "16"}}}


async def test_cordoned_and_tainted_nodes_are_left_alone(cluster):
    for name, spec in (
        ("node-1", {"unschedulable": True}),
        ("node-2", {"taints": [{"key": "dedicated", "value": "db", "effect": "NoSchedule"}]}),
    ):
        node = cluster.store.get("nodes", None, name)
        cluster.store.update("nodes", node | {"spec": node["spec"] | spec})
    cluster.store.create("deployments", deployment("web", replicas=3))
    await rolled_out(cluster, "web")
    assert {pod["spec"]["nodeName"] for pod in cluster.pods("web")} == {"node-3"}


async def test_the_same_seed_gives_the_same_names_places_and_addresses():
    found = []
    for _ in range(2):
        async with running(seed=7) as cluster:
            cluster.store.create("deployments", deployment("web", replicas=5))
            await rolled_out(cluster, "web")
            found.append(
                sorted(
                    (p["metadata"]["name"], p["spec"]["nodeName"], p["status"]["podIP"]) for p in cluster.pods("web")
                )
            )
    assert found[0] == found[1]


async def test_events_are_forgotten_after_an_hour(cluster):
    cluster.store.create("deployments", deployment("web"))
    await rolled_out(cluster, "web")
    assert cluster.events("ScalingReplicaSet")
    cluster.clock.advance(4000)
    await cluster.turns()
    assert not cluster.events("ScalingReplicaSet")
