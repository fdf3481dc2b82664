"""Audit events: who did what, why, on whose approval, with what result."""

from enum import StrEnum

from toban.model.record import Instant, JsonValue, Record


class AuditResult(StrEnum):
    """How it ended, as far as is known at the time of writing."""

    ALLOWED = "allowed"
    DENIED = "denied"
    STARTED = "started"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"


class AuditDraft(Record):
    """An audit event before it has its place in the chain."""

    workspace: str
    actor: str
    actor_type: str
    operation: str
    subject: str
    result: AuditResult
    reason: str = ""
    request_id: str = ""
    session_id: str = ""
    details: dict[str, JsonValue] = {}


class AuditEvent(AuditDraft):
    """An event in the chain: `hash` is SHA-256 over `previous_hash` and the canonical event."""

    seq: int
    id: str
    at: Instant
    previous_hash: str
    hash: str
