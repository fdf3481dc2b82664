"""Quotas, limits, budgets, priorities and accounts: what a namespace and its pods may have, in Kubernetes' words."""

import pytest

from support.cluster import deployment, running
from toban_sandbox.kube.errors import ApiError


@pytest.fixture
async def cluster():
    async with running() as found:
        yield found


def quota(cluster, name="compute", **spec):
    cluster.store.create("resourcequotas", {"metadata": {"name": name, "namespace": "shop"}, "spec": spec})


def limits(cluster, **item):
    spec = {"limits": [{"type": "Container", **item}]}
    cluster.store.create("limitranges", {"metadata": {"name": "limits", "namespace": "shop"}, "spec": spec})


def pod(name="one", *, resources=None, **spec):
    container = {"name": "app", "image": "nginx:1.27"} | ({"resources": resources} if resources else {})
    return {"metadata": {"name": name, "namespace": "shop"}, "spec": {"containers": [container], **spec}}


def refusal(cluster, obj, resource="pods"):
    with pytest.raises(ApiError) as refused:
        cluster.store.create(resource, obj)
    assert refused.value.code == 403
    return refused.value.message


# -- quotas -----------------------------------------------------------------------------------------------------------
async def test_a_deployment_beyond_its_quota_tells_why_it_has_too_few_pods(cluster):
    quota(cluster, hard={"requests.cpu": "500m", "pods": "10"})
    resources = {"resources": {"requests": {"cpu": "200m"}}}
    cluster.store.create("deployments", deployment("web", replicas=3, container=resources))
    await cluster.pass_time(3)
    assert cluster.deployment("web")["status"]["readyReplicas"] == 2
    message = cluster.events("FailedCreate")[0]["message"]
    assert message.startswith('Error creating: pods "web-')
    assert message.endswith(
        "is forbidden: exceeded quota: compute, requested: requests.cpu=200m, used: requests.cpu=400m, "
        "limited: requests.cpu=500m"
    )
    conditions = {one["type"]: one for one in cluster.deployment("web")["status"]["conditions"]}
    assert conditions["ReplicaFailure"]["reason"] == "FailedCreate"
    used = cluster.store.get("resourcequotas", "shop", "compute")["status"]["used"]
    assert used == {"requests.cpu": "400m", "pods": "2"}


async def test_a_larger_quota_cures_the_deployment(cluster):
    quota(cluster, hard={"pods": "1"})
    cluster.store.create("deployments", deployment("web", replicas=2))
    await cluster.pass_time(2)
    assert len(cluster.pods("web")) == 1
    known = cluster.store.get("resourcequotas", "shop", "compute")
    cluster.store.update("resourcequotas", known | {"spec": {"hard": {"pods": "5"}}})
    await cluster.until(lambda: cluster.rolled_out("web"))


def test_a_quota_on_what_a_pod_does_not_say_is_refused(cluster):
    quota(cluster, hard={"limits.memory": "1Gi", "requests.cpu": "1"})
    assert refusal(cluster, pod()) == (
        'pods "one" is forbidden: failed quota: compute: must specify limits.memory for: app; requests.cpu for: app'
    )


def test_a_quota_counts_objects_too(cluster):
    quota(cluster, "things", hard={"count/deployments.apps": "1", "configmaps": "1"})
    cluster.store.create("deployments", deployment("web"))
    assert refusal(cluster, deployment("other"), "deployments") == (
        'deployments.apps "other" is forbidden: exceeded quota: things, requested: count/deployments.apps=1, '
        "used: count/deployments.apps=1, limited: count/deployments.apps=1"
    )


def test_a_quota_of_one_priority_leaves_others_alone(cluster):
    cluster.store.create("priorityclasses", {"metadata": {"name": "high"}, "value": 1000})
    selector = {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]}
    quota(cluster, hard={"pods": "0"}, scopeSelector=selector)
    cluster.store.create("pods", pod("plain"))
    assert "exceeded quota" in refusal(cluster, pod("high", priorityClassName="high"))


# -- limits -----------------------------------------------------------------------------------------------------------
def test_containers_get_the_limits_they_do_not_name(cluster):
    limits(cluster, default={"memory": "256Mi"}, defaultRequest={"cpu": "100m"})
    made = cluster.store.create("pods", pod())
    assert made["spec"]["containers"][0]["resources"] == {
        "limits": {"memory": "256Mi"},
        "requests": {"cpu": "100m", "memory": "256Mi"},
    }


@pytest.mark.parametrize(
    ("item", "resources", "why"),
    [
        (
            {"max": {"memory": "256Mi"}},
            {"limits": {"memory": "512Mi"}, "requests": {"memory": "128Mi"}},
            "maximum memory usage per Container is 256Mi, but limit is 512Mi",
        ),
        (
            {"min": {"cpu": "100m"}},
            {"requests": {"cpu": "50m"}},
            "minimum cpu usage per Container is 100m, but request is 50m",
        ),
        (
            {"maxLimitRequestRatio": {"cpu": "2"}},
            {"limits": {"cpu": "4"}, "requests": {"cpu": "1"}},
            "cpu max limit to request ratio per Container is 2, but provided ratio is 4.000000",
        ),
    ],
)
def test_what_a_limit_range_does_not_allow_is_refused(cluster, item, resources, why):
    limits(cluster, **item)
    assert refusal(cluster, pod(resources=resources)) == f'pods "one" is forbidden: {why}'


# -- accounts and priorities ------------------------------------------------------------------------------------------
async def test_a_deployment_whose_account_is_missing_starts_once_it_is_there(cluster):
    cluster.store.create("deployments", deployment("web", pod={"serviceAccountName": "robot"}))
    await cluster.pass_time(1)
    assert cluster.events("FailedCreate")[0]["message"].endswith(
        'is forbidden: error looking up service account shop/robot: serviceaccount "robot" not found'
    )
    cluster.store.create("serviceaccounts", {"metadata": {"name": "robot", "namespace": "shop"}})
    await cluster.until(lambda: cluster.rolled_out("web"))


async def test_the_default_account_of_a_namespace_comes_back(cluster):
    await cluster.pass_time(0.2)
    cluster.store.delete("serviceaccounts", "shop", "default")
    await cluster.until(lambda: cluster.store.get("serviceaccounts", "shop", "default"), at_most_s=1)


def test_a_pod_gets_the_priority_of_its_class(cluster):
    cluster.store.create("priorityclasses", {"metadata": {"name": "high"}, "value": 1000, "globalDefault": True})
    assert cluster.store.create("pods", pod())["spec"]["priority"] == 1000
    assert refusal(cluster, pod("two", priorityClassName="none")) == (
        'pods "two" is forbidden: no PriorityClass with name none was found'
    )


# -- budgets ----------------------------------------------------------------------------------------------------------
async def evict(cluster, name):
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name, "namespace": "shop"}}
    async with cluster.client() as client:
        return await client.post(f"/api/v1/namespaces/shop/pods/{name}/eviction", json=body)


def budget(cluster, **spec):
    spec = {"selector": {"matchLabels": {"app": "web"}}, **spec}
    cluster.store.create("poddisruptionbudgets", {"metadata": {"name": "web", "namespace": "shop"}, "spec": spec})


async def test_an_eviction_that_a_budget_forbids_is_refused_with_its_numbers(cluster):
    cluster.store.create("deployments", deployment("web", replicas=2))
    await cluster.until(lambda: cluster.rolled_out("web"))
    budget(cluster, minAvailable=2)
    await cluster.pass_time(0.2)
    answer = await evict(cluster, cluster.pods("web")[0]["metadata"]["name"])
    assert answer.status_code == 429
    body = answer.json()
    assert body["reason"] == "TooManyRequests"
    assert body["message"] == "Cannot evict pod as it would violate the pod's disruption budget."
    cause = body["details"]["causes"][0]
    assert cause["message"] == "The disruption budget web needs 2 healthy pods and has 2 currently"
    assert len(cluster.pods("web")) == 2


@pytest.mark.parametrize(
    ("spec", "allowed"),
    [
        ({"minAvailable": 1}, 2),
        ({"maxUnavailable": 1}, 1),
        ({"minAvailable": "50%"}, 1),
        ({"maxUnavailable": "34%"}, 2),
    ],
)
async def test_a_budget_shows_how_many_pods_may_go(cluster, spec, allowed):
    cluster.store.create("deployments", deployment("web", replicas=3))
    await cluster.until(lambda: cluster.rolled_out("web"))
    budget(cluster, **spec)
    await cluster.pass_time(0.2)
    status = cluster.store.get("poddisruptionbudgets", "shop", "web")["status"]
    assert (status["disruptionsAllowed"], status["expectedPods"], status["currentHealthy"]) == (allowed, 3, 3)
    answer = await evict(cluster, cluster.pods("web")[0]["metadata"]["name"])
    assert answer.status_code == 201


# -- endpoints --------------------------------------------------------------------------------------------------------
async def test_endpoints_say_the_same_as_the_slices(cluster):
    cluster.store.create("deployments", deployment("web", replicas=2))
    spec = {"selector": {"app": "web"}, "ports": [{"port": 80}]}
    cluster.store.create("services", {"metadata": {"name": "web", "namespace": "shop"}, "spec": spec})
    await cluster.until(lambda: cluster.rolled_out("web"))
    await cluster.pass_time(0.3)
    (subset,) = cluster.store.get("endpoints", "shop", "web")["subsets"]
    addresses = sorted(pod["status"]["podIP"] for pod in cluster.pods("web"))
    assert sorted(one["ip"] for one in subset["addresses"]) == addresses
    assert subset["ports"][0]["port"] == 80
