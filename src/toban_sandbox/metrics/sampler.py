"""Measures the world at each tick — objects, usage, traffic — and writes the series; also the past before the start.

Called by the world's loop once per simulated second. It sets the load that the programs feel; it judges nothing.
"""

from __future__ import annotations

import itertools
from array import array
from typing import Any

from toban_sandbox.metrics.containers import ContainerUsage, UsageOf, targets
from toban_sandbox.metrics.kube_state import KubeState, Objects
from toban_sandbox.metrics.series import SeriesStore
from toban_sandbox.metrics.services import RequestCounters
from toban_sandbox.metrics.traffic import CallGraph, Demand, Flow
from toban_sandbox.programs import Load, Program, Programs
from toban_sandbox.promql.labels import Labels
from toban_sandbox.world import World

HISTORY_STEP_S = 15
_LOAD_CHANGE = 0.01  # a smaller change of a service's load is not worth waking the kubelet for
_LONGEST_TICK_S = 60.0

Json = dict[str, Any]
Sample = tuple[Labels, float]


class Sampler:
    """All measurements of one world."""

    def __init__(
        self, world: World, store: Objects, *, programs: Programs, load: Load, usage_of: UsageOf, seed: int
    ) -> None:
        self._world = world
        self._store = store
        self._programs = programs
        self._load = load
        self._graph = CallGraph(world)
        self._state = KubeState(store)
        self._requests = RequestCounters(world.namespace, noise=world.traffic.noise, seed=seed)
        self._last: float | None = None
        self.demand = Demand(world)
        self.containers = ContainerUsage(usage_of, seed=seed)
        self.series = SeriesStore()
        self.flows: dict[str, Flow] = {}

    def tick(self, now: float) -> None:
        """Measures the present and appends it; `now` is in Unix seconds."""
        seconds = 0.0 if self._last is None else min(max(0.0, now - self._last), _LONGEST_TICK_S)
        self._last = now
        pods = self._store.list("pods")
        self._advance(now, seconds, pods=pods, instances=self._instances(pods))
        time_ms = round(now * 1000)
        self.series.scrape(time_ms, self.current())
        self.series.tidy(time_ms)

    def current(self) -> list[Sample]:
        """The newest measurement of everything."""
        pods, nodes = self._store.list("pods"), self._store.list("nodes")
        return self._state.samples() + targets(nodes, pods) + self._moving()

    def _moving(self) -> list[Sample]:
        return self._requests.samples() + self.containers.samples()

    def _advance(self, now: float, seconds: float, *, pods: list[Json], instances: dict[str, list[Program]]) -> None:
        self.flows = self._graph.flows(self.demand, instances, now)
        self._set_load()
        self._requests.add(self.flows, seconds)
        self.containers.add(pods, now=now, seconds=seconds)

    def settle_load(self, now: float) -> None:
        """Tells the kubelet the load of this moment without measuring anything."""
        self.flows = self._graph.flows(self.demand, self._instances(self._store.list("pods")), now)
        self._set_load()

    def _set_load(self) -> None:
        namespace = self._world.namespace
        for name, flow in self.flows.items():
            before = self._load.rps(namespace, name)
            if abs(flow.offered_rps - before) > _LOAD_CHANGE * max(before, 1.0):
                self._load.set_rps(namespace, name, flow.offered_rps)

    def _instances(self, pods: list[Json]) -> dict[str, list[Program]]:
        """The programs of each service's ready pods, as its Service object selects them."""
        namespace = self._world.namespace
        services = {obj["metadata"]["name"]: obj for obj in self._store.list("services", namespace)}
        ready = [pod for pod in pods if pod["metadata"]["namespace"] == namespace and _is_ready(pod)]
        found: dict[str, list[Program]] = {}
        for service in self._world.services:
            selector = services.get(service.name, {}).get("spec", {}).get("selector")
            chosen = [pod for pod in ready if selector and _selects(selector, pod)]
            found[service.name] = [self._program(pod) for pod in chosen]
        return found

    def _program(self, pod: Json) -> Program:
        image = pod["spec"]["containers"][0]["image"]
        return self._programs.lookup(image) or Program(image)

    # -- the past -------------------------------------------------------------------------------------------------
    def backfill(self, start: float, end: float) -> None:
        """Writes history as if the world had been as it is now from start to end, in steps of HISTORY_STEP_S.

        Called for one stretch of the past after the other, oldest first.
        """
        first = -(-start // HISTORY_STEP_S) * HISTORY_STEP_S
        moments = list(itertools.takewhile(lambda moment: moment < end, itertools.count(first, HISTORY_STEP_S)))
        if not moments:
            return
        pods = self._store.list("pods")
        instances = self._instances(pods)
        columns: dict[Labels, array[float]] = {}
        for moment in moments:
            self._advance(moment, HISTORY_STEP_S, pods=pods, instances=instances)
            for labels, value in self._moving():
                column = columns.get(labels)
                if column is None:
                    column = columns[labels] = array("d")
                column.append(value)
        times = array("q", [round(moment * 1000) for moment in moments])
        steady = self._state.samples() + targets(self._store.list("nodes"), pods)
        columns.update((labels, array("d", [value]) * len(moments)) for labels, value in steady)
        self.series.load(times, columns)
        self._last = moments[-1]


def _is_ready(pod: Json) -> bool:
    if "deletionTimestamp" in pod["metadata"]:
        return False
    conditions = pod.get("status", {}).get("conditions", [])
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def _selects(selector: dict[str, str], pod: Json) -> bool:
    labels = pod["metadata"].get("labels", {})
    return all(labels.get(key) == value for key, value in selector.items())
