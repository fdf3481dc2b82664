"""Groups alerts and decides when a receiver is told, with Alertmanager's timing and de-duplication.

Called by `delivery` at each tick, once per receiver; it does no I/O. A message counts as told only when `delivered`
says so, so that a failed one is tried again at the group's next flush.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from toban_sandbox.alerts.evaluation import Alert, generator_url
from toban_sandbox.alerts.payload import Notice
from toban_sandbox.promql import labels as labelling
from toban_sandbox.promql.labels import Labels


@dataclass(frozen=True)
class Policy:
    """Alertmanager's route: how alerts are grouped, and its waits in simulated seconds."""

    group_by: tuple[str, ...] = ("namespace", "alertname")
    group_wait_s: float = 1.0
    group_interval_s: float = 5.0
    repeat_interval_s: float = 60.0


class Flush(NamedTuple):
    """One message that is due: the group's labels and all its alerts."""

    group: Labels
    notices: tuple[Notice, ...]


class _Told(NamedTuple):
    """What the receiver was last told of a group."""

    firing: frozenset[Labels]
    resolved: frozenset[Labels]
    at: float


@dataclass
class _Group:
    due: float
    notices: dict[Labels, Notice] = field(default_factory=dict)
    told: _Told | None = None
    in_flight: bool = False

    def needs_telling(self, now: float, repeat_s: float) -> bool:
        firing = {labels for labels, notice in self.notices.items() if notice.ends_at is None}
        resolved = self.notices.keys() - firing
        if self.told is None:
            return bool(firing)
        if not firing <= self.told.firing:
            return True
        if not firing:
            return bool(self.told.firing)
        return not resolved <= self.told.resolved or now - self.told.at >= repeat_s


class Dispatcher:
    """The groups of one receiver."""

    def __init__(self, policy: Policy, *, graph_url: str) -> None:
        self._policy = policy
        self._names = frozenset(policy.group_by)
        self._graph_url = graph_url
        self._groups: dict[Labels, _Group] = {}

    def take_in(self, alerts: list[Alert], now: float) -> None:
        """Learns the present state of all alerts that fire or have resolved."""
        for alert in alerts:
            if alert.fired_at is None:
                continue
            key = labelling.keep(alert.labels, self._names)
            group = self._groups.get(key)
            known = group.notices.get(alert.labels) if group else None
            if alert.resolved_at is not None and (known is None or known.starts_at != alert.fired_at):
                continue  # told already, or never seen firing
            if group is None:
                waited = now - alert.fired_at
                due = now if waited > self._policy.group_wait_s else now + self._policy.group_wait_s
                group = self._groups[key] = _Group(due)
            group.notices[alert.labels] = Notice(
                alert.labels,
                alert.annotations,
                alert.fired_at,
                alert.resolved_at,
                generator_url(self._graph_url, alert.rule),
            )

    def due(self, now: float) -> list[Flush]:
        """The messages to send now; each must be answered by `delivered`."""
        flushes: list[Flush] = []
        for key, group in list(self._groups.items()):
            if group.in_flight or now < group.due:
                continue
            group.due = now + self._policy.group_interval_s
            if group.needs_telling(now, self._policy.repeat_interval_s):
                group.in_flight = True
                flushes.append(Flush(key, tuple(group.notices.values())))
            else:
                self._forget_resolved(key, group, tuple(group.notices.values()))
        return flushes

    def delivered(self, flush: Flush, *, success: bool, now: float) -> None:
        """Reports how a flush went."""
        group = self._groups.get(flush.group)
        if group is None:
            return
        group.in_flight = False
        if not success:
            return
        firing = frozenset(notice.labels for notice in flush.notices if notice.ends_at is None)
        resolved = frozenset(notice.labels for notice in flush.notices if notice.ends_at is not None)
        group.told = _Told(firing, resolved, now)
        self._forget_resolved(flush.group, group, flush.notices)

    def _forget_resolved(self, key: Labels, group: _Group, notices: tuple[Notice, ...]) -> None:
        for notice in notices:
            if notice.ends_at is not None and group.notices.get(notice.labels) == notice:
                del group.notices[notice.labels]
        if not group.notices:
            del self._groups[key]
