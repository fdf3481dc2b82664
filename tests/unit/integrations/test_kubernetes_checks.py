"""How a Deployment is checked after an action: complete, under way, or beyond hope. Against a small API in memory."""

import pytest

from toban.integrations.kubernetes import documents
from toban.model.verification import CheckResult

NAME = {"namespace": "shop", "name": "cart"}
ROLLBACK = ("kubernetes.rollback_deployment", NAME)
LIMIT = ("kubernetes.set_memory_limit", {**NAME, "container": "app", "limit": "256Mi"})
RESTART = ("kubernetes.restart_rollout", NAME)
ALL = pytest.mark.parametrize("call", [ROLLBACK, LIMIT, RESTART], ids=lambda call: call[0].split(".")[1])


async def prepared(kubernetes, call):
    action = kubernetes[call[0]]
    params = action.parameters(**call[1])
    return action, params, await action.targets(params)


async def after_the_run(kubernetes, cluster, call):
    """The action, having run; the controller has made revision 4 and its first pod."""
    action, params, targets = await prepared(kubernetes, call)
    await action.run(params, targets, "RUN-0001.1")
    live = cluster.change(
        "apis/apps/v1/namespaces/shop/deployments/cart",
        lambda obj: obj["metadata"]["annotations"].update({documents.REVISION: "4"}),
    )
    owner = [{"uid": live["metadata"]["uid"], "controller": True}]
    meta = {"annotations": {documents.REVISION: "4"}, "ownerReferences": owner, "uid": "rs-4"}
    cluster.put("apis/apps/v1/namespaces/shop/replicasets/cart-4", {"metadata": meta, "spec": {}})

    async def check(status=None, state=None, of="rs-4"):
        if status is not None:
            cluster.change("apis/apps/v1/namespaces/shop/deployments/cart", lambda obj: obj.update(status=status))
        if state is not None:
            statuses = [{"name": "app", "state": state}]
            pod = {"ownerReferences": [{"uid": of, "controller": True}]}
            path = "api/v1/namespaces/shop/pods/cart-4-x"
            cluster.put(path, {"metadata": pod, "status": {"containerStatuses": statuses}})
        return await action.check(params, targets)

    return check


COMPLETE = {"observedGeneration": 99, "replicas": 3, "updatedReplicas": 3, "availableReplicas": 3}


@ALL
async def test_a_complete_rollout_passes(kubernetes, cluster, cart, call):
    check = await after_the_run(kubernetes, cluster, call)
    found = await check(COMPLETE, {"running": {}})
    assert (found.kind, found.result, found.good_samples) == ("object", CheckResult.PASSED, 1)
    assert "rollout status deployment/cart" in found.query


@ALL
@pytest.mark.parametrize(
    "status",
    [
        {**COMPLETE, "observedGeneration": 3},
        {**COMPLETE, "updatedReplicas": 1},
        {**COMPLETE, "replicas": 4},
        {**COMPLETE, "availableReplicas": 2},
        {**COMPLETE, "unavailableReplicas": 1},
        {},
    ],
)
async def test_a_rollout_under_way_is_inconclusive(kubernetes, cluster, cart, call, status):
    check = await after_the_run(kubernetes, cluster, call)
    found = await check(status)
    assert (found.result, found.good_samples) == (CheckResult.INCONCLUSIVE, 0)
    assert found.detail


@ALL
@pytest.mark.parametrize(
    "reason", ["CrashLoopBackOff", "ImagePullBackOff", "ErrImagePull", "CreateContainerConfigError"]
)
async def test_a_new_pod_that_cannot_start_fails_the_rollout(kubernetes, cluster, cart, call, reason):
    check = await after_the_run(kubernetes, cluster, call)
    waiting = {"waiting": {"reason": reason, "message": "because of this"}}
    found = await check({**COMPLETE, "availableReplicas": 2}, waiting)
    assert found.result is CheckResult.FAILED
    assert reason in found.detail
    assert "because of this" in found.detail


async def test_an_old_pod_that_cannot_start_does_not_fail_the_rollout(kubernetes, cluster, cart):
    check = await after_the_run(kubernetes, cluster, ROLLBACK)
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    assert (await check({**COMPLETE, "replicas": 4}, waiting, of="rs-3")).result is CheckResult.INCONCLUSIVE


async def test_a_rollout_past_its_deadline_fails(kubernetes, cluster, cart):
    check = await after_the_run(kubernetes, cluster, ROLLBACK)
    late = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded", "message": "timed out"}
    found = await check({**COMPLETE, "updatedReplicas": 1, "conditions": [late]})
    assert (found.result, found.detail) == (CheckResult.FAILED, "timed out")


async def test_a_check_before_the_run_fails_since_nothing_is_changed(kubernetes, cart):
    action, params, targets = await prepared(kubernetes, ROLLBACK)
    assert (await action.check(params, targets)).result is CheckResult.FAILED


async def test_a_limit_that_somebody_set_back_fails_the_check(kubernetes, cluster, cart):
    check = await after_the_run(kubernetes, cluster, LIMIT)

    def somebody(obj):
        obj["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"] = "200Mi"

    cluster.change(cart, somebody)
    found = await check(COMPLETE)
    assert found.result is CheckResult.FAILED
    assert "200Mi" in found.detail


@ALL
async def test_no_data_is_inconclusive_and_a_deleted_deployment_has_failed(kubernetes, cluster, cart, call, refusal):
    check = await after_the_run(kubernetes, cluster, call)
    cluster.fault = lambda _: refusal(503, "down")
    assert (await check()).result is CheckResult.INCONCLUSIVE
    cluster.fault = lambda _: None
    del cluster.objects[cart]
    assert (await check()).result is CheckResult.FAILED
