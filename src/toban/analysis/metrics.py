"""The service metrics that an investigation looks at, in one table, and how a series becomes a finding.

Called by `flow.investigate`, which does the reading. Names are those of the usual exporters: application counters by
`service`, kube-state-metrics and cAdvisor by `pod`.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from toban.analysis import anomaly, quantity
from toban.analysis.anomaly import Deviation, Floor
from toban.model import finding
from toban.model.finding import Finding, FindingKind
from toban.model.service import ObjectRef, Service

CHART_POINTS = 120
NEAR_LIMIT = 0.9
_PLAIN = re.compile(r"[a-zA-Z0-9_\-]+")
_THRESHOLD = 5.0  # scales; the band itself is 4 wide


@dataclass(frozen=True)
class Metric:
    """One row: what is read and from when on it counts. `per` is the label that tells services apart.

    `expression` has {which} for the label matchers and {rate} for the range. `direction` is up, down or both.
    """

    name: str
    title: str
    unit: str
    per: str
    expression: str
    floor: Floor = field(default_factory=Floor)
    direction: str = "up"
    merge: str = "max"


TABLE: tuple[Metric, ...] = (
    Metric(
        "request_rate",
        "Request rate",
        "requests/s",
        "service",
        "sum by (service) (rate(http_server_requests_total{{{which}}}[{rate}]))",
        Floor(absolute=0.3, relative=0.08),
        direction="both",
    ),
    Metric(
        "error_share",
        "Share of failed requests",
        "share",
        "service",
        '(sum by (service) (rate(http_server_requests_total{{{which},code=~"5.."}}[{rate}]))'
        " or 0 * sum by (service) (rate(http_server_requests_total{{{which}}}[{rate}])))"
        " / sum by (service) (rate(http_server_requests_total{{{which}}}[{rate}]))",
        Floor(absolute=0.003),
    ),
    Metric(
        "latency_p95",
        "95th percentile of response time",
        "s",
        "service",
        "histogram_quantile(0.95, sum by (service, le)"
        " (rate(http_server_request_duration_seconds_bucket{{{which}}}[{rate}])))",
        Floor(absolute=0.003, relative=0.08),
    ),
    Metric(
        "restarts",
        "Restarts per five minutes",
        "",
        "pod",
        "sum by (pod) (increase(kube_pod_container_status_restarts_total{{{which}}}[5m]))",
        Floor(absolute=0.15),
        merge="sum",
    ),
    Metric(
        "memory",
        "Memory working set",
        "B",
        "pod",
        "max by (pod) (max_over_time("
        'container_memory_working_set_bytes{{{which},container!="",container!="POD"}}[{rate}]))',
        Floor(absolute=4 * quantity.MEBIBYTE),
    ),
    Metric(
        "cpu",
        "Processor time",
        "cores",
        "pod",
        'sum by (pod) (rate(container_cpu_usage_seconds_total{{{which},container!="",container!="POD"}}[{rate}]))',
        Floor(absolute=0.02, relative=0.1),
        merge="sum",
    ),
)

MEMORY_LIMIT = Metric(
    "memory_limit",
    "Memory limit",
    "B",
    "pod",
    'max by (pod) (kube_pod_container_resource_limits{{{which},resource="memory"}})',
    direction="context",
)


@dataclass(frozen=True)
class Reading:
    """One service's series of one metric with the window it was read for (Unix seconds)."""

    metric: Metric
    service: Service
    points: Sequence[Sequence[float]]
    query: str
    window: tuple[float, float]
    limit_bytes: float | None = None


def expression(metric: Metric, services: Sequence[Service], *, rate: str) -> str:
    """The PromQL of one row for services of one namespace; with one service it can be run again by hand."""
    namespace = services[0].namespace
    if metric.per == "service":
        values = [_literal(service.name) for service in services]
    else:
        values = [pod_pattern(service) for service in services]
    exact = metric.per == "service" and len(values) == 1 and _PLAIN.fullmatch(values[0])
    which = f'namespace="{namespace}",{metric.per}{"=" if exact else "=~"}"{"|".join(sorted(values))}"'
    return metric.expression.format(which=which, rate=rate)


def pod_pattern(service: Service) -> str:
    """A regular expression, as PromQL text, for the names of the pods that run the service."""
    return _literal(_workload_name(service)) + _pod_ending(service)


def _pod_names(service: Service) -> str:
    return re.escape(_workload_name(service)) + _pod_ending(service)


def _workload_name(service: Service) -> str:
    return service.workload.name if service.workload else service.name


def _pod_ending(service: Service) -> str:
    endings = {"StatefulSet": "-[0-9]+", "DaemonSet": "-[a-z0-9]{5}", "Pod": ""}
    return endings.get(service.workload.kind if service.workload else "Deployment", "-[a-z0-9]{1,10}-[a-z0-9]{5}")


def belongs(metric: Metric, service: Service, labels: Mapping[str, str]) -> bool:
    """Whether a series read for several services is this one's."""
    if metric.per == "service":
        return labels.get("service") == service.name
    return re.fullmatch(_pod_names(service), labels.get("pod", "")) is not None


def _literal(name: str) -> str:
    """A name inside a regular expression inside PromQL's double quotes; metric labels may hold anything."""
    if _PLAIN.fullmatch(name):
        return name
    return re.escape(name).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "")


def merged(series: Iterable[Sequence[Sequence[float]]], how: str) -> list[list[float]]:
    """Several pods' series as one: the largest or the sum at each time."""
    at_time: dict[float, list[float]] = {}
    for points in series:
        for at, value in points:
            at_time.setdefault(float(at), []).append(float(value))
    pick = max if how == "max" else sum
    return [[at, float(pick(values))] for at, values in sorted(at_time.items())]


def findings(reading: Reading, *, start: float, observed_at: datetime) -> list[Finding]:
    """The deviation of a reading, if it counts, and memory close to its limit. Times are Unix seconds."""
    metric = reading.metric
    moved = anomaly.deviation(reading.points, start=start, floor=metric.floor)
    found = []
    if moved and moved.score >= _THRESHOLD and metric.direction in {"both", moved.direction}:
        found.append(_moved(reading, moved, observed_at))
    peak = max((value for _, value in reading.points if math.isfinite(value)), default=0.0)
    if metric.name == "memory" and reading.limit_bytes and peak >= NEAR_LIMIT * reading.limit_bytes:
        found.append(_near_limit(reading, peak, observed_at))
    return found


def _moved(reading: Reading, moved: Deviation, observed_at: datetime) -> Finding:
    metric, service = reading.metric, reading.service
    verb = "rose" if moved.direction == "up" else "fell"
    now, before = amount(moved.now, metric.unit), amount(moved.baseline, metric.unit)
    back = " and has returned" if moved.ended_at else ""
    return _make(
        reading,
        code=f"metric.{metric.name}",
        statement=f"{metric.title} of {service.name} {verb} from {before} to {now}{back}.",
        facts={
            "metric": metric.name,
            "unit": metric.unit,
            "direction": moved.direction,
            "baseline": _short(moved.baseline),
            "now": _short(moved.now),
            "low": _short(max(moved.low, 0.0)),
            "high": _short(moved.high),
            "score": _short(moved.score),
            "onset": moved.started_at,
            "ended": moved.ended_at,
            "peak": _short(max(value for _, value in reading.points)),
            "points": _drawn(reading, moved.baseline),
        },
        value=_short(moved.now),
        expected={"low": _short(max(moved.low, 0.0)), "high": _short(moved.high)},
        happened_at=_instant(moved.started_at),
        observed_at=observed_at,
    )


def _near_limit(reading: Reading, peak: float, observed_at: datetime) -> Finding:
    limit = reading.limit_bytes or 1.0
    return _make(
        reading,
        code="metric.memory_near_limit",
        statement=(
            f"Memory of {reading.service.name} reached {amount(peak, 'B')}, "
            f"{round(100 * peak / limit)} % of its limit of {quantity.text_of(limit)}."
        ),
        facts={
            "metric": "memory",
            "unit": "B",
            "peak": _short(peak),
            "limit": quantity.text_of(limit),
            "limit_bytes": int(limit),
            "share": _short(peak / limit),
            "points": _drawn(reading, 0.0),
        },
        value=_short(peak),
        expected={"high": NEAR_LIMIT * limit},
        observed_at=observed_at,
    )


def _make(reading: Reading, *, facts: Mapping[str, Any], **said: Any) -> Finding:
    service, (first, last) = reading.service, reading.window
    subject = service.workload or ObjectRef(kind="Service", namespace=service.namespace, name=service.name)
    return finding.make(
        kind=FindingKind.METRIC,
        subject=subject,
        service=service.name,
        facts={"service": service.name, "namespace": service.namespace, "workload": subject.name, **facts},
        source="prometheus",
        query=reading.query,
        window_start=_instant(first),
        window_end=_instant(last),
        **said,
    )


def _drawn(reading: Reading, baseline: float) -> list[list[float]]:
    return [[at, _short(value)] for at, value in anomaly.thinned(reading.points, CHART_POINTS, baseline)]


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def amount(value: float, unit: str) -> str:
    """A measured value for a sentence: `31 %`, `240 ms`, `118 MiB`, `42 requests/s`."""
    if unit == "share":
        return f"{100 * value:.3g} %"
    if unit == "s":
        return f"{value:.3g} s" if value >= 1 else f"{1000 * value:.3g} ms"
    if unit == "B":
        return f"{value / quantity.MEBIBYTE:.3g} MiB"
    return f"{value:.3g} {unit}".rstrip()
