"""Each scenario in a running world: its alerts fire, the right fix cures it, a wrong remedy does not.

The clock stands still and is moved by hand, so that a minute of the world takes a moment and is always the same.
"""

import asyncio

import pytest

from toban_sandbox import scenario, world
from toban_sandbox.alerts.delivery import Receiver
from toban_sandbox.alerts.notifications import Policy
from toban_sandbox.audit import AuditLog
from toban_sandbox.sandbox import BusyError, Sandbox
from toban_sandbox.simulation import Simulation

START = 1_795_000_000.0
STRIDE_S, TURNS = 0.5, 12
SHOP = "/apis/apps/v1/namespaces/shop/deployments"


class Practice:
    """A sandbox with a clock that is moved by hand, and somebody who repairs."""

    def __init__(self, sandbox):
        self.sandbox = sandbox
        self.seen = set()

    @property
    def fixer(self):
        return self.sandbox.simulation.actor("developer")

    def firing(self):
        found = [(alert.rule.name, dict(alert.labels)) for alert in self.sandbox.simulation.alerting.firing()]
        return {(name, labels.get("service") or labels.get("deployment", "")) for name, labels in found}

    async def pass_time(self, seconds, *, until=lambda: False):
        """Lets simulated time pass, at most until the condition holds; tells how long it took."""
        passed = 0.0
        while passed < seconds and not until():
            self.sandbox.clock().advance(STRIDE_S)
            passed += STRIDE_S
            for _ in range(TURNS):
                await asyncio.sleep(0)
            self.seen |= self.firing()
        return passed

    async def set_container(self, deployment, **fields):
        container = {"name": deployment, **fields}
        await self.fixer.patch(f"{SHOP}/{deployment}", {"spec": {"template": {"spec": {"containers": [container]}}}})

    async def restart(self, deployment):
        annotations = {"kubectl.kubernetes.io/restartedAt": "now"}
        body = {"spec": {"template": {"metadata": {"annotations": annotations}}}}
        await self.fixer.patch(f"{SHOP}/{deployment}", body)

    async def create_config(self, **data):
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "payment-config"}, "data": data}
        await self.fixer.create("/api/v1/namespaces/shop/configmaps", body)


@pytest.fixture
async def practice(tmp_path):
    sandbox = Sandbox(
        world.load("shop"), seed=1, speed=0.0, users={}, audit=AuditLog(tmp_path / "audit.jsonl"), policy=Policy()
    )
    await sandbox.start(metrics_url="http://127.0.0.1:1", now=lambda: START)
    yield Practice(sandbox)
    await sandbox.close()


async def begin(practice, name, *, seconds):
    """Starts a scenario and lets it run; its first alert must have fired within 8 seconds."""
    run = practice.sandbox.start_scenario(scenario.load(name))
    assert await practice.pass_time(20, until=lambda: bool(practice.seen)) <= 8
    await practice.pass_time(seconds)
    return run


async def cured(practice, run):
    """Whether everything has resolved within 10 seconds."""
    await practice.pass_time(10, until=lambda: run.status == "recovered")
    return run.status == "recovered" and practice.sandbox.state()["healthy"]


async def test_the_base_world_is_healthy_and_stays_so(practice):
    assert practice.sandbox.state()["healthy"]
    await practice.pass_time(60)
    assert practice.sandbox.state()["healthy"]
    assert practice.seen == set()


async def test_memory_limit_is_cured_by_a_higher_limit(practice):
    run = await begin(practice, "memory-limit", seconds=14)
    assert {("ContainerOOMKilled", "cart"), ("KubePodCrashLooping", "cart")} <= practice.seen
    assert ("ServiceHighErrorRate", "frontend") in practice.seen
    assert not {service for _, service in practice.seen} & {"catalog", "payment"}
    await practice.set_container("cart", resources={"limits": {"memory": "256Mi"}})
    assert await cured(practice, run)
    await practice.pass_time(30)
    assert practice.sandbox.state()["healthy"]


async def test_memory_limit_is_not_cured_by_the_previous_revision_or_a_restart(practice):
    run = await begin(practice, "memory-limit", seconds=10)
    await practice.set_container("cart", image="shop/cart:1.9.2")
    await practice.pass_time(30)
    await practice.restart("cart")
    await practice.pass_time(30)
    assert run.status == "active"
    assert ("ContainerOOMKilled", "cart") in practice.firing()


async def test_missing_image_is_cured_by_an_image_that_exists(practice):
    run = await begin(practice, "missing-image", seconds=14)
    assert practice.seen == {("KubeContainerWaiting", "checkout"), ("KubeDeploymentRolloutStuck", "checkout")}
    await practice.set_container("checkout", image="shop/checkout:1.12.0")
    assert await cured(practice, run)


async def test_missing_image_is_not_cured_by_a_restart(practice):
    run = await begin(practice, "missing-image", seconds=4)
    await practice.restart("checkout")
    await practice.pass_time(25)
    assert run.status == "active"
    assert ("KubeContainerWaiting", "checkout") in practice.firing()


async def test_bad_release_shows_in_metrics_only_and_is_cured_by_the_release_before(practice):
    run = await begin(practice, "bad-release", seconds=8)
    assert practice.sandbox.simulation.incomplete() == []
    assert {("ServiceHighErrorRate", name) for name in ("payment", "checkout", "frontend")} <= practice.seen
    assert not any(service in {"catalog", "cart"} for _, service in practice.seen)
    await practice.set_container("payment", image="shop/payment:1.9.0")
    assert await cured(practice, run)


async def test_bad_release_is_not_cured_by_a_restart_or_more_replicas(practice):
    run = await begin(practice, "bad-release", seconds=4)
    await practice.restart("payment")
    await practice.fixer.patch(f"{SHOP}/payment", {"spec": {"replicas": 4}})
    await practice.pass_time(25)
    assert run.status == "active"
    assert ("ServiceHighErrorRate", "payment") in practice.firing()


async def test_missing_config_is_cured_by_the_config_map_with_its_content(practice):
    run = await begin(practice, "missing-config", seconds=8)
    assert ("KubeContainerWaiting", "payment") in practice.seen
    await practice.create_config(PROVIDER_URL="https://provider.example/v2", PROVIDER_TIMEOUT="2s")
    assert await cured(practice, run)


async def test_missing_config_is_not_cured_by_an_older_revision_or_an_empty_config_map(practice):
    run = await begin(practice, "missing-config", seconds=4)
    await practice.set_container("payment", image="shop/payment:1.8.4")
    await practice.pass_time(20)
    assert ("KubeContainerWaiting", "payment") in practice.firing()
    await practice.create_config(UNRELATED="1")
    await practice.pass_time(20)
    assert run.status == "active"
    assert ("KubePodCrashLooping", "payment") in practice.firing()


async def test_noise_fires_and_resolves_by_itself(practice):
    run = practice.sandbox.start_scenario(scenario.load("noise"))
    took = await practice.pass_time(20, until=lambda: run.status == "recovered")
    assert took <= 12
    assert {name for name, _ in practice.seen} == {"CpuBurst"}


async def test_what_a_scenario_does_to_objects_is_recorded_with_who_did_it(practice):
    await begin(practice, "missing-image", seconds=1)
    entries = practice.sandbox.audit.since(0)
    assert [(entry["user"], entry["verb"], entry["resource"], entry["name"]) for entry in entries] == [
        ("ci-bot", "patch", "deployments", "checkout")
    ]
    deployment = practice.sandbox.simulation.store.get("deployments", "shop", "checkout")
    assert deployment["metadata"]["annotations"]["kubernetes.io/change-cause"].startswith("ci-bot: release checkout")
    assert "ci-bot" in {owner["manager"] for owner in deployment["metadata"]["managedFields"]}


async def test_only_one_scenario_runs_at_a_time_until_it_has_recovered(practice):
    run = practice.sandbox.start_scenario(scenario.load("noise"))
    with pytest.raises(BusyError, match="noise"):
        practice.sandbox.start_scenario(scenario.load("bad-release"))
    await practice.pass_time(20, until=lambda: run.status == "recovered")
    assert practice.sandbox.start_scenario(scenario.load("bad-release")).running


async def test_a_reset_brings_back_the_healthy_base_and_resolves_what_was_told(practice):
    posted = []

    async def post(url, body, headers):
        posted.append(body)
        return 200

    practice.sandbox.sender._post = post
    practice.sandbox.sender.add(Receiver("default", "http://127.0.0.1:9"))
    await begin(practice, "bad-release", seconds=6)
    old = practice.sandbox.simulation
    moment = practice.sandbox.clock().time()
    await practice.sandbox.reset()
    assert practice.sandbox.simulation is not old
    assert practice.sandbox.clock().time() >= moment
    assert practice.sandbox.simulation.store.revision > old.store.revision
    assert practice.sandbox.state()["healthy"]
    assert practice.sandbox.state()["scenario"] is None
    firing = sum(b'"status": "firing"' in body for body in posted)
    await practice.pass_time(12)
    assert firing
    assert b'"status": "resolved"' in posted[-1]
    assert b'"status": "firing"' not in posted[-1]


async def test_the_past_has_revisions_history_and_an_unrelated_recent_release(practice):
    store = practice.sandbox.simulation.store
    owned = [obj for obj in store.list("replicasets", "shop") if obj["metadata"]["name"].startswith("cart-")]
    revisions = {obj["metadata"]["annotations"]["deployment.kubernetes.io/revision"] for obj in owned}
    assert revisions == {"1", "2"}
    source = practice.sandbox.simulation.sampler.series
    series = source.select(scenario.parse('kube_pod_info{pod=~"catalog-.*"}').matchers)
    assert len(series) == 4
    ended = [view for view in series if view.timestamps[-1] < (START - 500) * 1000]
    assert len(ended) == 2
    history = source.select(scenario.parse('http_server_requests_total{service="cart",code="200"}').matchers)[0]
    assert START - history.timestamps[0] / 1000 == pytest.approx(7200, abs=20)


async def test_a_step_that_cannot_be_carried_out_fails_the_scenario_with_the_reason(practice, tmp_path):
    path = tmp_path / "broken.yaml"
    text = (scenario.FOLDER / "missing-image.yaml").read_text()
    path.write_text(
        text.replace("name: missing-image", "name: broken").replace("deployment: checkout", "deployment: nobody")
    )
    run = practice.sandbox.start_scenario(scenario.read(path))
    await practice.pass_time(1)
    assert run.status == "failed"
    assert "no deployment nobody" in run.error


async def test_an_error_that_ends_the_cluster_is_reported_and_not_swallowed(tmp_path, monkeypatch):
    async def broken(self):
        raise RuntimeError("the kubelet fell over")

    monkeypatch.setattr(Simulation, "run", broken)
    sandbox = Sandbox(
        world.load("shop"), seed=1, speed=0.0, users={}, audit=AuditLog(tmp_path / "audit.jsonl"), policy=Policy()
    )
    await sandbox.start(metrics_url="http://127.0.0.1:1", now=lambda: START)
    with pytest.raises(RuntimeError, match="fell over"):
        await asyncio.wait_for(sandbox.failed, 2)
    await sandbox.close()
