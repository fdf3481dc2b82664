"""Everything one diagnosis looks at, made easy to ask: findings by code and service, symptoms, who calls whom.

Built by `join` and read by all parts of `rootcause`. It weighs nothing.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime

from toban.analysis import topology
from toban.model.alert import Alert, AlertState
from toban.model.finding import Finding, FindingKind
from toban.model.incident import Incident
from toban.model.service import ObjectRef, Service

TROUBLES = frozenset(
    {
        "container.oom_killed",
        "container.killed",
        "container.image_unavailable",
        "config.missing",
        "container.crash_loop",
        "container.liveness_failed",
        "pod.unschedulable",
        "pod.not_ready",
        "rollout.stuck",
        "deployment.unavailable",
    }
)
"""States of objects that are wrong by themselves."""

MEASURED = frozenset({FindingKind.KUBERNETES, FindingKind.METRIC, FindingKind.LOG})
"""Kinds of findings that prove something; an alert or a change alone does not."""

SYMPTOMS = frozenset({"metric.error_share", "metric.latency_p95"})
"""Metrics that a caller gets from its callees."""


_IDENTITY = ("image", "source_kind", "source_name", "missing_key", "host", "condition", "revision")
"""Facts by which two findings of one code about one object are two, not the same seen twice."""


class Situation:
    """One incident with its alerts, findings and services."""

    def __init__(
        self,
        incident: Incident,
        alerts: Sequence[Alert],
        findings: Sequence[Finding],
        services: Sequence[Service],
        missing: Sequence[str] = (),
    ) -> None:
        self.incident = incident
        self.alerts = sorted(alerts, key=lambda alert: (alert.started_at, alert.id))
        self.findings = _newest(findings)
        self.services = {service.name: service for service in sorted(services, key=lambda one: one.name)}
        self.missing = tuple(missing)
        marked = TROUBLES | SYMPTOMS
        self._troubled = {one.service for one in self.findings if one.code in marked and one.service}
        self._called_by = topology.called_by(self.services)
        self._callers: dict[str, list[str]] = {}
        self._explaining: dict[str, str | None] = {}

    @property
    def started_at(self) -> datetime:
        """When the first effect was reported."""
        return min([self.incident.started_at, *(alert.started_at for alert in self.alerts)])

    @property
    def affected(self) -> set[str]:
        """Services that an alert or the incident names."""
        named = {self.incident.service, *self.incident.services, *(alert.service for alert in self.alerts)}
        return {name for name in named if name}

    @property
    def has_ended(self) -> bool:
        """Whether every alert is resolved."""
        return bool(self.alerts) and all(alert.state is AlertState.RESOLVED for alert in self.alerts)

    @property
    def lacks_metrics(self) -> bool:
        return self._lacks("prometheus")

    @property
    def looked_at(self) -> list[str]:
        """The kinds of sources that could be read, in words."""
        kinds = (("kubernetes", "objects"), ("prometheus", "metrics"))
        return [words for source, words in kinds if not self._lacks(source)]

    @property
    def has_measurements(self) -> bool:
        """Whether anything was measured to be wrong, beyond the alerts themselves and changes."""
        return any(one.kind in MEASURED for one in self.findings)

    def _lacks(self, source: str) -> bool:
        return any(entry.startswith(source) for entry in self.missing)

    def of(self, *codes: str) -> Iterator[Finding]:
        return (finding for finding in self.findings if finding.code in codes)

    def about(self, workload: ObjectRef, *codes: str) -> list[Finding]:
        """Findings about a workload, whatever the container; of the given codes only, if any are given."""
        return [
            one for one in self.findings if same_workload(one.subject, workload) and (not codes or one.code in codes)
        ]

    def symptoms(self, service: str | None) -> list[Finding]:
        """Errors and slowness of a service itself, above its normal."""
        return [one for one in self.of(*SYMPTOMS) if one.service == service]

    @property
    def last_look(self) -> datetime | None:
        """When the newest finding was read."""
        return max((one.observed_at for one in self.findings), default=None)

    def in_trouble(self, service: str) -> bool:
        """Whether objects of the service are wrong, or it shows errors or slowness."""
        return service in self._troubled

    def callees(self, service: str) -> list[str]:
        """Services that `service` needs, directly or not, without those that need it in turn."""
        above = set(self.callers(service))
        return [name for name in topology.callees(self.services, service) if name not in above]

    def direct_callers(self, service: str) -> list[str]:
        return self._called_by.get(service, [])

    def callers(self, service: str) -> list[str]:
        """All services that call `service`, directly or not, nearest first."""
        if service not in self._callers:
            self._callers[service] = topology.reach(service, self._called_by)
        return self._callers[service]

    def explaining_callee(self, service: str | None) -> str | None:
        """The nearest callee in trouble: what its callers suffer is its doing. None where no callee has any."""
        if not service:
            return None
        if service not in self._explaining:
            troubled = (name for name in self.callees(service) if self.in_trouble(name))
            self._explaining[service] = next(troubled, None)
        return self._explaining[service]

    def is_connected(self, service: str | None) -> bool | None:
        """Whether trouble in `service` can reach an alerting service; None where topology cannot tell."""
        affected = self.affected
        if not service or not affected:
            return None
        if service in affected or affected & set(self.callers(service)):
            return True
        return False if any(entry.calls for entry in self.services.values()) else None


def _newest(findings: Sequence[Finding]) -> list[Finding]:
    """Of what was observed again and again only the latest; in a fixed order."""
    latest: dict[tuple[str, ...], Finding] = {}
    for one in sorted(findings, key=lambda finding: (finding.observed_at, finding.id)):
        latest[one.code, str(one.subject), *(str(one.facts.get(key)) for key in _IDENTITY)] = one
    return sorted(latest.values(), key=lambda finding: (finding.code, finding.id))


def same_workload(one: ObjectRef, other: ObjectRef) -> bool:
    return (one.kind, one.namespace, one.name) == (other.kind, other.namespace, other.name)
