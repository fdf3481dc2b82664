"""Investigate: which reads an incident asks for, and what they show. Called by the pipeline; it changes nothing.

Objects of the incident's namespaces, its alerts' rules, the metrics of the services involved and the logs of containers
that crash are read side by side. A source that fails or stays silent becomes an entry of `missing`, not an error.
"""

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from toban.analysis import alerts as alert_findings
from toban.analysis import kubernetes, logs, metrics, topology
from toban.analysis.metrics import Metric
from toban.errors import TobanError
from toban.flow.settings import InvestigateSettings
from toban.knowledge.watch import Reader
from toban.model import service as service_model
from toban.model.alert import Alert
from toban.model.finding import Finding
from toban.model.incident import Incident
from toban.model.service import ObjectRef, Service

FIRST_ANSWER_S = 4.5
"""Reads that are not back by then are left out, so that the first answer comes within five seconds."""

_LOGS_S = 1.2  # of it kept for the logs, which are read last
_AT_ONCE = 6
_STEP_S = 15
_POINTS = 1_000
_RATES = ("1m", "5m")  # the second where samples are too far apart for the first
_NAMESPACES = 4
_SERVICES = 12
_RULES = 10
_CONTAINERS = 6
_LINES = 60
_CHANGES = timedelta(hours=2)
_CRASHED = ("container.crash_loop", "container.liveness_failed", "container.killed")


@dataclass(frozen=True)
class Investigation:
    """What was found, what could not be read (in words, with the source first), and how many reads were made."""

    findings: tuple[Finding, ...]
    missing: tuple[str, ...]
    reads: int


async def investigate(
    reader: Reader,
    *,
    incident: Incident,
    alerts: Sequence[Alert],
    services: Mapping[str, Service],
    settings: InvestigateSettings,
    now: datetime,
) -> Investigation:
    """All findings of one incident as of `now`, in a fixed order."""
    loop = asyncio.get_running_loop()
    budget_s = min(settings.timeout_s, FIRST_ANSWER_S)
    ends = loop.time() + budget_s
    look = _Look(_Reads(reader, ends - min(_LOGS_S, budget_s / 2)), incident, alerts, services, settings, now)
    inventories, *found = await asyncio.gather(
        _inventories(look),
        _rules(look),
        *(_metrics(look, chosen) for chosen in look.by_namespace()),
    )
    objects = await asyncio.to_thread(_objects, look, inventories)  # a large namespace takes a while
    look.reads.deadline = ends
    spoken = await _logs(look, objects, inventories)
    every = [*objects, *spoken, *(finding for part in found for finding in part), *alert_findings.ended(alerts, now)]
    ordered = sorted({finding.id: finding for finding in every}.values(), key=lambda one: (one.code, one.id))
    return Investigation(tuple(ordered), look.reads.missing(), look.reads.count)


class _Reads:
    """Reads through the Gate: so many at once, so long, and every failure noted."""

    def __init__(self, reader: Reader, deadline: float) -> None:
        self._reader = reader
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._failures: dict[tuple[str, str], set[str]] = {}
        self.deadline = deadline
        self.count = 0

    async def read(self, action: str, params: Mapping[str, Any], what: str) -> Any:
        """The answer, or None after noting why there is none."""
        try:
            async with asyncio.timeout_at(self.deadline), self._slots:
                self.count += 1
                return await self._reader.read(action, dict(params))
        except TimeoutError:
            self.note(action, "no answer in time", what)
        except TobanError as error:
            self.note(action, error.message, what)
        return None

    def note(self, action: str, problem: str, what: str) -> None:
        self._failures.setdefault((action.partition(".")[0], problem), set()).add(what)

    def missing(self) -> tuple[str, ...]:
        """One entry for each source and problem."""
        said = []
        for (source, problem), things in sorted(self._failures.items()):
            named = sorted(things)
            more = f" and {len(named) - 2} more" if len(named) > 3 else ""  # noqa: PLR2004 - two names say it, the rest is a number
            said.append(f"{source}: {', '.join(named[:2] if more else named)}{more}: {problem}")
        return tuple(said)


@dataclass(frozen=True)
class _Look:
    """One incident being looked at."""

    reads: _Reads
    incident: Incident
    alerts: Sequence[Alert]
    services: Mapping[str, Service]
    settings: InvestigateSettings
    now: datetime
    involved: list[Service] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "involved", self._involved())

    @property
    def started_at(self) -> datetime:
        return min([self.incident.started_at, *(alert.started_at for alert in self.alerts)])

    @property
    def window(self) -> tuple[datetime, datetime]:
        """From the look-back before the start until now."""
        return self.started_at - timedelta(seconds=self.settings.lookback_s), self.now

    def namespaces(self) -> list[str]:
        """Where to look: the alerts' namespaces first, then the services'."""
        labelled = [alert.labels.get("namespace", "") for alert in self.alerts]
        named = [*labelled, *(service.namespace for service in self.involved)]
        return list(dict.fromkeys(name for name in named if name))[:_NAMESPACES]

    def by_namespace(self) -> list[list[Service]]:
        grouped: dict[str, list[Service]] = {}
        for service in self.involved:
            if service.namespace:
                grouped.setdefault(service.namespace, []).append(service)
        return list(grouped.values())

    def _involved(self) -> list[Service]:
        """Services with alerts, their callees all the way down, and their neighbours."""
        named = [self.incident.service, *(alert.service for alert in self.alerts), *self.incident.services]
        affected = list(dict.fromkeys(name for name in named if name))
        known = dict(self.services)
        below = [name for one in affected for name in topology.callees(known, one)]
        beside = [name for one in affected for name in sorted(service_model.neighbours(known, one))]
        chosen = dict.fromkeys([*affected, *below, *beside])
        return [known[name] for name in chosen if name in known][:_SERVICES]


async def _inventories(look: _Look) -> list[dict[str, Any]]:
    names = look.namespaces()
    params = [{"namespace": name} for name in names]
    answers = await asyncio.gather(*(look.reads.read("kubernetes.inventory", one, "objects") for one in params))
    for answer in answers:
        for gap in (answer or {}).get("missing") or []:
            what, _, problem = str(gap).partition(": ")
            look.reads.note("kubernetes.inventory", problem or "not whole", what)
    return [answer for answer in answers if isinstance(answer, dict)]


def _objects(look: _Look, inventories: Sequence[Mapping[str, Any]]) -> list[Finding]:
    found: list[Finding] = []
    for inventory in inventories:
        found += kubernetes.analyze(
            inventory,
            observed_at=look.now,
            since=look.window[0],
            changes_since=look.started_at - _CHANGES,
            started_at=look.started_at,
            services=list(look.services.values()),
        )
    return found


async def _rules(look: _Look) -> list[Finding]:
    names = list(dict.fromkeys(alert.name for alert in look.alerts))[:_RULES]
    params = [{"alert_name": name} for name in names]
    answers = await asyncio.gather(*(look.reads.read("prometheus.rule_state", one, "alert rules") for one in params))
    found = zip(names, answers, strict=True)
    return [finding for name, answer in found if answer for finding in alert_findings.rule(name, answer, look.now)]


async def _metrics(look: _Look, services: Sequence[Service]) -> list[Finding]:
    limits, *series = await asyncio.gather(
        _limits(look, services), *(_series(look, metric, services) for metric in metrics.TABLE)
    )
    found: list[Finding] = []
    first, last = (time.timestamp() for time in look.window)
    for metric, (rate, answer) in zip(metrics.TABLE, series, strict=True):
        for service in services:
            points = _points(metric, service, answer)
            query = metrics.expression(metric, [service], rate=rate)
            reading = metrics.Reading(metric, service, points, query, (first, last), limits.get(service.name))
            found += metrics.findings(reading, start=look.started_at.timestamp(), observed_at=look.now)
    return found


async def _series(look: _Look, metric: Metric, services: Sequence[Service]) -> tuple[str, list[dict[str, Any]]]:
    """The range that was used and the series of all services."""
    start, end = look.window
    step_s = max(_STEP_S, (end - start).total_seconds() / _POINTS)
    whole = int((end - start).total_seconds() / step_s) * step_s  # so that the last point is the present
    for rate in _RATES:
        params = {
            "expr": metrics.expression(metric, services, rate=rate),
            "start": (end - timedelta(seconds=whole)).isoformat(),
            "end": end.isoformat(),
            "step_s": step_s,
        }
        answer = await look.reads.read("prometheus.query_range", params, metric.title.lower())
        series = (answer or {}).get("series") or []
        if series or answer is None or "{rate}" not in metric.expression:
            break
    return rate, series


async def _limits(look: _Look, services: Sequence[Service]) -> dict[str, float]:
    """The memory limit in bytes by service."""
    expr = metrics.expression(metrics.MEMORY_LIMIT, services, rate=_RATES[0])
    params = {"expr": expr, "at": look.now.isoformat()}
    answer = await look.reads.read("prometheus.query", params, metrics.MEMORY_LIMIT.title.lower())
    series = (answer or {}).get("series") or []
    found = {service.name: _points(metrics.MEMORY_LIMIT, service, series) for service in services}
    return {name: points[-1][1] for name, points in found.items() if points}


def _points(metric: Metric, service: Service, series: Iterable[Mapping[str, Any]]) -> list[list[float]]:
    mine = (one["points"] for one in series if metrics.belongs(metric, service, one["labels"]))
    return metrics.merged(mine, metric.merge)


async def _logs(look: _Look, objects: Sequence[Finding], inventories: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """The last lines of containers that crash, of the ones before them too."""
    involved = {service.name for service in look.involved}
    crashed = [one for one in objects if one.code in _CRASHED]
    crashed.sort(key=lambda one: (one.service not in involved, one.id))
    peers = topology.hosts(look.services.values(), inventories)
    parts = await asyncio.gather(*(_log(look, one, peers) for one in crashed[:_CONTAINERS]))
    return [finding for part in parts for finding in part]


async def _log(look: _Look, crashed: Finding, peers: Mapping[str, str]) -> list[Finding]:
    subject: ObjectRef = crashed.subject
    params = {
        "namespace": subject.namespace,
        "pod": crashed.facts["pods"][0],
        "container": subject.container,
        "tail": _LINES,
    }
    answers = await asyncio.gather(
        *(
            look.reads.read("kubernetes.pod_logs", params | {"previous": previous}, f"log of {params['pod']}")
            for previous in (True, False)
        )
    )
    lines = [str(line) for answer in answers for line in (answer or {}).get("lines") or []]
    query = f"kubernetes.pod_logs {json.dumps(params | {'previous': True})}"
    source = logs.Source(subject, crashed.service, params["pod"], query, look.now)
    return logs.findings(lines, source, peers=peers)
