"""The scheduler: where pods go, and what it says when they cannot go anywhere."""

import pytest

from support.cluster import deployment, running

HELPLESS = (
    "no new claims to deallocate, preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."
)
HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"


@pytest.fixture
async def cluster():
    async with running() as found:
        yield found


def change_node(cluster, name, *, labels=None, **spec):
    node = cluster.store.get("nodes", None, name)
    meta = node["metadata"] | {"labels": {**node["metadata"]["labels"], **(labels or {})}}
    return cluster.store.update("nodes", node | {"metadata": meta, "spec": node["spec"] | spec})


async def start(cluster, name="web", **options):
    cluster.store.create("deployments", deployment(name, **options))
    await cluster.pass_time(0.5)


def places(cluster, name="web"):
    return sorted(pod["spec"].get("nodeName", "") for pod in cluster.pods(name))


def refusal(cluster):
    return cluster.events("FailedScheduling")[0]["message"]


def asking(**requests):
    return {"resources": {"requests": requests}}


def near(kind, key=HOST, app="web"):
    term = {"labelSelector": {"matchLabels": {"app": app}}, "topologyKey": key}
    return {"affinity": {kind: {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}}


def on_nodes(*expressions):
    terms = {"nodeSelectorTerms": [{"matchExpressions": list(expressions)}]}
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}}


async def test_more_than_a_node_ever_has_is_told_from_more_than_it_has_now(cluster):
    await start(cluster, "large", replicas=3, container=asking(cpu="3"))
    assert places(cluster, "large") == ["node-1", "node-2", "node-3"]
    await start(cluster, container=asking(cpu="2"))
    assert refusal(cluster) == (
        "0/3 nodes are available: 3 Insufficient cpu. no new claims to deallocate, preemption: 0/3 nodes are "
        "available: 3 No preemption victims found for incoming pod."
    )
    cluster.change("large", replicas=2)
    await cluster.until(lambda: cluster.rolled_out("web"))


async def test_every_node_tells_its_own_reason(cluster):
    change_node(cluster, "node-1", taints=[{"key": "team", "value": "data", "effect": "NoSchedule"}])
    change_node(cluster, "node-2", unschedulable=True)
    await start(cluster, container=asking(memory="64Gi"))
    assert refusal(cluster) == (
        "0/3 nodes are available: 1 Insufficient memory, 1 node(s) had untolerated taint {team: data}, "
        f"1 node(s) were unschedulable. {HELPLESS}"
    )
    condition = cluster.only_pod("web")["status"]["conditions"][0]
    assert (condition["type"], condition["status"], condition["reason"]) == ("PodScheduled", "False", "Unschedulable")


async def test_a_node_selector_that_nothing_fits_is_cured_by_a_label(cluster):
    await start(cluster, pod={"nodeSelector": {"disk": "ssd"}})
    assert (
        refusal(cluster) == f"0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector. {HELPLESS}"
    )
    change_node(cluster, "node-2", labels={"disk": "ssd"})
    await cluster.until(lambda: places(cluster) == ["node-2"])


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ({"key": ZONE, "operator": "In", "values": ["zone-b"]}, ["node-2"]),
        ({"key": ZONE, "operator": "NotIn", "values": ["zone-b", "zone-a"]}, ["node-3"]),
        ({"key": "rank", "operator": "Gt", "values": ["1"]}, ["node-2"]),
        ({"key": "rank", "operator": "Lt", "values": ["2"]}, ["node-1"]),
        ({"key": "rank", "operator": "Exists"}, ["node-1"]),
        ({"key": "rank", "operator": "DoesNotExist"}, ["node-3"]),
    ],
)
async def test_node_affinity_knows_every_operator(cluster, expression, expected):
    change_node(cluster, "node-1", labels={"rank": "1"})
    change_node(cluster, "node-2", labels={"rank": "2"})
    await start(cluster, pod=on_nodes(expression))
    assert places(cluster) == expected


async def test_a_preferred_node_is_taken_as_long_as_it_has_room(cluster):
    wish = {"weight": 10, "preference": {"matchExpressions": [{"key": ZONE, "operator": "In", "values": ["zone-c"]}]}}
    pod = {"affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [wish]}}}
    await start(cluster, replicas=3, pod=pod, container=asking(cpu="2"))
    assert places(cluster).count("node-3") == 2


async def test_pods_that_repel_each_other_run_on_different_nodes(cluster):
    await start(cluster, replicas=4, pod=near("podAntiAffinity"))
    assert places(cluster) == ["", "node-1", "node-2", "node-3"]
    assert refusal(cluster) == (
        "0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules. no new claims to deallocate, "
        "preemption: 0/3 nodes are available: 3 No preemption victims found for incoming pod."
    )


async def test_a_pod_that_is_repelled_by_others_says_so(cluster):
    await start(cluster, "db", replicas=3, pod=near("podAntiAffinity", app="web"))
    await start(cluster)
    assert "3 node(s) didn't satisfy existing pods anti-affinity rules" in refusal(cluster)


async def test_a_pod_that_wants_company_waits_for_it(cluster):
    await start(cluster, "sidekick", pod=near("podAffinity", app="hero"))
    assert "3 node(s) didn't match pod affinity rules" in refusal(cluster)
    await start(cluster, "hero")
    await cluster.until(lambda: places(cluster, "sidekick") == places(cluster, "hero") != [""])


async def test_the_first_of_pods_that_want_their_own_company_is_let_in(cluster):
    await start(cluster, replicas=2, pod=near("podAffinity", app="web"))
    assert len(set(places(cluster))) == 1


def spread(key=ZONE, skew=1):
    constraint = {
        "maxSkew": skew,
        "topologyKey": key,
        "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": {"matchLabels": {"app": "web"}},
    }
    return {"topologySpreadConstraints": [constraint]}


async def test_pods_are_spread_over_zones(cluster):
    change_node(cluster, "node-3", unschedulable=True)
    await start(cluster, replicas=3, pod=spread())
    assert places(cluster) == ["", "node-1", "node-2"]
    assert refusal(cluster).startswith(
        "0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) didn't match pod topology spread constraints. "
    )


async def test_a_spread_over_a_label_that_no_node_has_fits_nowhere(cluster):
    await start(cluster, pod=spread("rack"))
    assert "3 node(s) didn't match pod topology spread constraints (missing required label)" in refusal(cluster)


async def test_two_pods_cannot_have_the_same_port_of_a_node(cluster):
    port = {"ports": [{"containerPort": 80, "hostPort": 8080}]}
    await start(cluster, replicas=4, container=port)
    assert places(cluster) == ["", "node-1", "node-2", "node-3"]
    assert "3 node(s) didn't have free ports for the requested pod ports" in refusal(cluster)


async def test_a_gated_pod_is_not_looked_at_until_its_gates_are_open(cluster):
    pod = {"metadata": {"name": "gated", "namespace": "shop"}}
    pod["spec"] = {"schedulingGates": [{"name": "quota"}], "containers": [{"name": "app", "image": "nginx:1.27"}]}
    cluster.store.create("pods", pod)
    await cluster.pass_time(0.3)
    found = cluster.store.get("pods", "shop", "gated")
    assert found["status"]["conditions"][0]["reason"] == "SchedulingGated"
    spec = {key: value for key, value in found["spec"].items() if key != "schedulingGates"}
    cluster.store.update("pods", found | {"spec": spec})
    await cluster.until(lambda: cluster.store.get("pods", "shop", "gated")["spec"].get("nodeName"))


async def test_a_soft_taint_is_avoided_but_no_obstacle(cluster):
    soft = [{"key": "old", "effect": "PreferNoSchedule"}]
    for name in ("node-1", "node-2"):
        change_node(cluster, name, taints=soft)
    await start(cluster)
    assert places(cluster) == ["node-3"]
    change_node(cluster, "node-3", unschedulable=True)
    cluster.change("web", replicas=2)
    await cluster.until(lambda: cluster.rolled_out("web"))


async def test_no_node_at_all_has_words_of_its_own(cluster):
    for number in (1, 2, 3):
        cluster.store.delete("nodes", None, f"node-{number}")
    await start(cluster)
    assert refusal(cluster) == "no nodes available to schedule pods"
