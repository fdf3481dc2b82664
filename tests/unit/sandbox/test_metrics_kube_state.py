"""The cluster's objects as metrics: kube-state-metrics' names and labels, and containers' use."""

import dataclasses

import pytest

from toban_sandbox.metrics.containers import Burst, ContainerUsage, targets, workload_of
from toban_sandbox.metrics.kube_state import KubeState, quantity


def pod(name="cart-5d-x", *, version="1", ready=True, restarts=0, state=None, last=None, labels=None):
    return {
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": f"uid-{name}",
            "resourceVersion": version,
            "labels": labels if labels is not None else {"app.kubernetes.io/name": "cart"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "cart-5d", "controller": True}],
        },
        "spec": {
            "nodeName": "node-1",
            "containers": [
                {
                    "name": "app",
                    "ports": [{"containerPort": 8080}],
                    "resources": {"limits": {"memory": "128Mi", "cpu": "250m"}},
                }
            ],
        },
        "status": {
            "phase": "Running",
            "podIP": "10.1.1.1",
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            "containerStatuses": [
                {
                    "name": "app",
                    "image": "shop/cart:1",
                    "ready": ready,
                    "restartCount": restarts,
                    "state": state or {"running": {}},
                    "lastState": last or {},
                }
            ],
        },
    }


class Objects:
    def __init__(self, **resources):
        self.resources = resources

    def list(self, resource, namespace=None):
        return self.resources.get(resource, [])


def found(samples):
    """{name: [(labels, value)]}."""
    result = {}
    for labels, value in samples:
        named = dict(labels)
        result.setdefault(named.pop("__name__"), []).append((named, value))
    return result


def test_a_pod_is_described_with_the_usual_names_and_labels():
    metrics = found(KubeState(Objects(pods=[pod()])).samples())
    own = {"namespace": "shop", "pod": "cart-5d-x"}
    phases = {labels["phase"]: value for labels, value in metrics["kube_pod_status_phase"]}
    assert phases == {"Pending": 0, "Running": 1, "Succeeded": 0, "Failed": 0, "Unknown": 0}
    assert metrics["kube_pod_owner"][0][0] == {
        **own,
        "owner_kind": "ReplicaSet",
        "owner_name": "cart-5d",
        "owner_is_controller": "true",
    }
    limits = {
        labels["resource"]: (labels["unit"], value) for labels, value in metrics["kube_pod_container_resource_limits"]
    }
    assert limits == {"memory": ("byte", 128 * 1024**2), "cpu": ("core", 0.25)}
    ready = {labels["condition"]: value for labels, value in metrics["kube_pod_status_ready"]}
    assert ready == {"true": 1, "false": 0, "unknown": 0}
    assert "kube_pod_container_status_waiting_reason" not in metrics


def test_a_crashing_container_shows_why_it_waits_and_how_it_ended():
    crashing = pod(
        ready=False,
        restarts=3,
        state={"waiting": {"reason": "CrashLoopBackOff"}},
        last={"terminated": {"reason": "OOMKilled", "exitCode": 137}},
    )
    metrics = found(KubeState(Objects(pods=[crashing])).samples())
    assert metrics["kube_pod_container_status_waiting_reason"][0][0]["reason"] == "CrashLoopBackOff"
    assert metrics["kube_pod_container_status_last_terminated_reason"][0][0]["reason"] == "OOMKilled"
    assert metrics["kube_pod_container_status_last_terminated_exitcode"][0][1] == 137
    assert metrics["kube_pod_container_status_restarts_total"][0][1] == 3


def test_an_object_is_described_anew_only_when_its_version_changes():
    objects = Objects(pods=[pod()])
    state = KubeState(objects)
    first = state.samples()
    objects.resources["pods"] = [pod(restarts=9)]
    assert state.samples() == first
    objects.resources["pods"] = [pod(restarts=9, version="2")]
    assert found(state.samples())["kube_pod_container_status_restarts_total"][0][1] == 9
    objects.resources["pods"] = []
    assert state.samples() == []


def test_a_deployments_counts_and_conditions_are_shown():
    deployment = {
        "metadata": {"name": "cart", "namespace": "shop", "uid": "d", "resourceVersion": "1", "generation": 4},
        "spec": {"replicas": 2},
        "status": {
            "observedGeneration": 3,
            "replicas": 3,
            "updatedReplicas": 1,
            "conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}],
        },
    }
    metrics = found(KubeState(Objects(deployments=[deployment])).samples())
    assert metrics["kube_deployment_spec_replicas"][0][1] == 2
    assert metrics["kube_deployment_status_replicas_available"][0][1] == 0
    assert metrics["kube_deployment_metadata_generation"][0][1] == 4
    conditions = {labels["status"]: value for labels, value in metrics["kube_deployment_status_condition"]}
    assert conditions == {"true": 0, "false": 1, "unknown": 0}


@pytest.mark.parametrize(
    ("text", "value"), [("128Mi", 134217728), ("250m", 0.25), ("2", 2), ("1.5Gi", 1610612736), (3, 3), ("odd", 0)]
)
def test_quantities_are_read(text, value):
    assert quantity(text) == value


@dataclasses.dataclass(frozen=True)
class Use:
    memory_bytes: int = 100
    cpu_cores: float = 0.5


def cpu_of(usage):
    return {dict(labels)["pod"]: value for labels, value in usage.samples() if "cpu" in dict(labels)["__name__"]}


def test_cpu_seconds_add_up_and_start_again_with_a_restarted_container():
    usage = ContainerUsage(lambda namespace, name: {"app": Use()}, seed=1)
    usage.add([pod()], now=10, seconds=10)
    usage.add([pod()], now=20, seconds=10)
    assert cpu_of(usage)["cart-5d-x"] == pytest.approx(10, rel=0.2)
    usage.add([pod(restarts=1)], now=21, seconds=1)
    assert cpu_of(usage)["cart-5d-x"] == pytest.approx(0.5, rel=0.2)


def test_memory_is_never_shown_above_what_the_container_has():
    usage = ContainerUsage(lambda namespace, name: {"app": Use(memory_bytes=1000)}, seed=1)
    for second in range(200):
        usage.add([pod()], now=second, seconds=1)
        memory = [value for labels, value in usage.samples() if "memory" in dict(labels)["__name__"]]
        assert 960 < memory[0] <= 1000


def test_a_burst_adds_cpu_to_one_workload_for_a_while():
    usage = ContainerUsage(lambda namespace, name: {"app": Use(cpu_cores=0.0)}, seed=1)
    usage.bursts.append(Burst("shop", "cart", 2.0, since=10, until=20))
    other = pod("other-1-x")
    other["metadata"]["ownerReferences"] = [{"kind": "ReplicaSet", "name": "other-1", "controller": True}]
    for second in range(30):
        usage.add([pod(), other], now=float(second), seconds=1)
    assert cpu_of(usage) == {"cart-5d-x": pytest.approx(20.0), "other-1-x": 0.0}
    assert usage.bursts == []


def test_a_pods_workload_is_read_from_its_replica_set():
    assert workload_of(pod()) == "cart"
    assert workload_of({"metadata": {"name": "alone"}}) == ""


def test_targets_are_up_while_their_containers_run():
    waiting = pod("cart-5d-y", state={"waiting": {"reason": "CrashLoopBackOff"}})
    no_address = pod("cart-5d-z")
    del no_address["status"]["podIP"]
    node = {"metadata": {"name": "node-1"}, "status": {"conditions": [{"type": "Ready", "status": "False"}]}}
    samples = targets([node], [pod(), waiting, no_address, pod("stray", labels={})])
    up = {dict(labels).get("pod") or dict(labels)["job"]: value for labels, value in samples}
    assert up == {"kube-state-metrics": 1, "kubelet": 0, "cart-5d-x": 1, "cart-5d-y": 0}
