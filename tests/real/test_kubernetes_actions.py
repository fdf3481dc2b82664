"""The actions on Kubernetes against the sandbox's API server: a process of its own, over TLS, with its controllers."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time

import httpx2
import pytest

from toban.errors import OutcomeUnknownError, UpstreamConflictError, UpstreamError, UpstreamRefusedError
from toban.integrations.kubernetes import Settings, documents
from toban.integrations.kubernetes.provider import KubernetesActions
from toban.model.action import ProbeResult
from toban.model.verification import CheckResult
from toban.plugins.action import gate_open

READY_S = 30
DONE_S = 30
CONFIG = {"namespace": "shop", "name": "lost-config", "data": {"app.yaml": "mode: full\nretries: 3\n", "LIMIT": "7"}}
CALLS = {
    "rollback": ("kubernetes.rollback_deployment", {"namespace": "shop", "name": "cart"}),
    "limit": (
        "kubernetes.set_memory_limit",
        {"namespace": "shop", "name": "cart", "container": "cart", "limit": "256Mi"},
    ),
    "restart": ("kubernetes.restart_rollout", {"namespace": "shop", "name": "cart"}),
    "restore": ("kubernetes.restore_configmap", CONFIG),
}
every_write = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)


class Sandbox:
    """The running process: its kubeconfigs and its control API."""

    def __init__(self, ready, state):
        self.ready = ready
        token = (state / "control-token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}"}
        self.control = httpx2.Client(base_url=ready["control"], headers=headers, trust_env=False, timeout=20)

    def fault(self, **rule):
        self.control.post("/faults", json=rule).raise_for_status()

    def settled(self):
        self.control.delete("/faults").raise_for_status()
        self.control.post("/reset").raise_for_status()


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    state = tmp_path_factory.mktemp("sandbox")
    ports = [part for name in ("kubernetes", "metrics", "control") for part in (f"--{name}-port", "0")]
    command = [sys.executable, "-m", "toban_sandbox", "serve", "--state-dir", str(state), "--speed", "4", *ports]
    with (state / "errors").open("wb") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors)
    try:
        running = Sandbox(_first_line(process, state), state)
        yield running
        running.control.close()
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def _first_line(process, state):
    os.set_blocking(process.stdout.fileno(), False)
    until, found = time.monotonic() + READY_S, b""
    while b"\n" not in found:
        assert process.poll() is None, (state / "errors").read_text()
        assert time.monotonic() < until, f"the sandbox was not ready in {READY_S} s"
        found += process.stdout.read() or b""
        time.sleep(0.02)
    return json.loads(found)


@pytest.fixture
async def connect(sandbox):
    """`connect(user)`: the actions by name, as that user of the sandbox; the gate is open."""
    providers = []

    def connect(user="operator", timeout_s=10.0):
        providers.append(
            KubernetesActions(Settings(kubeconfig=sandbox.ready["kubeconfigs"][user], timeout_s=timeout_s))
        )
        return {action.spec.name: action for action in providers[-1].actions()}

    await asyncio.to_thread(sandbox.settled)
    with gate_open():
        yield connect
    for provider in providers:
        await provider.close()


async def prepared(actions, call):
    action = actions[call[0]]
    params = action.parameters(**call[1])
    return action, params, await action.targets(params)


async def live(actions, call):
    """The object that the call is about, as the inventory shows it; None where there is none."""
    inventory = actions["kubernetes.inventory"]
    found = await inventory.read(inventory.parameters(namespace=call[1]["namespace"]))
    kind = "configmaps" if "configmap" in call[0] else "deployments"
    return next((one for one in found[kind] if one["metadata"]["name"] == call[1]["name"]), None)


async def finished(action, params, targets):
    """The first check that is not under way any more."""
    until = time.monotonic() + DONE_S
    while time.monotonic() < until:
        check = await action.check(params, targets)
        if check.result is not CheckResult.INCONCLUSIVE:
            return check
        await asyncio.sleep(0.1)
    pytest.fail(f"still under way after {DONE_S} s: {check.detail}")


@every_write
async def test_a_dry_run_has_no_effect_and_shows_the_real_difference(connect, sandbox, call):
    actions = connect()
    action, params, targets = await prepared(actions, call)
    before = await live(actions, call)
    dry = await action.dry_run(params, targets)
    after_practice = await live(actions, call)
    assert dry.possible
    assert documents.shown(after_practice or {}) == documents.shown(before or {})
    assert await action.targets(params) == targets
    await action.run(params, targets, "RUN-0001.1")
    real = await live(actions, call)
    title = dry.diff.splitlines()[0].removeprefix("--- live  ").removesuffix(" (does not exist)")
    assert documents.diff(before, real, title=title, origin="server-side dry-run") == dry.diff


@every_write
async def test_the_probe_tells_before_from_after_and_ours_from_others(connect, call):
    action, params, targets = await prepared(connect(), call)
    assert (await action.probe(params, targets, "RUN-0001.1")).result is ProbeResult.ABSENT
    await action.run(params, targets, "RUN-0001.1")
    assert (await action.probe(params, targets, "RUN-0001.1")).result is ProbeResult.PRESENT
    assert (await action.probe(params, targets, "RUN-0002.1")).result is ProbeResult.UNKNOWN


@every_write
async def test_a_change_is_checked_until_the_cluster_has_carried_it_out(connect, call):
    action, params, targets = await prepared(connect(), call)
    assert (await action.check(params, targets)).result is CheckResult.FAILED
    await action.run(params, targets, "RUN-0001.1")
    check = await finished(action, params, targets)
    assert check.result is CheckResult.PASSED, check.detail


@pytest.mark.parametrize("call", [CALLS["rollback"], CALLS["limit"]], ids=["rollback", "limit"])
async def test_the_way_back_restores_the_template(connect, call):
    actions = connect()
    before = await live(actions, call)
    action, params, targets = await prepared(actions, call)
    undo = await action.undo(params, targets)
    await action.run(params, targets, "RUN-0001.1")
    assert (await live(actions, call))["spec"]["template"] != before["spec"]["template"]
    assert (await finished(action, params, targets)).result is CheckResult.PASSED
    back, undo_params, undo_targets = await prepared(actions, (undo.action, undo.params))
    await back.run(undo_params, undo_targets, "RUN-0001.2")
    assert (await live(actions, call))["spec"]["template"] == before["spec"]["template"]
    assert (await finished(back, undo_params, undo_targets)).result is CheckResult.PASSED


@every_write
async def test_kubernetes_itself_says_who_may(connect, call):
    for user, expected in (("operator", True), ("reader", False)):
        action = connect(user)[call[0]]
        allowed, reason = await action.permitted(action.parameters(**call[1]))
        assert (allowed, bool(reason)) == (expected, True)


@every_write
async def test_a_reader_is_refused_in_kubernetes_words_and_nothing_is_written(connect, call):
    actions = connect("reader")
    action, params, targets = await prepared(actions, call)
    before = await live(actions, call)
    for attempt in (action.dry_run(params, targets), action.run(params, targets, "RUN-0001.1")):
        with pytest.raises(UpstreamRefusedError, match='User "reader" cannot'):
            await attempt
    assert documents.shown((await live(actions, call)) or {}) == documents.shown(before or {})


@every_write
async def test_of_two_writes_for_one_version_only_the_first_is_done(connect, call):
    actions = connect()
    action, params, targets = await prepared(actions, call)
    await action.run(params, targets, "RUN-0001.1")
    with pytest.raises(UpstreamConflictError):
        await action.run(params, targets, "RUN-0002.1")
    assert documents.mark(await live(actions, call)) == "RUN-0001.1"


def verb_of(call):
    return {"verb": "create", "resource": "configmaps"} if "configmap" in call[0] else {
        "verb": "patch", "resource": "deployments",
    }  # fmt: skip


@every_write
@pytest.mark.parametrize(
    ("fault", "kind", "probe"),
    [
        ({"kind": "status", "status": 401}, UpstreamRefusedError, ProbeResult.ABSENT),
        ({"kind": "status", "status": 403}, UpstreamRefusedError, ProbeResult.ABSENT),
        ({"kind": "status", "status": 409}, UpstreamConflictError, ProbeResult.ABSENT),
        ({"kind": "status", "status": 429, "retry_after": 7}, UpstreamError, ProbeResult.ABSENT),
        ({"kind": "status", "status": 500}, OutcomeUnknownError, ProbeResult.ABSENT),
        ({"kind": "hang"}, OutcomeUnknownError, ProbeResult.ABSENT),
        ({"kind": "drop_after"}, OutcomeUnknownError, ProbeResult.PRESENT),
    ],
    ids=["401", "403", "409", "429", "500", "hang", "drop after the write"],
)
async def test_each_fault_of_a_write_is_told_rightly_and_the_probe_knows_the_rest(
    connect, sandbox, call, fault, kind, probe
):
    action, params, targets = await prepared(connect(timeout_s=1.0), call)
    sandbox.fault(**verb_of(call), **fault)
    with pytest.raises(UpstreamError) as caught:
        await action.run(params, targets, "RUN-0001.1")
    assert type(caught.value) is kind
    if "retry_after" in fault:
        assert caught.value.retry_after == 7
    assert (await action.probe(params, targets, "RUN-0001.1")).result is probe


async def test_reads_survive_a_server_that_stumbles_twice(connect, sandbox):
    namespaces = connect()["kubernetes.namespaces"]
    sandbox.fault(verb="list", resource="namespaces", kind="status", status=500, times=2)
    found = await namespaces.read(namespaces.parameters())
    assert {"environment": "staging"}.items() <= next(one for one in found if one["name"] == "shop")["labels"].items()


async def test_a_server_that_is_silent_is_given_up_in_time(connect, sandbox):
    namespaces = connect(timeout_s=0.5)["kubernetes.namespaces"]
    sandbox.fault(verb="list", resource="namespaces", kind="hang")
    started = time.monotonic()
    with pytest.raises(UpstreamError, match=r"127\.0\.0\.1"):
        await namespaces.read(namespaces.parameters())
    assert time.monotonic() - started < 3


async def test_the_inventory_shows_the_whole_namespace_and_no_secret(connect):
    inventory = connect("reader")["kubernetes.inventory"]
    found = await inventory.read(inventory.parameters(namespace="shop"))
    assert {one["metadata"]["name"] for one in found["deployments"]} >= {"cart", "checkout", "payment"}
    assert all(found[kind] for kind in ("pods", "replicasets", "services", "configmaps", "nodes"))
    assert (found["missing"], found["namespace"]["metadata"]["name"]) == ([], "shop")
    assert "secrets" not in found
    json.dumps(found)


async def test_logs_of_a_running_container_are_read_and_a_previous_one_is_empty(connect):
    actions = connect("reader")
    inventory, logs = actions["kubernetes.inventory"], actions["kubernetes.pod_logs"]
    pods = (await inventory.read(inventory.parameters(namespace="shop")))["pods"]
    catalog = next(pod for pod in pods if pod["metadata"]["name"].startswith("catalog-"))
    where = {
        "namespace": "shop",
        "pod": catalog["metadata"]["name"],
        "container": catalog["spec"]["containers"][0]["name"],
    }
    found = await logs.read(logs.parameters(**where, tail=5))
    assert 1 <= len(found["lines"]) <= 5
    previous = await logs.read(logs.parameters(**where, previous=True))
    assert previous["lines"] == []
    with pytest.raises(UpstreamRefusedError, match="not found"):
        await logs.read(logs.parameters(**{**where, "pod": "nobody"}))


async def test_a_rollout_that_cannot_start_fails_its_check_and_a_rollback_mends_it(connect, sandbox):
    call = ("kubernetes.rollback_deployment", {"namespace": "shop", "name": "checkout"})
    actions = connect()
    healthy = (await live(actions, call))["spec"]["template"]
    sandbox.control.post("/scenarios/missing-image/start").raise_for_status()
    until = time.monotonic() + DONE_S
    while (await live(actions, call))["spec"]["template"] == healthy:
        assert time.monotonic() < until
        await asyncio.sleep(0.1)
    restart = actions["kubernetes.restart_rollout"]
    params = restart.parameters(**call[1])
    targets = await restart.targets(params)
    await restart.run(params, targets, "RUN-0001.1")
    broken = await finished(restart, params, targets)
    assert (broken.result, "Image" in broken.detail) == (CheckResult.FAILED, True)
    action, params, targets = await prepared(
        actions, (call[0], {**call[1], "to_revision": await _good(actions, healthy)})
    )
    await action.run(params, targets, "RUN-0001.2")
    assert (await finished(action, params, targets)).result is CheckResult.PASSED
    assert (await live(actions, call))["spec"]["template"] == healthy


async def _good(actions, template):
    inventory = actions["kubernetes.inventory"]
    found = await inventory.read(inventory.parameters(namespace="shop"))
    image = template["spec"]["containers"][0]["image"]
    notes = [
        one["metadata"]["annotations"]
        for one in found["replicasets"]
        if one["spec"]["template"]["spec"]["containers"][0]["image"] == image
    ]
    return max(int(one[documents.REVISION]) for one in notes)


async def test_a_restored_config_map_lets_waiting_pods_start(connect, sandbox):
    actions = connect()
    name = {"namespace": "shop", "name": "payment-config"}
    before = await live(actions, ("configmap", name))
    call = (CALLS["restore"][0], {**name, "data": before["data"], "labels": before["metadata"].get("labels", {})})
    sandbox.control.post("/scenarios/missing-config/start").raise_for_status()
    until = time.monotonic() + DONE_S
    while await live(actions, ("configmap", name)) is not None or not await _waiting(actions):
        assert time.monotonic() < until
        await asyncio.sleep(0.1)
    action, params, targets = await prepared(actions, call)
    dry = await action.dry_run(params, targets)
    assert (dry.touched_replicas, dry.total_replicas > 0) == (0, True)
    await action.run(params, targets, "RUN-0001.1")
    assert (await finished(action, params, targets)).result is CheckResult.PASSED


async def _waiting(actions):
    inventory = actions["kubernetes.inventory"]
    found = await inventory.read(inventory.parameters(namespace="shop"))
    return "CreateContainerConfigError" in json.dumps(found["pods"])


async def test_a_container_that_runs_out_of_memory_is_cured_by_a_higher_limit(connect, sandbox):
    actions = connect()
    inventory = actions["kubernetes.inventory"]
    sandbox.control.post("/scenarios/memory-limit/start").raise_for_status()
    until = time.monotonic() + DONE_S
    while "OOMKilled" not in json.dumps((await inventory.read(inventory.parameters(namespace="shop")))["pods"]):
        assert time.monotonic() < until
        await asyncio.sleep(0.1)
    action, params, targets = await prepared(actions, CALLS["limit"])
    await action.run(params, targets, "RUN-0001.1")
    check = await finished(action, params, targets)
    assert check.result is CheckResult.PASSED, check.detail
