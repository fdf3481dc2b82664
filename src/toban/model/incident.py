"""Incidents: alerts that share a cause, and how far their handling has come."""

from enum import StrEnum

from toban.model.alert import Severity
from toban.model.environment import Environment
from toban.model.record import Instant, Record, StateTable


class IncidentState(StrEnum):
    """Where an incident stands."""

    NEW = "new"
    INVESTIGATING = "investigating"
    DIAGNOSED = "diagnosed"
    REMEDIATING = "remediating"
    ESCALATED = "escalated"
    RESOLVED = "resolved"
    CLOSED = "closed"


_I = IncidentState
INCIDENT_STATES: StateTable[IncidentState] = StateTable(
    {
        _I.NEW: {_I.INVESTIGATING, _I.ESCALATED, _I.RESOLVED},
        _I.INVESTIGATING: {_I.DIAGNOSED, _I.ESCALATED, _I.RESOLVED},
        _I.DIAGNOSED: {_I.INVESTIGATING, _I.REMEDIATING, _I.ESCALATED, _I.RESOLVED},
        _I.REMEDIATING: {_I.INVESTIGATING, _I.DIAGNOSED, _I.ESCALATED, _I.RESOLVED},
        _I.ESCALATED: {_I.INVESTIGATING, _I.DIAGNOSED, _I.REMEDIATING, _I.RESOLVED},
        _I.RESOLVED: {_I.INVESTIGATING, _I.CLOSED},
        _I.CLOSED: set(),
    }
)

OPEN_STATES = frozenset({_I.NEW, _I.INVESTIGATING, _I.DIAGNOSED, _I.REMEDIATING, _I.ESCALATED})


class Incident(Record):
    """Alerts grouped because they share a cause.

    `alerts_seen` is how many of them the last investigation knew; `version` is for compare-and-set.
    """

    id: str
    workspace: str
    title: str
    state: IncidentState
    severity: Severity
    environment: Environment
    service: str | None
    services: tuple[str, ...] = ()
    alert_count: int = 1
    firing_count: int = 1
    alerts_seen: int = 0
    started_at: Instant
    opened_at: Instant
    last_alert_at: Instant
    resolved_at: Instant | None = None
    closed_at: Instant | None = None
    resolution: str = ""
    version: int = 0
