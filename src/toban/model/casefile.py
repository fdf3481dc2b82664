"""The case file: all that is known of one incident. Page, CLI, API and report are drawn from it."""

from toban.model.alert import Alert
from toban.model.approval import Approval
from toban.model.change import Change
from toban.model.diagnosis import Diagnosis
from toban.model.finding import Finding
from toban.model.incident import Incident
from toban.model.lesson import Lesson
from toban.model.record import Record
from toban.model.service import Service
from toban.model.timeline import TimelineEntry
from toban.model.verification import Verification


class ChangeFile(Record):
    """A change with its votes and the verifications of its run and of its rollback."""

    change: Change
    approvals: tuple[Approval, ...] = ()
    verification: Verification | None = None
    rollback_verification: Verification | None = None


class CaseFile(Record):
    """One incident with everything that hangs on it, newest diagnosis only, timeline in order."""

    incident: Incident
    alerts: tuple[Alert, ...] = ()
    findings: tuple[Finding, ...] = ()
    diagnosis: Diagnosis | None = None
    changes: tuple[ChangeFile, ...] = ()
    timeline: tuple[TimelineEntry, ...] = ()
    services: tuple[Service, ...] = ()
    lesson: Lesson | None = None
