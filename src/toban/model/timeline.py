"""Timeline entries: what happened to an incident, in the order it was written down."""

from enum import StrEnum

from toban.model.record import Instant, JsonValue, Record


class Lane(StrEnum):
    """The lane of the page that an entry is drawn in."""

    ALERTS = "alerts"
    CHANGES = "changes"
    ANALYSIS = "analysis"
    PEOPLE = "people"
    ACTIONS = "actions"


class Note(Record):
    """What a stage wants to write down. Two notes of one incident with the same `once` are one."""

    at: Instant
    lane: Lane
    kind: str
    text: str
    actor: str = "toban"
    facts: dict[str, JsonValue] = {}
    once: str | None = None


class TimelineEntry(Record):
    """One line of an incident's story. `seq` orders all entries of the installation and numbers the event stream.

    `kind` is stable (`incident.opened`); pages translate it with `facts` and fall back to `text`.
    """

    seq: int
    workspace: str
    incident_id: str
    at: Instant
    lane: Lane
    kind: str
    text: str
    actor: str = "toban"
    facts: dict[str, JsonValue] = {}
