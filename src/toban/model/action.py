"""What passes between the Gate and an action: targets, dry-runs, outcomes, probes."""

from enum import StrEnum

from toban.model.record import JsonValue, Record
from toban.model.service import ObjectRef


class ActionCall(Record):
    """One typed call of a catalogued action; `params` are plain JSON before validation."""

    action: str
    params: dict[str, JsonValue]


class Target(Record):
    """An object that an action would touch, as it was when read.

    `spec_hash` covers spec and labels, not status. `resource_version` is the write's precondition and is read afresh
    at dispatch; it is not part of what is approved. `exists` is False for an object that the action would create.
    """

    ref: ObjectRef
    uid: str = ""
    spec_hash: str = ""
    resource_version: str = ""
    exists: bool = True


class DryRun(Record):
    """What the target system says would happen. `possible` is False where it cannot say; that raises the risk."""

    possible: bool = True
    diff: str
    touched_replicas: int = 0
    total_replicas: int = 0
    warnings: tuple[str, ...] = ()


class Outcome(Record):
    """What a write came to, as told by the target system."""

    message: str
    details: dict[str, JsonValue] = {}


class ProbeResult(StrEnum):
    """Whether the effect of an action id can be read back."""

    ABSENT = "absent"
    PRESENT = "present"
    UNKNOWN = "unknown"


class Probe(Record):
    """A read-back and the reason for its answer."""

    result: ProbeResult
    detail: str = ""
