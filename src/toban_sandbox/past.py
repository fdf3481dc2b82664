"""Lets a new world live through its past: nodes and namespaces first, then one release after the other, with history.

Called once per world by `sandbox`. The real controllers and kubelets do the work while the clock jumps, so that ages,
revisions and events are what they would be.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import groupby

from toban_sandbox import manifests
from toban_sandbox.actors import Actor
from toban_sandbox.simulation import Simulation
from toban_sandbox.world import Revision, Service

HISTORY_S = 2 * 3600.0
_TURNS = 8  # of the event loop between two looks
_STRIDE_S = 0.4
_PATIENCE = 400  # strides until a world counts as unable to settle


class UnsettledError(Exception):
    """The world does not become healthy; its file asks for something that cannot run."""


async def live(simulation: Simulation, now: Callable[[], float]) -> None:
    """Brings the world from its beginning to the present, which `now` tells at the end. Raises UnsettledError."""
    end = now()
    recorded = end - HISTORY_S
    await _found(simulation)
    releases = [
        (revision.age_s, service, index)
        for service in simulation.world.services
        for index, revision in enumerate(service.history)
    ]
    releases.sort(key=lambda release: -release[0])
    for age_s, batch in groupby(releases, key=lambda release: release[0]):
        moment = end - age_s
        if moment > recorded:
            simulation.sampler.backfill(recorded, moment)
            recorded = moment
        await _jump(simulation, moment)
        for _, service, index in batch:
            await _release(simulation, service, index)
        await settle(simulation)
    simulation.sampler.backfill(recorded, end)
    await _jump(simulation, now())
    await settle(simulation)


async def _jump(simulation: Simulation, moment: float) -> None:
    simulation.clock.advance(moment - simulation.clock.time())
    for _ in range(_TURNS):
        await asyncio.sleep(0)


async def _found(simulation: Simulation) -> None:
    """Nodes and namespaces."""
    store, world = simulation.store, simulation.world
    for name in manifests.SYSTEM_NAMESPACES:
        if store.get("namespaces", None, name) is None:
            store.create("namespaces", manifests.namespace(name))
    store.create("namespaces", manifests.namespace(world.namespace, world.labels))
    for index, node in enumerate(world.nodes):
        store.create("nodes", manifests.node(node, index=index, since=simulation.clock.now()))
    await asyncio.sleep(0)


async def _release(simulation: Simulation, service: Service, index: int) -> None:
    revision = service.history[index]
    author = revision.cause.partition(":")[0]
    actor = simulation.actor(author if author in ("ci-bot", "platform") else "platform")
    if index == 0:
        await _first_release(simulation, actor, service, revision)
        return
    path = f"/apis/apps/v1/namespaces/{simulation.world.namespace}/deployments/{service.name}"
    container = {"name": service.name, "image": revision.image}
    await actor.patch(
        path,
        {
            "metadata": {"annotations": {manifests.CHANGE_CAUSE: revision.cause}},
            "spec": {"template": {"spec": {"containers": [container]}}},
        },
    )


async def _first_release(simulation: Simulation, actor: Actor, service: Service, revision: Revision) -> None:
    world = simulation.world
    core = f"/api/v1/namespaces/{world.namespace}"
    for obj in manifests.settings(world, service):
        await actor.create(f"{core}/{obj['kind'].lower()}s", obj)
    await actor.create(f"{core}/services", manifests.service(world, service))
    apps = f"/apis/apps/v1/namespaces/{world.namespace}/deployments"
    await actor.create(apps, manifests.deployment(world, service, revision))


async def settle(simulation: Simulation) -> None:
    """Lets time pass in small strides until deployments are complete and old pods gone. Raises UnsettledError."""
    waiting: list[str] = []
    for _ in range(_PATIENCE):
        for _turn in range(_TURNS):
            await asyncio.sleep(0)
        waiting = simulation.incomplete() + simulation.leaving()
        if not waiting:
            return
        simulation.sampler.settle_load(simulation.clock.time())
        simulation.clock.advance(_STRIDE_S)
    raise UnsettledError(f"the world {simulation.world.name} does not settle; not complete: {', '.join(waiting)}")
