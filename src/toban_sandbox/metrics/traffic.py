"""How requests flow through a world's services: load down the call graph, failures and latency back up.

Called by `metrics.sampler` at each tick with the programs that really run. It knows no Kubernetes, keeps no counters.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from toban_sandbox.programs import Program
from toban_sandbox.world import World

DAY_S = 86_400.0
_PEAK_S = 14 * 3600.0
_REFUSED_MS = 3.0  # how quickly a call fails when nobody listens
_BUSIEST = 0.95
_LEAST_RATIO = 1e-9


@dataclass(frozen=True)
class Call:
    """What one service's calls to another came to: requests per second and the share that failed."""

    rps: float
    failed: float
    unreachable: bool


@dataclass(frozen=True)
class Flow:
    """One service at one moment. `codes` are shares of the answered requests by status code.

    `offered_rps` is what callers send; `served` is False when no instance is ready, so that nobody answers.
    """

    offered_rps: float
    served: bool
    codes: dict[str, float]
    latency_ms: float
    calls: dict[str, Call]

    @property
    def failed(self) -> float:
        """The share of requests that fails from the caller's view."""
        if not self.served:
            return 1.0
        return sum(share for code, share in self.codes.items() if code.startswith("5"))


@dataclass
class Surge:
    """A change of one service's traffic to `factor` times its normal, reached `ramp_s` seconds after `since`."""

    factor: float
    ramp_s: float
    since: float
    start: float = 1.0

    def at(self, now: float) -> float:
        done = 1.0 if self.ramp_s <= 0 else min(1.0, max(0.0, (now - self.since) / self.ramp_s))
        return self.start + (self.factor - self.start) * done


@dataclass
class Demand:
    """How many requests come in: the day's season and what scenarios change."""

    world: World
    surges: dict[str, Surge] = field(default_factory=dict)

    def surge(self, service: str, *, factor: float, ramp_s: float, now: float) -> None:
        before = self.surges.get(service)
        self.surges[service] = Surge(factor, ramp_s, now, before.at(now) if before else 1.0)

    def entry_rps(self, now: float) -> float:
        """Requests per second into the entry service, without surges."""
        traffic = self.world.traffic
        phase = 2 * math.pi * ((now % DAY_S) - _PEAK_S) / DAY_S
        return traffic.rps * (1 + traffic.season * math.cos(phase))

    def factor(self, service: str, now: float) -> float:
        surge = self.surges.get(service)
        return surge.at(now) if surge else 1.0


class CallGraph:
    """The world's services in calling order, with normal loads and the way from the entry to each service."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._ordered = world.callers_first()
        self._normal = self._normal_loads()
        self._ways = self._ways_in()

    def _normal_loads(self) -> dict[str, float]:
        """Requests at each service per request into the entry."""
        loads = dict.fromkeys((service.name for service in self._ordered), 0.0)
        loads[self.world.traffic.entry] = 1.0
        for service in self._ordered:
            for callee, per_request in service.calls.items():
                loads[callee] += loads[service.name] * per_request
        return loads

    def _ways_in(self) -> dict[str, tuple[str, ...]]:
        """The shortest chain of calls from the entry to each service; extra traffic comes along it."""
        entry = self.world.traffic.entry
        ways: dict[str, tuple[str, ...]] = {entry: (entry,)}
        queue = [entry]
        while queue:
            name = queue.pop(0)
            service = self.world.service(name)
            for callee in service.calls if service else ():
                if callee not in ways:
                    ways[callee] = (*ways[name], callee)
                    queue.append(callee)
        return ways

    def flows(self, demand: Demand, instances: Mapping[str, Sequence[Program]], now: float) -> dict[str, Flow]:
        """Every service's flow. `instances` are the programs of the ready replicas of each service."""
        calls, offered = self._loads(demand, instances, now)
        flows: dict[str, Flow] = {}
        for service in reversed(self._ordered):
            name = service.name
            flows[name] = _flow(instances.get(name, ()), offered[name], calls[name], flows)
        return flows

    def _loads(
        self, demand: Demand, instances: Mapping[str, Sequence[Program]], now: float
    ) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
        """Calls per second along each edge, and requests offered to each service."""
        alive = {name for name, programs in instances.items() if programs}
        extra, passing = self._surges(demand, alive, now)
        arriving = dict.fromkeys((service.name for service in self._ordered), 0.0)
        arriving[self.world.traffic.entry] = demand.entry_rps(now)
        calls: dict[str, dict[str, float]] = {}
        offered: dict[str, float] = {}
        for service in self._ordered:
            full = arriving[service.name] + extra.get(service.name, 0.0)
            edges = {callee: full * ratio for callee, ratio in service.calls.items() if service.name in alive}
            for callee, rps in edges.items():
                arriving[callee] += rps
            through = {callee: rps for (caller, callee), rps in passing.items() if caller == service.name}
            for callee, rps in through.items():
                edges[callee] = edges.get(callee, 0.0) + rps
            calls[service.name] = edges
            offered[service.name] = full + sum(through.values())
        return calls, offered

    def _surges(
        self, demand: Demand, alive: set[str], now: float
    ) -> tuple[dict[str, float], dict[tuple[str, str], float]]:
        """What surges add to the surging services, and to the calls on the way there.

        A service that such requests only pass through calls nothing else for them.
        """
        extra: dict[str, float] = {}
        passing: dict[tuple[str, str], float] = {}
        for name in demand.surges:
            way = self._ways.get(name, ())
            if not way or not alive.issuperset(way[:-1]):
                continue
            more = demand.entry_rps(now) * self._normal[name] * (demand.factor(name, now) - 1.0)
            extra[name] = extra.get(name, 0.0) + more
            for edge in itertools.pairwise(way):
                passing[edge] = passing.get(edge, 0.0) + more
        return extra, passing


def _flow(programs: Sequence[Program], offered: float, edges: Mapping[str, float], flows: Mapping[str, Flow]) -> Flow:
    calls = {
        callee: Call(rps, flows[callee].failed, not flows[callee].served) for callee, rps in edges.items() if rps > 0
    }
    if not programs:
        return Flow(offered, served=False, codes={}, latency_ms=0.0, calls={})
    per_instance = offered / len(programs)
    own, shed, latency = 0.0, 0.0, 0.0
    for program in programs:
        own += program.error_rate / len(programs)
        shed += max(0.0, 1 - program.capacity_rps / max(per_instance, _LEAST_RATIO)) / len(programs)
        busy = min(_BUSIEST, per_instance / max(program.capacity_rps, _LEAST_RATIO))
        latency += program.latency_ms / (1 - busy**3) / len(programs)
    broken, unreachable, waiting = _downstream(calls, flows, offered)
    accepted = 1 - shed
    downstream = 1 - (1 - broken) * (1 - unreachable)
    codes = {
        "500": accepted * own,
        "502": accepted * (1 - own) * (downstream - unreachable if downstream > unreachable else 0.0),
        "503": shed + accepted * (1 - own) * min(unreachable, downstream),
    }
    codes["200"] = max(0.0, 1 - sum(codes.values()))
    return Flow(offered, served=True, codes=codes, latency_ms=latency + waiting, calls=calls)


def _downstream(calls: Mapping[str, Call], flows: Mapping[str, Flow], offered: float) -> tuple[float, float, float]:
    """The shares of requests that fail as a callee failed or could not be reached, and the time spent waiting."""
    intact, reached, waiting = 1.0, 1.0, 0.0
    for callee, call in calls.items():
        per_request = call.rps / max(offered, _LEAST_RATIO)
        hit = per_request * call.failed if per_request <= 1 else 1 - (1 - call.failed) ** per_request
        if call.unreachable:
            reached *= 1 - min(1.0, hit)
        else:
            intact *= 1 - min(1.0, hit)
        waiting += per_request * (_REFUSED_MS if call.unreachable else flows[callee].latency_ms)
    return 1 - intact, 1 - reached, waiting
