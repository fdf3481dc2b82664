"""One running world: clock, objects, controllers, kubelet, measurements and alert rules, wired together.

Built by `sandbox` at the start and again at each reset. `past.live` fills it; `run` keeps it going until cancelled.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.types import ASGIApp

from toban_sandbox.actors import Actor
from toban_sandbox.alerts.evaluation import Alert, RuleEvaluator
from toban_sandbox.alerts.rules import Group
from toban_sandbox.clock import Clock
from toban_sandbox.controllers import Controllers
from toban_sandbox.kube import auth
from toban_sandbox.kube.api import build_app
from toban_sandbox.kube.faults import Faults
from toban_sandbox.kube.store import ObjectStore
from toban_sandbox.kubelet import Kubelet, Timing
from toban_sandbox.metrics.sampler import Sampler
from toban_sandbox.programs import PUBLIC_IMAGES, Load, Programs
from toban_sandbox.promql import engine, tree
from toban_sandbox.promql.errors import PromQLError
from toban_sandbox.world import World

TICK_S = 1.0
Json = dict[str, Any]
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Setting:
    """What a world is given from outside: who may do what, where requests are recorded, the alert rules."""

    seed: int
    users: Mapping[str, auth.User]
    actors: Mapping[str, auth.User]
    audit: Callable[[Json], None]
    faults: Faults
    rules: tuple[Group, ...]
    first_revision: int = 1


class Simulation:
    """The parts of one world. `start` is the simulated moment at which its past begins."""

    def __init__(self, world: World, setting: Setting, *, start: float, speed: float) -> None:
        self.world = world
        self.clock = Clock(speed=speed, start=datetime.fromtimestamp(start, UTC))
        self.store = ObjectStore(self.clock, seed=setting.seed, first_revision=setting.first_revision)
        self.programs = Programs(world.images, generic=PUBLIC_IMAGES)
        self.load = Load()
        self.kubelet = Kubelet(self.store, self.programs, self.load, self.clock, seed=setting.seed, timing=Timing())
        self._controllers = Controllers(self.store, usage_of=self.kubelet.usage)
        self.sampler = Sampler(
            world,
            self.store,
            programs=self.programs,
            load=self.load,
            usage_of=self.kubelet.usage,
            seed=setting.seed,
        )
        self.alerting = RuleEvaluator(setting.rules)
        self.on_tick: Callable[[list[Alert]], None] | None = None
        self._setting = setting
        self._begun = False
        self.app: ASGIApp = build_app(
            self.store,
            self.kubelet,
            users={**setting.users, **setting.actors},
            audit=self._audit,
            clock=self.clock,
            faults=setting.faults,
        )

    def _audit(self, entry: Json) -> None:
        # The past is made up; only what happens from now on is worth recording.
        if self._begun:
            self._setting.audit(entry)

    def actor(self, name: str) -> Actor:
        """Somebody who can change the cluster; raises KeyError for an unknown name."""
        tokens = {user.name: token for token, user in self._setting.actors.items()}
        return Actor(self.app, token=tokens[name], name=name)

    def begin(self) -> None:
        """The past is over: from here on requests are recorded."""
        self._begun = True
        self.tick()

    # -- life -----------------------------------------------------------------------------------------------------
    async def run_cluster(self) -> None:
        """Runs controllers and kubelet until cancelled; an error in one of them ends all."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.kubelet.run())
            group.create_task(self._controllers.run())

    async def run(self) -> None:
        """Measures and evaluates once per simulated second until cancelled."""
        while True:
            now = self.clock.time()
            await self.clock.sleep(math.floor(now) + TICK_S - now)
            try:
                self.tick()
            except Exception:  # noqa: BLE001 - a measurement that fails once must not end all measurements
                _log.exception("a tick failed")

    def tick(self) -> None:
        now = self.clock.time()
        self.sampler.tick(now)
        self.alerting.evaluate(self.sampler.series, now)
        self.sampler.series.record(round(now * 1000), self.alerting.series())
        if self.on_tick is not None:
            self.on_tick(self.alerting.alerts())

    # -- state ----------------------------------------------------------------------------------------------------
    def incomplete(self) -> list[str]:
        """The names of deployments whose pods are not all up to date and available."""
        return [obj["metadata"]["name"] for obj in self.store.list("deployments") if not _complete(obj)]

    def leaving(self) -> list[str]:
        """The names of pods that are being deleted."""
        return [pod["metadata"]["name"] for pod in self.store.list("pods") if "deletionTimestamp" in pod["metadata"]]

    def holds(self, query: tree.Expr) -> bool:
        """Whether a query has any result now."""
        with contextlib.suppress(PromQLError):
            value = engine.instant(self.sampler.series, query, round(self.clock.time() * 1000))
            return bool(value)
        return False


def _complete(deployment: Json) -> bool:
    spec, status, meta = deployment["spec"], deployment.get("status", {}), deployment["metadata"]
    wanted = spec.get("replicas", 1)
    counts = {status.get(name, 0) for name in ("replicas", "updatedReplicas", "availableReplicas")}
    return status.get("observedGeneration", 0) >= meta.get("generation", 0) and counts == {wanted}
