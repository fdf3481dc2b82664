"""An incident's alerts in groups of one name and service, so that a storm reads in a few lines. Called by its page."""

from collections.abc import Sequence
from dataclasses import dataclass

from toban.model.alert import Alert, AlertState, Severity


@dataclass(frozen=True)
class AlertGroup:
    """Alerts of one name and service, earliest first."""

    members: tuple[Alert, ...]

    @property
    def first(self) -> Alert:
        """The earliest member."""
        return self.members[0]

    @property
    def severity(self) -> Severity:
        """The worst of its members."""
        return max((alert.severity for alert in self.members), key=lambda severity: severity.rank)

    @property
    def firing(self) -> int:
        """How many still fire."""
        return sum(alert.state is AlertState.FIRING for alert in self.members)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why its members are here, each reason once, in order."""
        return tuple(dict.fromkeys(alert.joined_because for alert in self.members if alert.joined_because))

    @property
    def shared(self) -> dict[str, str]:
        """Labels that all members have alike."""
        first, *rest = (set(alert.labels.items()) for alert in self.members)
        return dict(sorted(first.intersection(*rest)))

    def own(self, alert: Alert) -> dict[str, str]:
        """Labels by which a member differs from the others."""
        shared = self.shared
        return {name: value for name, value in sorted(alert.labels.items()) if shared.get(name) != value}


def groups(alerts: Sequence[Alert]) -> tuple[AlertGroup, ...]:
    """The groups: those that fire first, then by severity, then in the order in which they began."""
    found: dict[tuple[str, str], list[Alert]] = {}
    for alert in sorted(alerts, key=lambda one: (one.started_at, one.id)):
        found.setdefault((alert.name, alert.service or ""), []).append(alert)
    made = [AlertGroup(tuple(members)) for members in found.values()]
    return tuple(sorted(made, key=lambda group: (not group.firing, -group.severity.rank, group.first.started_at)))
