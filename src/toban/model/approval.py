"""Approvals: votes of distinct people on a change's digest."""

from enum import StrEnum

from toban.model.record import Instant, Record
from toban.model.security import AuthLevel


class Decision(StrEnum):
    """One rejection ends it."""

    APPROVE = "approve"
    REJECT = "reject"


class Approval(Record):
    """One person's vote on exactly one digest."""

    change_id: str
    voter: str
    decision: Decision
    digest: str
    reason: str = ""
    auth_level: AuthLevel
    voted_at: Instant
