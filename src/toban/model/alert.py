"""Alerts: one notification of a source, in Toban's normal form."""

from enum import StrEnum

from toban.model.record import Instant, Record, StateTable


class Severity(StrEnum):
    """How bad the sender says it is. UNKNOWN is said, never guessed."""

    CRITICAL = "critical"
    HIGH = "high"
    WARNING = "warning"
    INFO = "info"
    UNKNOWN = "unknown"

    @property
    def rank(self) -> int:
        """4 for CRITICAL to 0 for UNKNOWN."""
        return 4 - list(Severity).index(self)


class AlertState(StrEnum):
    """Whether the condition holds."""

    FIRING = "firing"
    RESOLVED = "resolved"


ALERT_STATES: StateTable[AlertState] = StateTable(
    {
        AlertState.FIRING: {AlertState.RESOLVED},
        AlertState.RESOLVED: {AlertState.FIRING},
    }
)


class Link(Record):
    """Where a person can look, given by a source; shown as text unless it is http or https."""

    title: str
    url: str


class AlertEvent(Record):
    """What one delivery says of one alert, before it is stored.

    Its identity is workspace, source, fingerprint, `started_at`, `state` and `ended_at`: the same event a hundred
    times changes nothing.
    """

    source: str
    fingerprint: str
    name: str
    state: AlertState
    severity: Severity
    started_at: Instant
    ended_at: Instant | None = None
    labels: dict[str, str]
    annotations: dict[str, str] = {}
    links: tuple[Link, ...] = ()
    truncated: int = 0


class Alert(Record):
    """An alert as Toban knows it: the latest state of one fingerprint's one firing."""

    id: str
    workspace: str
    source: str
    fingerprint: str
    name: str
    state: AlertState
    severity: Severity
    service: str | None
    started_at: Instant
    ended_at: Instant | None = None
    received_at: Instant
    deliveries: int = 1
    labels: dict[str, str]
    annotations: dict[str, str] = {}
    links: tuple[Link, ...] = ()
    incident_id: str | None = None
    joined_because: str = ""
