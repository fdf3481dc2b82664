"""Carries out a scenario's steps in a running world and watches for its recovery.

Steps on objects go through the Kubernetes API as the scenario's actor, so that they are checked, recorded and owned;
steps on traffic and programs change the world itself. Started by the control API and the command line.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from toban_sandbox import scenario as scenarios
from toban_sandbox.actors import APPLY, Actor, RefusedError
from toban_sandbox.manifests import CHANGE_CAUSE
from toban_sandbox.metrics.containers import Burst
from toban_sandbox.programs import Program
from toban_sandbox.scenario import Scenario
from toban_sandbox.simulation import Simulation

Json = dict[str, Any]
_COLLECTIONS = {
    "ConfigMap": ("api/v1", "configmaps"),
    "Secret": ("api/v1", "secrets"),
    "Service": ("api/v1", "services"),
    "Pod": ("api/v1", "pods"),
    "Deployment": ("apis/apps/v1", "deployments"),
}
RESTARTED = "kubectl.kubernetes.io/restartedAt"


class InjectionError(Exception):
    """A step could not be carried out."""


class Run:
    """One scenario at work. `status` goes injecting → active → recovered, or failed (then `error` says why)."""

    def __init__(self, scenario: Scenario, simulation: Simulation) -> None:
        self.scenario = scenario
        self.started_at: datetime = simulation.clock.now()
        self.status = "injecting"
        self.error = ""
        self.seen: set[str] = set()
        self._simulation = simulation

    @property
    def running(self) -> bool:
        return self.status in ("injecting", "active")

    async def inject(self) -> None:
        """Carries out the steps, one after the other."""
        try:
            actor = self._simulation.actor(self.scenario.actor)
            for step in self.scenario.steps:
                await _CARRY_OUT[type(step)](self._simulation, actor, step)
        except (RefusedError, InjectionError, KeyError) as error:
            self.status, self.error = "failed", str(error)
            return
        self.status = "active"

    def observe(self) -> None:
        """Looks for the symptoms, and after them for the recovery; called at each tick."""
        firing = {alert.rule.name for alert in self._simulation.alerting.firing()}
        self.seen |= firing & set(self.scenario.symptoms)
        if self.status == "active" and self.seen and not firing and self.recovered():
            self.status = "recovered"

    def recovered(self) -> bool:
        """Whether the recovery's conditions hold now."""
        wanted, simulation = self.scenario.recovery, self._simulation
        if set(wanted.deployments) & set(simulation.incomplete()):
            return False
        if any(not _exists(simulation, kind, name) for kind, name in wanted.objects):
            return False
        return all(simulation.holds(query) for query in wanted.queries)

    def state(self) -> Json:
        return {
            "name": self.scenario.name,
            "status": self.status,
            "started_at": self.started_at.isoformat(),
            "seen": sorted(self.seen),
            **({"error": self.error} if self.error else {}),
        }


def _exists(simulation: Simulation, kind: str, name: str) -> bool:
    return simulation.store.get(_COLLECTIONS[kind][1], simulation.world.namespace, name) is not None


def _path(simulation: Simulation, kind: str, name: str = "") -> str:
    prefix, collection = _COLLECTIONS[kind]
    path = f"/{prefix}/namespaces/{simulation.world.namespace}/{collection}"
    return f"{path}/{name}" if name else path


async def _patch_template(
    simulation: Simulation, actor: Actor, deployment: str, *, template: Json, cause: str = ""
) -> None:
    body: Json = {"spec": {"template": template}}
    if cause:
        body["metadata"] = {"annotations": {CHANGE_CAUSE: cause}}
    await actor.patch(_path(simulation, "Deployment", deployment), body)


async def _set_image(simulation: Simulation, actor: Actor, step: scenarios.SetImage) -> None:
    container = _container(simulation, step.deployment)
    template = {"spec": {"containers": [{"name": container, "image": step.image}]}}
    await _patch_template(simulation, actor, step.deployment, template=template, cause=step.cause)


async def _set_env(simulation: Simulation, actor: Actor, step: scenarios.SetEnv) -> None:
    env = [{"name": name, "value": value} for name, value in step.env.items()]
    template = {"spec": {"containers": [{"name": _container(simulation, step.deployment), "env": env}]}}
    await _patch_template(simulation, actor, step.deployment, template=template, cause=step.cause)


def _container(simulation: Simulation, deployment: str) -> str:
    found = simulation.store.get("deployments", simulation.world.namespace, deployment)
    if found is None:
        raise InjectionError(f"there is no deployment {deployment}")
    name: str = found["spec"]["template"]["spec"]["containers"][0]["name"]
    return name


async def _scale(simulation: Simulation, actor: Actor, step: scenarios.Scale) -> None:
    await actor.patch(_path(simulation, "Deployment", step.deployment), {"spec": {"replicas": step.replicas}})


async def _delete_object(simulation: Simulation, actor: Actor, step: scenarios.DeleteObject) -> None:
    await actor.delete(_path(simulation, step.kind, step.name))


async def _restart(simulation: Simulation, actor: Actor, step: scenarios.RestartRollout) -> None:
    moment = simulation.clock.now().isoformat(timespec="seconds")
    await _patch_template(
        simulation, actor, step.deployment, template={"metadata": {"annotations": {RESTARTED: moment}}}
    )


async def _delete_pods(simulation: Simulation, actor: Actor, step: scenarios.DeletePods) -> None:
    for pod in simulation.store.list("pods", simulation.world.namespace):
        if pod["metadata"].get("labels", {}).get("app.kubernetes.io/name") == step.service:
            await actor.delete(_path(simulation, "Pod", pod["metadata"]["name"]))


async def _apply(simulation: Simulation, actor: Actor, step: scenarios.Apply) -> None:
    kind = step.manifest["kind"]
    if kind not in _COLLECTIONS:
        raise InjectionError(f"a scenario cannot apply a {kind}")
    path = _path(simulation, kind, step.manifest["metadata"]["name"])
    await actor.patch(path, step.manifest, content_type=APPLY)


async def _set_traffic(simulation: Simulation, _: Actor, step: scenarios.SetTraffic) -> None:
    if simulation.world.service(step.service) is None:
        raise InjectionError(f"there is no service {step.service}")
    now = simulation.clock.time()
    simulation.sampler.demand.surge(step.service, factor=step.factor, ramp_s=step.over_s, now=now)


async def _set_program(simulation: Simulation, _: Actor, step: scenarios.SetProgram) -> None:
    program = simulation.programs.lookup(step.image)
    if program is None:
        raise InjectionError(f"no registry has the image {step.image}")
    whole = {name: int(value) if name.endswith("_bytes") else value for name, value in step.changes.items()}
    simulation.programs.add(_changed(program, whole))


def _changed(program: Program, changes: dict[str, Any]) -> Program:
    return replace(program, **changes)


async def _cpu_burst(simulation: Simulation, _: Actor, step: scenarios.CpuBurst) -> None:
    now = simulation.clock.time()
    burst = Burst(simulation.world.namespace, step.service, step.cores, since=now, until=now + step.for_s)
    simulation.sampler.containers.bursts.append(burst)


async def _wait(simulation: Simulation, _: Actor, step: scenarios.Wait) -> None:
    await simulation.clock.sleep(step.for_s)


_CARRY_OUT: dict[type, Callable[[Simulation, Actor, Any], Awaitable[None]]] = {
    scenarios.SetImage: _set_image,
    scenarios.SetEnv: _set_env,
    scenarios.Scale: _scale,
    scenarios.DeleteObject: _delete_object,
    scenarios.RestartRollout: _restart,
    scenarios.DeletePods: _delete_pods,
    scenarios.Apply: _apply,
    scenarios.SetTraffic: _set_traffic,
    scenarios.SetProgram: _set_program,
    scenarios.CpuBurst: _cpu_burst,
    scenarios.Wait: _wait,
}
