"""The actions on Deployments against a small API in memory: plan, dry-run, write, read-back, way back."""

import copy
import json

import httpx2
import pytest

from toban.errors import InvalidInputError, OutcomeUnknownError, UpstreamConflictError, UpstreamRefusedError
from toban.integrations.kubernetes import documents
from toban.model.action import ProbeResult

NAME = {"namespace": "shop", "name": "cart"}
ROLLBACK = ("kubernetes.rollback_deployment", NAME)
LIMIT = ("kubernetes.set_memory_limit", {**NAME, "container": "app", "limit": "256Mi"})
RESTART = ("kubernetes.restart_rollout", NAME)
ALL = pytest.mark.parametrize("call", [ROLLBACK, LIMIT, RESTART], ids=lambda call: call[0].split(".")[1])


async def prepared(kubernetes, call):
    action = kubernetes[call[0]]
    params = action.parameters(**call[1])
    return action, params, await action.targets(params)


def changed_lines(diff):
    return [line for line in diff.splitlines()[2:] if line[0] in "+-"]


@ALL
async def test_the_target_is_the_deployment_with_its_hash_and_version(kubernetes, cluster, cart, call):
    _, _, (target,) = await prepared(kubernetes, call)
    live = cluster.objects[cart]
    assert str(target.ref) == "Deployment shop/cart"
    assert (target.uid, target.resource_version) == (live["metadata"]["uid"], live["metadata"]["resourceVersion"])
    assert target.spec_hash == documents.spec_hash(live)
    assert target.exists


@ALL
async def test_the_hash_of_a_target_changes_with_spec_and_labels_and_not_with_status(kubernetes, cluster, cart, call):
    action, params, (target,) = await prepared(kubernetes, call)
    cluster.change(cart, lambda obj: obj["status"].update(availableReplicas=1))
    assert (await action.targets(params))[0].spec_hash == target.spec_hash
    cluster.change(cart, lambda obj: obj["metadata"]["labels"].update(tier="front"))
    relabelled = (await action.targets(params))[0].spec_hash
    cluster.change(cart, lambda obj: obj["spec"].update(replicas=5))
    assert len({target.spec_hash, relabelled, (await action.targets(params))[0].spec_hash}) == 3


@ALL
async def test_a_deployment_that_does_not_exist_is_an_invalid_target(kubernetes, call):
    action = kubernetes[call[0]]
    with pytest.raises(InvalidInputError, match="no Deployment shop/cart"):
        await action.targets(action.parameters(**call[1]))


@ALL
async def test_a_dry_run_writes_nothing_and_shows_what_the_run_then_does(kubernetes, cluster, cart, call):
    action, params, targets = await prepared(kubernetes, call)
    before = copy.deepcopy(cluster.objects)
    dry = await action.dry_run(params, targets)
    assert cluster.objects == before
    assert dry.possible
    await action.run(params, targets, "RUN-0001.1")
    title = "apps/v1 Deployment shop/cart"
    real = documents.diff(before[cart], cluster.objects[cart], title=title, origin="server-side dry-run")
    assert dry.diff == real
    assert dry.diff.startswith(f"--- live  {title}\n+++ planned (server-side dry-run)\n@@ ")
    for hidden in ("resourceVersion", "managedFields", "generation", "status", documents.MARK, documents.REVISION):
        assert hidden not in dry.diff


@ALL
async def test_a_run_is_one_patch_marked_and_bound_to_the_version_that_was_read(kubernetes, cluster, cart, call):
    action, params, targets = await prepared(kubernetes, call)
    outcome = await action.run(params, targets, "RUN-0001.1")
    (request,) = cluster.writes
    operations = {one["path"]: one["value"] for one in json.loads(request.content)}
    assert operations["/metadata/resourceVersion"] == targets[0].resource_version
    assert operations["/metadata/annotations"][documents.MARK] == "RUN-0001.1"
    assert request.url.params["fieldManager"] == "toban"
    assert "Deployment shop/cart" in outcome.message


@ALL
async def test_a_run_changes_nothing_but_the_pod_template_and_notes(kubernetes, cluster, cart, call):
    before = copy.deepcopy(cluster.objects[cart])
    action, params, targets = await prepared(kubernetes, call)
    await action.run(params, targets, "RUN-0001.1")
    after = cluster.objects[cart]
    assert {**after["spec"], "template": 0} == {**before["spec"], "template": 0}
    assert after["metadata"]["labels"] == before["metadata"]["labels"]


@ALL
@pytest.mark.parametrize(
    "somebody",
    [
        lambda obj: obj["spec"].update(replicas=9),
        lambda obj: obj["metadata"]["labels"].update(tier="front"),
        lambda obj: obj["metadata"].update(uid="another"),
    ],
    ids=["spec", "labels", "uid"],
)
async def test_a_target_that_moved_on_is_not_written(kubernetes, cluster, cart, call, somebody):
    action, params, targets = await prepared(kubernetes, call)
    cluster.change(cart, somebody)
    for attempt in (action.dry_run(params, targets), action.run(params, targets, "RUN-0001.1")):
        with pytest.raises(UpstreamConflictError):
            await attempt
    assert cluster.writes == []


@ALL
async def test_a_status_that_moves_on_while_writing_does_not_stop_the_write(kubernetes, cluster, cart, call):
    action, params, targets = await prepared(kubernetes, call)

    def crashing(request):
        if request.method == "PATCH" and len(cluster.writes) <= 2:
            cluster.change(cart, lambda obj: obj["status"].update(availableReplicas=len(cluster.writes)))

    cluster.fault = crashing
    await action.run(params, targets, "RUN-0001.1")
    assert documents.mark(cluster.objects[cart]) == "RUN-0001.1"
    assert len(cluster.writes) == 3


@ALL
async def test_a_status_that_never_rests_is_a_conflict_at_last(kubernetes, cluster, cart, call):
    action, params, targets = await prepared(kubernetes, call)

    def crashing(request):
        if request.method == "PATCH":
            cluster.change(cart, lambda obj: obj["status"].update(availableReplicas=len(cluster.writes)))

    cluster.fault = crashing
    with pytest.raises(UpstreamConflictError):
        await action.run(params, targets, "RUN-0001.1")
    assert documents.mark(cluster.objects[cart]) == ""


@ALL
async def test_a_change_between_reading_and_writing_is_a_conflict(kubernetes, cluster, cart, call):
    action, params, targets = await prepared(kubernetes, call)

    def meanwhile(request):
        if request.method == "PATCH" and len(cluster.writes) == 1:
            cluster.change(cart, lambda obj: obj["spec"].update(replicas=9))

    cluster.fault = meanwhile
    with pytest.raises(UpstreamConflictError):
        await action.run(params, targets, "RUN-0001.1")
    assert cluster.objects[cart]["spec"]["replicas"] == 9
    assert documents.mark(cluster.objects[cart]) == ""


@ALL
async def test_status_may_move_on_between_planning_steps(kubernetes, cluster, cart, call):
    action, params, targets = await prepared(kubernetes, call)
    cluster.change(cart, lambda obj: obj["status"].update(availableReplicas=1))
    assert (await action.dry_run(params, targets)).possible


@ALL
async def test_the_probe_tells_before_from_after(kubernetes, cluster, cart, call):
    action, params, targets = await prepared(kubernetes, call)
    assert (await action.probe(params, targets, "RUN-0001.1")).result is ProbeResult.ABSENT
    await action.run(params, targets, "RUN-0001.1")
    assert (await action.probe(params, targets, "RUN-0001.1")).result is ProbeResult.PRESENT
    assert (await action.probe(params, targets, "RUN-0002.1")).result is ProbeResult.UNKNOWN


@ALL
async def test_the_probe_finds_a_write_whose_answer_was_lost(kubernetes, cluster, cart, call):
    action, params, targets = await prepared(kubernetes, call)

    def lost(request):
        if request.method == "PATCH":
            raise httpx2.RemoteProtocolError("server disconnected without sending a response")

    cluster.after = lost
    with pytest.raises(OutcomeUnknownError):
        await action.run(params, targets, "RUN-0001.1")
    assert (await action.probe(params, targets, "RUN-0001.1")).result is ProbeResult.PRESENT


@ALL
async def test_the_probe_cannot_tell_when_the_object_is_gone_replaced_or_unreadable(
    kubernetes, cluster, cart, call, refusal
):
    action, params, targets = await prepared(kubernetes, call)
    live = cluster.objects.pop(cart)
    assert (await action.probe(params, targets, "RUN-0001.1")).result is ProbeResult.UNKNOWN
    cluster.put(cart, {**live, "metadata": {**live["metadata"], "uid": "another"}})
    assert (await action.probe(params, targets, "RUN-0001.1")).result is ProbeResult.UNKNOWN
    cluster.fault = lambda _: refusal(503, "down")
    found = await action.probe(params, targets, "RUN-0001.1")
    assert found.result is ProbeResult.UNKNOWN
    assert "down" in found.detail


@ALL
async def test_permission_is_asked_of_kubernetes(kubernetes, cluster, cart, call):
    action = kubernetes[call[0]]
    params = action.parameters(**call[1])
    assert await action.permitted(params) == (
        True,
        "Kubernetes allows Toban's account to patch deployments.apps/cart in namespace shop: by the fake",
    )
    asked = json.loads(cluster.requests[-1].content)["spec"]["resourceAttributes"]
    assert asked == {
        "verb": "patch", "group": "apps", "resource": "deployments", "namespace": "shop", "name": "cart",
    }  # fmt: skip
    cluster.allowed = False
    assert (await action.permitted(params))[0] is False


@ALL
async def test_a_server_that_cannot_dry_run_leaves_a_diff_of_our_own(kubernetes, cluster, cart, call, refusal):
    words = 'admission webhook "policy.example" does not support dry run'
    cluster.fault = lambda request: refusal(400, words) if request.method == "PATCH" else None
    action, params, targets = await prepared(kubernetes, call)
    dry = await action.dry_run(params, targets)
    assert not dry.possible
    assert words in dry.warnings
    assert "worked out by Toban" in dry.diff
    cluster.fault = lambda _: None
    assert changed_lines((await action.dry_run(params, targets)).diff) == changed_lines(dry.diff)


@ALL
async def test_warnings_of_the_server_reach_the_dry_run(kubernetes, cluster, cart, call):
    cluster.warnings = {"warning": '299 - "mind this"'}
    action, params, targets = await prepared(kubernetes, call)
    assert (await action.dry_run(params, targets)).warnings == ("mind this",)


@ALL
async def test_a_paused_rollout_is_not_changed(kubernetes, cluster, cart, call):
    cluster.change(cart, lambda obj: obj["spec"].update(paused=True))
    action, params, targets = await prepared(kubernetes, call)
    with pytest.raises(InvalidInputError, match="paused"):
        await action.dry_run(params, targets)
    with pytest.raises(UpstreamRefusedError, match="paused"):
        await action.run(params, targets, "RUN-0001.1")
    assert cluster.writes == []


@ALL
async def test_a_dry_run_counts_what_the_rollout_takes_away_at_once(kubernetes, cluster, cart, call):
    action, params, targets = await prepared(kubernetes, call)
    dry = await action.dry_run(params, targets)
    assert (dry.touched_replicas, dry.total_replicas) == (0, 3)
    cluster.change(cart, lambda obj: obj["spec"].update(strategy={"type": "Recreate"}))
    dry = await action.dry_run(params, await action.targets(params))
    assert (dry.touched_replicas, dry.total_replicas) == (3, 3)


async def test_a_rollback_brings_back_the_template_of_the_revision_before(kubernetes, cluster, cart):
    action, params, targets = await prepared(kubernetes, ROLLBACK)
    await action.run(params, targets, "RUN-0001.1")
    live = cluster.objects[cart]
    assert live["spec"]["template"]["spec"]["containers"][0]["image"] == "shop/cart:2"
    assert live["spec"]["template"]["metadata"]["labels"] == {"app": "cart"}
    assert live["metadata"]["annotations"]["kubernetes.io/change-cause"] == "release 2"


async def test_a_rollback_takes_away_what_the_release_had_added(kubernetes, cluster, cart):
    def extra(obj):
        obj["spec"]["template"]["spec"]["containers"][0]["env"] += [{"name": "NEW", "value": "1"}]
        obj["spec"]["template"]["spec"]["hostNetwork"] = True
        obj["spec"]["template"]["spec"]["a-field-of-tomorrow"] = {"kept": True}

    cluster.change(cart, extra)
    older = "apis/apps/v1/namespaces/shop/replicasets/cart-2"
    cluster.change(older, lambda obj: obj["spec"]["template"]["spec"].update({"field-of-today": {"x": [1]}}))
    action, params, targets = await prepared(kubernetes, ROLLBACK)
    await action.run(params, targets, "RUN-0001.1")
    found = cluster.objects[cart]["spec"]["template"]["spec"]
    assert found == cluster.objects[older]["spec"]["template"]["spec"]


async def test_a_rollback_to_a_named_revision_takes_that_one(kubernetes, cluster, cart):
    action, params, targets = await prepared(kubernetes, (ROLLBACK[0], {**NAME, "to_revision": 1}))
    await action.run(params, targets, "RUN-0001.1")
    assert cluster.objects[cart]["spec"]["template"]["spec"]["containers"][0]["image"] == "shop/cart:1"


@pytest.mark.parametrize(("revision", "words"), [(3, "is the present one"), (9, "is not kept")])
async def test_a_revision_that_cannot_be_gone_back_to_is_refused(kubernetes, cart, revision, words):
    action, params, targets = await prepared(kubernetes, (ROLLBACK[0], {**NAME, "to_revision": revision}))
    with pytest.raises(InvalidInputError, match=words):
        await action.dry_run(params, targets)


async def test_without_an_earlier_revision_there_is_no_rollback(kubernetes, cluster, cart):
    for number in (1, 2):
        del cluster.objects[f"apis/apps/v1/namespaces/shop/replicasets/cart-{number}"]
    action, params, targets = await prepared(kubernetes, ROLLBACK)
    with pytest.raises(InvalidInputError, match="no revision before 3"):
        await action.dry_run(params, targets)


async def test_replica_sets_of_others_are_no_revisions(kubernetes, cluster, cart):
    for number in (1, 2):
        path = f"apis/apps/v1/namespaces/shop/replicasets/cart-{number}"
        cluster.change(path, lambda obj: obj["metadata"]["ownerReferences"][0].update(uid="someone"))
    action, params, targets = await prepared(kubernetes, ROLLBACK)
    with pytest.raises(InvalidInputError, match="no revision before 3"):
        await action.dry_run(params, targets)


async def test_the_way_back_from_a_rollback_is_the_revision_of_now(kubernetes, cart):
    action, params, targets = await prepared(kubernetes, ROLLBACK)
    undo = await action.undo(params, targets)
    assert (undo.action, undo.params) == (ROLLBACK[0], {**NAME, "to_revision": 3})


async def test_a_memory_limit_is_set_and_nothing_else_in_the_template(kubernetes, cluster, cart):
    before = copy.deepcopy(cluster.objects[cart]["spec"]["template"])
    action, params, targets = await prepared(kubernetes, LIMIT)
    await action.run(params, targets, "RUN-0001.1")
    before["spec"]["containers"][0]["resources"]["limits"]["memory"] = "256Mi"
    assert cluster.objects[cart]["spec"]["template"] == before


async def test_a_limit_below_the_request_lowers_the_request_with_it(kubernetes, cluster, cart):
    call = (LIMIT[0], {**LIMIT[1], "limit": "48Mi"})
    action, params, targets = await prepared(kubernetes, call)
    undo = await action.undo(params, targets)
    await action.run(params, targets, "RUN-0001.1")
    resources = cluster.objects[cart]["spec"]["template"]["spec"]["containers"][0]["resources"]
    assert resources == {"limits": {"memory": "48Mi"}, "requests": {"memory": "48Mi", "cpu": "50m"}}
    assert undo.action == ROLLBACK[0]


@pytest.mark.parametrize(
    ("limit", "words"),
    [
        ("128Mi", "already"),
        ("131072Ki", "already"),
        ("513Mi", "four times"),
        ("31Mi", "a quarter"),
    ],
)
async def test_a_limit_out_of_bounds_is_refused(kubernetes, cart, limit, words):
    action, params, targets = await prepared(kubernetes, (LIMIT[0], {**LIMIT[1], "limit": limit}))
    with pytest.raises(InvalidInputError, match=words):
        await action.dry_run(params, targets)


@pytest.mark.parametrize("limit", ["512Mi", "32Mi"])
async def test_limits_at_the_bounds_are_taken(kubernetes, cart, limit):
    action, params, targets = await prepared(kubernetes, (LIMIT[0], {**LIMIT[1], "limit": limit}))
    assert (await action.dry_run(params, targets)).possible


async def test_a_limit_that_no_node_can_give_is_refused(kubernetes, cluster, cart):
    cluster.change("api/v1/nodes/node-1", lambda obj: obj["status"].update(allocatable={"memory": "200Mi"}))
    action, params, targets = await prepared(kubernetes, LIMIT)
    with pytest.raises(InvalidInputError, match="200Mi"):
        await action.dry_run(params, targets)


async def test_an_unknown_container_is_refused_with_the_names_of_the_known(kubernetes, cart):
    action, params, targets = await prepared(kubernetes, (LIMIT[0], {**LIMIT[1], "container": "nope"}))
    with pytest.raises(InvalidInputError, match="app, sidecar"):
        await action.dry_run(params, targets)


async def test_the_way_back_from_a_limit_is_the_old_limit_and_brings_back_the_old_template(kubernetes, cluster, cart):
    before = copy.deepcopy(cluster.objects[cart]["spec"]["template"])
    action, params, targets = await prepared(kubernetes, LIMIT)
    undo = await action.undo(params, targets)
    assert (undo.action, undo.params) == (LIMIT[0], {**LIMIT[1], "limit": "128Mi"})
    await action.run(params, targets, "RUN-0001.1")
    again, back, targets = await prepared(kubernetes, (undo.action, undo.params))
    await again.run(back, targets, "RUN-0001.2")
    assert cluster.objects[cart]["spec"]["template"] == before


async def test_a_first_limit_can_only_be_taken_back_by_the_revision(kubernetes, cluster, cart):
    call = (LIMIT[0], {**LIMIT[1], "container": "sidecar"})
    action, params, targets = await prepared(kubernetes, call)
    assert (await action.undo(params, targets)).params == {**NAME, "to_revision": 3}
    await action.run(params, targets, "RUN-0001.1")
    sidecar = cluster.objects[cart]["spec"]["template"]["spec"]["containers"][1]
    assert sidecar["resources"] == {"limits": {"memory": "256Mi"}}


@pytest.mark.parametrize("limit", ["", "lots", "-1Gi", "1Mi", "0", "1e-9", "12 Mi", "1ki"])
def test_a_limit_that_is_no_sensible_quantity_is_refused_at_once(kubernetes_parameters, limit):
    with pytest.raises(ValueError, match="limit"):
        kubernetes_parameters[LIMIT[0]](**{**LIMIT[1], "limit": limit})


async def test_a_restart_of_the_same_spec_is_the_same_plan(kubernetes, cluster, cart):
    action, params, targets = await prepared(kubernetes, RESTART)
    first = await action.dry_run(params, targets)
    assert (await action.dry_run(params, await action.targets(params))).diff == first.diff
    await action.run(params, targets, "RUN-0001.1")
    second = await action.dry_run(params, await action.targets(params))
    assert changed_lines(second.diff) != changed_lines(first.diff)
    assert await action.undo(params, await action.targets(params)) is None


@pytest.mark.parametrize(
    "names",
    [
        {"namespace": "../nodes", "name": "cart"},
        {"namespace": "shop", "name": "cart/status"},
        {"namespace": "shop", "name": ""},
        {"namespace": "Shop", "name": "cart"},
        {"namespace": "shop", "name": "cart\n"},
        {"namespace": "shop", "name": "cart?dryRun=All"},
        {"namespace": "shop", "name": "cart", "force": True},
    ],
)
def test_names_that_could_be_more_than_names_are_refused(kubernetes_parameters, names):
    for action in (ROLLBACK[0], RESTART[0]):
        with pytest.raises(ValueError, match="validation error"):
            kubernetes_parameters[action](**names)
