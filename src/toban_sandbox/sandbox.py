"""The sandbox as a whole: the world that runs now, its resets and scenarios, and who is told of alerts.

Made by `server`, operated by `control`. A reset puts a new world behind the same sockets; clients see their watches end
and start over, as after a restart of a real API server.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from toban_sandbox import actors, past
from toban_sandbox.alerts import rules
from toban_sandbox.alerts.delivery import AlertSender, HttpPoster
from toban_sandbox.alerts.evaluation import Alert, timestamp
from toban_sandbox.alerts.notifications import Policy
from toban_sandbox.audit import AuditLog
from toban_sandbox.clock import Clock
from toban_sandbox.injection import Run
from toban_sandbox.kube import auth
from toban_sandbox.kube.faults import Faults
from toban_sandbox.promql import engine
from toban_sandbox.promql.labels import Labels
from toban_sandbox.scenario import Scenario
from toban_sandbox.simulation import Setting, Simulation
from toban_sandbox.world import World

Json = dict[str, Any]
_RESET_REVISIONS = 1000  # a gap, so that no resourceVersion of the old world means anything in the new one
_log = logging.getLogger(__name__)


class BusyError(Exception):
    """Something else is under way; the message says what."""


async def _run(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    await app(scope, receive, send)


class Switch:
    """An ASGI application that can be exchanged; requests still under way at the old one are cut off."""

    def __init__(self) -> None:
        self._app: ASGIApp | None = None
        self._requests: set[asyncio.Task[None]] = set()

    async def change(self, app: ASGIApp) -> None:
        self._app = app
        cut = list(self._requests)
        for task in cut:
            task.cancel()
        await asyncio.gather(*cut, return_exceptions=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._app is None:
            raise RuntimeError("no world yet")
        task = asyncio.ensure_future(_run(self._app, scope, receive, send))
        self._requests.add(task)
        try:
            await asyncio.wait([task])
        finally:
            self._requests.discard(task)
            task.cancel()
        if not task.cancelled():
            task.result()


class Sandbox:
    """One sandbox. `now` tells the real moment at which a first world arrives, in Unix seconds."""

    def __init__(
        self, world: World, *, seed: int, speed: float, users: dict[str, auth.User], audit: AuditLog, policy: Policy
    ) -> None:
        self.world = world
        self.seed = seed
        self.audit = audit
        self.faults = Faults()
        self.kubernetes = Switch()
        self.run: Run | None = None
        self._speed = speed
        self._policy = policy
        self._users, self._actors = users, actors.make_users()
        self._rules = rules.load()
        self._simulation: Simulation | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._injection: asyncio.Task[None] | None = None
        self._changing = asyncio.Lock()
        self._poster = HttpPoster()
        self._sender: AlertSender | None = None
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def simulation(self) -> Simulation:
        if self._simulation is None:
            raise RuntimeError("no world yet")
        return self._simulation

    @property
    def sender(self) -> AlertSender:
        if self._sender is None:
            raise RuntimeError("not started yet")
        return self._sender

    def clock(self) -> Clock:
        return self.simulation.clock

    # -- worlds ---------------------------------------------------------------------------------------------------
    async def start(self, *, metrics_url: str, now: Callable[[], float]) -> None:
        """Makes the first world and lets it run. Raises UnsettledError."""
        self._sender = AlertSender(self._policy, clock=self.clock, metrics_url=metrics_url, post=self._poster)
        await self._enter_world(now, revision=1)

    async def reset(self) -> None:
        """Back to the healthy base, with a new past; alerts of the old world resolve. Raises BusyError."""
        if self._changing.locked():
            raise BusyError("a reset is under way already")
        async with self._changing:
            old = self.simulation
            self._speed = old.clock.speed
            await self._leave_world()
            self.faults.clear()
            self.run = None
            resolved = old.alerting.resolve_all(old.clock.time())
            await self._enter_world(old.clock.time, revision=old.store.revision + _RESET_REVISIONS)
            self.sender.tick(resolved)

    async def _enter_world(self, now: Callable[[], float], *, revision: int) -> None:
        setting = Setting(
            seed=self.seed,
            users=self._users,
            actors=self._actors,
            audit=self.audit.add,
            faults=self.faults,
            rules=self._rules,
            first_revision=revision,
        )
        fresh = Simulation(self.world, setting, start=now() - self.world.age_s, speed=self._speed)
        cluster = asyncio.create_task(fresh.run_cluster(), name="cluster")
        self._tasks = [cluster]
        cluster.add_done_callback(self._ended)
        await past.live(fresh, now)
        self._simulation = fresh
        fresh.on_tick = self._told
        fresh.begin()
        await self.kubernetes.change(fresh.app)
        ticks = asyncio.create_task(fresh.run(), name="ticks")
        ticks.add_done_callback(self._ended)
        self._tasks.append(ticks)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None and not self.failed.done():
            self.failed.set_exception(task.exception() or RuntimeError())

    async def _leave_world(self) -> None:
        leaving = [*self._tasks, *([self._injection] if self._injection else [])]
        self._tasks, self._injection = [], None
        for task in leaving:
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)

    def _told(self, alerts: list[Alert]) -> None:
        self.sender.tick(alerts)
        if self.run is not None:
            self.run.observe()

    # -- scenarios ------------------------------------------------------------------------------------------------
    def start_scenario(self, scenario: Scenario) -> Run:
        """Begins a scenario. Raises BusyError while another one runs."""
        if self._changing.locked():
            raise BusyError("a reset is under way; try again when it is done")
        if self.run is not None and self.run.running:
            name = self.run.scenario.name
            raise BusyError(f"the scenario {name} runs; wait for its recovery or reset the sandbox first")
        self.run = Run(scenario, self.simulation)
        self._injection = asyncio.create_task(self.run.inject(), name=f"scenario {scenario.name}")
        return self.run

    # -- state ----------------------------------------------------------------------------------------------------
    def state(self) -> Json:
        simulation = self.simulation
        firing = simulation.alerting.firing()
        return {
            "world": self.world.name,
            "scenario": self.run.state() if self.run else None,
            "started_at": self.run.started_at.isoformat() if self.run else None,
            "seed": self.seed,
            "speed": simulation.clock.speed,
            "now": simulation.clock.now().isoformat(),
            "healthy": not firing and not simulation.incomplete(),
            "incomplete": simulation.incomplete(),
            "firing": [_shown(alert) for alert in firing],
        }

    async def close(self) -> None:
        await self._leave_world()
        if self._sender is not None:
            await self._sender.close()
        await self._poster.close()
        with contextlib.suppress(asyncio.InvalidStateError):
            self.failed.cancel()
        self.audit.close()


def _shown(alert: Alert) -> Json:
    since = alert.active_at if alert.fired_at is None else alert.fired_at
    return {"alertname": alert.rule.name, "labels": dict(alert.labels), "since": timestamp(since)}


class CurrentReadings:
    """What the metrics API reads: always the world that runs now."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    def now_ms(self) -> int:
        return round(self._sandbox.clock().time() * 1000)

    def source(self) -> engine.Source:
        return self._sandbox.simulation.sampler.series

    def current(self) -> list[tuple[Labels, float]]:
        return self._sandbox.simulation.sampler.current()

    def rule_groups(self) -> list[Json]:
        return self._sandbox.simulation.alerting.api_groups()

    def alerts(self) -> list[Json]:
        return self._sandbox.simulation.alerting.api_alerts()
