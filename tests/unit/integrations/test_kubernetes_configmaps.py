"""Restoring a ConfigMap against a small API in memory."""

import copy

import httpx2
import pytest

from toban.errors import InvalidInputError, OutcomeUnknownError, UpstreamConflictError
from toban.integrations.kubernetes import documents
from toban.integrations.kubernetes.configmaps import uses
from toban.model.action import ProbeResult
from toban.model.verification import CheckResult

PATH = "api/v1/namespaces/shop/configmaps/payment-config"
PARAMS = {
    "namespace": "shop",
    "name": "payment-config",
    "data": {"app.yaml": "retries: 3\nmode: full\n", "LIMIT": "7"},
    "labels": {"app.kubernetes.io/name": "payment"},
}


@pytest.fixture
async def prepared(kubernetes):
    action = kubernetes["kubernetes.restore_configmap"]
    params = action.parameters(**PARAMS)
    return action, params, await action.targets(params)


def pod(cluster, name, *, ready, config="payment-config"):
    spec = {"containers": [{"name": "app", "envFrom": [{"configMapRef": {"name": config}}]}]}
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    cluster.put(f"api/v1/namespaces/shop/pods/{name}", {"spec": spec, "status": {"conditions": conditions}})


async def test_the_target_is_an_object_that_does_not_exist_yet(prepared):
    _, _, (target,) = prepared
    assert (str(target.ref), target.exists, target.uid) == ("ConfigMap shop/payment-config", False, "")


async def test_a_config_map_that_exists_is_not_restored(cluster, prepared):
    action, params, targets = prepared
    cluster.put(PATH, {"data": {"LIMIT": "8"}})
    with pytest.raises(InvalidInputError, match="exists already; nothing to restore"):
        await action.targets(params)
    with pytest.raises(UpstreamConflictError):
        await action.run(params, targets, "RUN-0001.1")
    assert cluster.objects[PATH]["data"] == {"LIMIT": "8"}


async def test_a_dry_run_creates_nothing_and_shows_what_the_run_then_creates(cluster, prepared):
    action, params, targets = prepared
    pod(cluster, "payment-1", ready=False)
    before = copy.deepcopy(cluster.objects)
    dry = await action.dry_run(params, targets)
    assert cluster.objects == before
    assert (dry.possible, dry.touched_replicas, dry.total_replicas) == (True, 0, 1)
    assert dry.diff.startswith("--- live  v1 ConfigMap shop/payment-config (does not exist)\n")
    assert "+    retries: 3" in dry.diff
    await action.run(params, targets, "RUN-0001.1")
    made = cluster.objects[PATH]
    assert (made["data"], made["metadata"]["labels"]) == (PARAMS["data"], PARAMS["labels"])
    title = "v1 ConfigMap shop/payment-config"
    assert documents.diff(None, made, title=title, origin="server-side dry-run") == dry.diff


async def test_the_probe_tells_before_from_after(cluster, prepared):
    action, params, targets = prepared
    assert (await action.probe(params, targets, "RUN-0001.1")).result is ProbeResult.ABSENT
    await action.run(params, targets, "RUN-0001.1")
    assert (await action.probe(params, targets, "RUN-0001.1")).result is ProbeResult.PRESENT
    assert (await action.probe(params, targets, "RUN-0002.1")).result is ProbeResult.UNKNOWN


async def test_the_probe_finds_a_write_whose_answer_was_lost(cluster, prepared):
    action, params, targets = prepared

    def lost(request):
        if request.method == "POST":
            raise httpx2.ReadTimeout("silent")

    cluster.after = lost
    with pytest.raises(OutcomeUnknownError):
        await action.run(params, targets, "RUN-0001.1")
    assert (await action.probe(params, targets, "RUN-0001.1")).result is ProbeResult.PRESENT


async def test_permission_to_create_is_asked_of_kubernetes(cluster, prepared):
    action, params, _ = prepared
    assert (await action.permitted(params))[0]
    cluster.allowed = False
    allowed, reason = await action.permitted(params)
    assert not allowed
    assert "create configmaps in namespace shop" in reason


async def test_the_check_waits_for_the_pods_that_use_it(cluster, prepared):
    action, params, targets = prepared
    pod(cluster, "payment-1", ready=True)
    pod(cluster, "payment-2", ready=False)
    pod(cluster, "other", ready=False, config="another")
    assert (await action.check(params, targets)).result is CheckResult.FAILED
    await action.run(params, targets, "RUN-0001.1")
    assert (await action.check(params, targets)).result is CheckResult.INCONCLUSIVE
    pod(cluster, "payment-2", ready=True)
    assert (await action.check(params, targets)).result is CheckResult.PASSED


async def test_other_content_fails_the_check_and_no_data_is_inconclusive(cluster, prepared, refusal):
    action, params, targets = prepared
    cluster.put(PATH, {"data": {"LIMIT": "8"}})
    assert (await action.check(params, targets)).result is CheckResult.FAILED
    cluster.fault = lambda _: refusal(503, "down")
    assert (await action.check(params, targets)).result is CheckResult.INCONCLUSIVE


async def test_there_is_no_way_back(prepared):
    action, params, targets = prepared
    assert await action.undo(params, targets) is None
    assert not action.spec.reversible


def container(**fields):
    return {"containers": [{"name": "app", **fields}]}


@pytest.mark.parametrize(
    "spec",
    [
        container(envFrom=[{"configMapRef": {"name": "cfg"}}]),
        container(env=[{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "cfg", "key": "a"}}}]),
        {"initContainers": [{"name": "i", "envFrom": [{"configMapRef": {"name": "cfg"}}]}], "containers": []},
        {"containers": [], "volumes": [{"configMap": {"name": "cfg"}}]},
        {"containers": [], "volumes": [{"projected": {"sources": [{"configMap": {"name": "cfg"}}]}}]},
    ],
)
def test_every_way_to_use_a_config_map_is_seen(spec):
    assert uses(spec, "cfg")
    assert not uses(spec, "cf")


def test_what_does_not_use_it_is_not_taken_for_a_user():
    spec = container(env=[{"name": "A", "value": "cfg"}], envFrom=[{"secretRef": {"name": "cfg"}}])
    assert not uses({**spec, "volumes": [{"secret": {"secretName": "cfg"}}, {"emptyDir": {}}]}, "cfg")


@pytest.mark.parametrize(
    "wrong",
    [
        {"data": {}},
        {"data": {"a/b": "x"}},
        {"data": {"a": 5}},
        {"data": {"a": "x" * 1024 * 1024}},
        {"labels": {"bad key": "x"}},
        {"labels": {"key": "bad value"}},
        {"name": "Payment"},
    ],
)
def test_content_that_kubernetes_would_not_take_is_refused_at_once(kubernetes_parameters, wrong):
    with pytest.raises(ValueError, match="validation error"):
        kubernetes_parameters["kubernetes.restore_configmap"](**{**PARAMS, **wrong})
