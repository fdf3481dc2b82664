"""Nodes: heartbeats, silence, taints, pressure, and what becomes of their pods."""

import pytest

from support.cluster import MEBIBYTE, deployment, running
from toban_sandbox.kubelet import machines
from toban_sandbox.programs import Program

WRITER = Program("shop/writer:1.0", disk_bytes=10 * MEBIBYTE, disk_bytes_per_hour=3600.0 * MEBIBYTE)
HUNGRY = Program("shop/hungry:1.0", memory_base_bytes=5000 * MEBIBYTE)


@pytest.fixture
async def cluster():
    async with running(WRITER, HUNGRY) as found:
        yield found


async def long_time(cluster, seconds):
    """Simulated seconds in large strides."""
    for _ in range(int(seconds / 2)):
        cluster.clock.advance(2)
        await cluster.turns()


def node(cluster, name):
    return cluster.store.get("nodes", None, name)


def condition(cluster, name, kind="Ready"):
    return next(one for one in node(cluster, name)["status"]["conditions"] if one["type"] == kind)


def taints(cluster, name):
    return {(one["key"], one["effect"]) for one in node(cluster, name)["spec"].get("taints", [])}


async def web(cluster, replicas=3, **options):
    cluster.store.create("deployments", deployment("web", replicas=replicas, **options))
    await cluster.until(lambda: cluster.rolled_out("web"))


def pod_on(cluster, name):
    return next((pod for pod in cluster.pods("web") if pod["spec"].get("nodeName") == name), None)


async def test_every_node_renews_its_lease(cluster):
    await cluster.pass_time(0.2)
    before = cluster.store.get("leases", "kube-node-lease", "node-1")["spec"]["renewTime"]
    await long_time(cluster, 30)
    assert cluster.store.get("leases", "kube-node-lease", "node-1")["spec"]["renewTime"] > before
    assert condition(cluster, "node-1")["status"] == "True"


async def test_a_node_whose_kubelet_stops_becomes_unknown_and_loses_its_pods_after_a_while(cluster):
    await web(cluster)
    cluster.kubelet.machines.set_fault("node-1", machines.KUBELET_STOPPED)
    await long_time(cluster, 60)
    assert condition(cluster, "node-1")["status"] == "Unknown"
    assert condition(cluster, "node-1")["message"] == "Kubelet stopped posting node status."
    assert ("node.kubernetes.io/unreachable", "NoExecute") in taints(cluster, "node-1")
    lost = pod_on(cluster, "node-1")
    assert not lost["metadata"].get("deletionTimestamp")
    ready = next(one for one in lost["status"]["conditions"] if one["type"] == "Ready")
    assert ready["status"] == "False"
    await long_time(cluster, 320)
    assert cluster.store.get("pods", "shop", lost["metadata"]["name"])["metadata"]["deletionTimestamp"]
    assert cluster.events("TaintManagerEviction")[0]["message"] == (
        f"Marking for deletion Pod shop/{lost['metadata']['name']}"
    )
    await cluster.until(lambda: cluster.deployment("web")["status"].get("readyReplicas") == 3)
    cluster.kubelet.machines.set_fault("node-1", "")
    await cluster.until(lambda: cluster.store.get("pods", "shop", lost["metadata"]["name"]) is None)
    assert condition(cluster, "node-1")["status"] == "True"
    await cluster.until(lambda: not taints(cluster, "node-1"))


async def test_a_machine_that_was_off_starts_its_containers_anew(cluster):
    await web(cluster)
    cluster.kubelet.machines.set_fault("node-2", machines.DOWN)
    await long_time(cluster, 60)
    cluster.kubelet.machines.set_fault("node-2", "")
    await cluster.until(lambda: cluster.rolled_out("web"))
    status = pod_on(cluster, "node-2")["status"]["containerStatuses"][0]
    assert status["restartCount"] == 1
    assert status["lastState"]["terminated"]["exitCode"] == 255


async def test_a_node_that_is_deleted_takes_its_pods_along(cluster):
    await web(cluster)
    cluster.store.delete("nodes", None, "node-3")
    await long_time(cluster, 60)
    await cluster.until(lambda: cluster.rolled_out("web"))
    assert pod_on(cluster, "node-3") is None


async def test_a_cordoned_node_is_tainted_until_it_is_let_loose(cluster):
    known = node(cluster, "node-1")
    cluster.store.update("nodes", known | {"spec": known["spec"] | {"unschedulable": True}})
    await cluster.pass_time(0.3)
    assert taints(cluster, "node-1") == {("node.kubernetes.io/unschedulable", "NoSchedule")}
    known = node(cluster, "node-1")
    cluster.store.update("nodes", known | {"spec": known["spec"] | {"unschedulable": False}})
    await cluster.until(lambda: not taints(cluster, "node-1"))


async def test_a_taint_drives_out_the_pods_that_do_not_bear_it(cluster):
    bearing = {"tolerations": [{"key": "maintenance", "operator": "Exists", "effect": "NoExecute"}]}
    cluster.store.create("deployments", deployment("stays", replicas=3, pod=bearing))
    await web(cluster)
    await cluster.until(lambda: cluster.rolled_out("stays"))
    known = node(cluster, "node-1")
    taint = [{"key": "maintenance", "effect": "NoExecute"}]
    cluster.store.update("nodes", known | {"spec": known["spec"] | {"taints": taint}})
    await cluster.pass_time(5)
    assert pod_on(cluster, "node-1") is None
    assert any(pod["spec"]["nodeName"] == "node-1" for pod in cluster.pods("stays"))


async def test_a_node_under_pressure_says_so_and_evicts(cluster):
    await web(cluster)
    cluster.kubelet.machines.set_fault("node-1", machines.MEMORY)
    await long_time(cluster, 12)
    assert condition(cluster, "node-1", "MemoryPressure")["reason"] == "KubeletHasInsufficientMemory"
    assert ("node.kubernetes.io/memory-pressure", "NoSchedule") in taints(cluster, "node-1")
    evicted = next(pod for pod in cluster.pods("web") if pod["status"].get("reason") == "Evicted")
    assert evicted["status"]["message"].startswith(
        "The node was low on resource: memory. Threshold quantity: 100Mi, available: 61844Ki. Container app was using"
    )
    cluster.kubelet.machines.set_fault("node-1", "")
    await cluster.pass_time(1)
    assert condition(cluster, "node-1", "MemoryPressure")["status"] == "False"


async def test_pods_that_really_use_up_a_node_are_evicted_from_it(cluster):
    known = node(cluster, "node-1")
    for name in ("node-2", "node-3"):
        other = node(cluster, name)
        cluster.store.update("nodes", other | {"spec": other["spec"] | {"unschedulable": True}})
    assert known["status"]["capacity"]["memory"] == "8Gi"
    cluster.store.create("deployments", deployment("web", "shop/hungry:1.0", replicas=2))
    await cluster.pass_time(3)
    await long_time(cluster, 12)
    assert any(pod["status"].get("reason") == "Evicted" for pod in cluster.pods("web"))


async def test_a_container_that_writes_more_than_its_limit_is_evicted(cluster):
    container = {"resources": {"limits": {"ephemeral-storage": "50Mi"}}}
    cluster.store.create("deployments", deployment("web", "shop/writer:1.0", container=container))
    await cluster.pass_time(3)
    await long_time(cluster, 60)
    evicted = next(pod for pod in cluster.pods("web") if pod["status"].get("reason") == "Evicted")
    assert evicted["status"]["message"] == 'Container app exceeded its local ephemeral storage limit "50Mi". '


async def test_a_node_can_be_broken_by_its_annotation(cluster):
    known = node(cluster, "node-1")
    notes = {**known["metadata"]["annotations"], "sim.toban/fault": "kubelet-stopped"}
    cluster.store.update("nodes", known | {"metadata": known["metadata"] | {"annotations": notes}})
    await long_time(cluster, 60)
    assert condition(cluster, "node-1")["status"] == "Unknown"


def test_an_unknown_fault_of_a_node_is_refused(cluster):
    with pytest.raises(ValueError, match="unknown fault of a node"):
        cluster.kubelet.machines.set_fault("node-1", "haunted")
