"""The workflow strip: nine stages from alert to lesson, and how far an incident has come. Called by its page."""

from dataclasses import dataclass
from enum import StrEnum

from toban.entrypoints.http.i18n.words import Phrase
from toban.model.approval import Decision
from toban.model.casefile import CaseFile, ChangeFile
from toban.model.change import BEFORE_DISPATCH, ChangeState
from toban.model.diagnosis import Verdict
from toban.model.incident import OPEN_STATES, IncidentState
from toban.model.verification import CheckResult


class Mark(StrEnum):
    """Where a stage stands; LATER has not come yet, SKIPPED never will."""

    DONE = "done"
    NOW = "now"
    WAITING = "waiting"
    FAILED = "failed"
    SKIPPED = "skipped"
    LATER = "later"


@dataclass(frozen=True)
class Stage:
    """One stage of the strip."""

    name: str
    mark: Mark
    note: Phrase | None = None


_C = ChangeState
_NOT_RUN = frozenset({_C.REJECTED, _C.EXPIRED, _C.OBSOLETE, _C.HALTED, _C.CANCELLED})
_WRITTEN = frozenset({_C.EXECUTED, _C.VERIFYING, _C.SUCCEEDED, _C.ROLLING_BACK, _C.ROLLED_BACK, _C.ESCALATED})


def stages(case: CaseFile) -> tuple[Stage, ...]:
    """The nine stages in order."""
    change = case.changes[-1] if case.changes else None
    return (
        _received(case),
        Stage("correlated", Mark.DONE, Phrase("alerts", {"n": case.incident.alert_count})),
        _investigated(case),
        _diagnosed(case),
        _planned(case, change),
        _approved(case, change),
        _executed(case, change),
        _verified(case, change),
        _learned(case),
    )


def _over(case: CaseFile) -> bool:
    return case.incident.state not in OPEN_STATES


def _received(case: CaseFile) -> Stage:
    deliveries = sum(alert.deliveries for alert in case.alerts)
    return Stage("received", Mark.DONE, Phrase("note.deliveries", {"n": deliveries}) if deliveries else None)


def _investigated(case: CaseFile) -> Stage:
    note = Phrase("findings", {"n": len(case.findings)}) if case.findings else None
    if case.incident.state is IncidentState.INVESTIGATING:
        return Stage("investigated", Mark.NOW, note)
    if case.diagnosis or case.findings:
        return Stage("investigated", Mark.DONE, note)
    return Stage("investigated", Mark.SKIPPED if _over(case) else Mark.LATER)


def _diagnosed(case: CaseFile) -> Stage:
    if case.diagnosis is None:
        return Stage("diagnosed", Mark.SKIPPED if _over(case) else Mark.LATER)
    if case.diagnosis.verdict is Verdict.INCONCLUSIVE:
        mark = Mark.SKIPPED if _over(case) else Mark.WAITING
        return Stage("diagnosed", mark, Phrase("note.inconclusive"))
    percent = round(100 * case.diagnosis.hypotheses[0].confidence) if case.diagnosis.hypotheses else 0
    return Stage("diagnosed", Mark.DONE, Phrase("note.confidence", {"percent": percent}))


def _planned(case: CaseFile, change: ChangeFile | None) -> Stage:
    if change is None:
        if _over(case):
            note = Phrase("note.ended_itself") if case.incident.resolution or case.incident.resolved_at else None
            return Stage("planned", Mark.SKIPPED, note)
        if case.incident.state is IncidentState.ESCALATED:
            return Stage("planned", Mark.WAITING, Phrase("note.no_plan"))
        sure = case.diagnosis is not None and case.diagnosis.best is not None
        return Stage("planned", Mark.NOW if sure else Mark.LATER)
    if change.change.state is _C.PROPOSED:
        return Stage("planned", Mark.NOW)
    targets = sum(len(step.targets) for step in change.change.steps)
    return Stage("planned", Mark.DONE, Phrase("targets", {"n": targets}))


def _missing_change(case: CaseFile, name: str) -> Stage:
    return Stage(name, Mark.SKIPPED if _over(case) else Mark.LATER)


def _approved(case: CaseFile, change: ChangeFile | None) -> Stage:
    if change is None:
        return _missing_change(case, "approved")
    given = sum(vote.decision is Decision.APPROVE for vote in change.approvals)
    needed = change.change.approvals_needed
    note = Phrase("note.votes", {"given": given, "needed": needed}) if needed else Phrase("note.automatic")
    state = change.change.state
    if state in _NOT_RUN and change.change.approved_at is None:
        return Stage("approved", Mark.FAILED, Phrase(f"change_state.{state}"))
    if state is _C.AWAITING_APPROVAL:
        return Stage("approved", Mark.WAITING, note)
    if state in {_C.PROPOSED, _C.PLANNED}:
        return Stage("approved", Mark.LATER)
    return Stage("approved", Mark.DONE if needed else Mark.SKIPPED, note)


def _executed(case: CaseFile, change: ChangeFile | None) -> Stage:
    if change is None:
        return _missing_change(case, "executed")
    state = change.change.state
    if state in {_C.FAILED, _C.UNKNOWN}:
        return Stage("executed", Mark.FAILED, Phrase(f"change_state.{state}"))
    if state in {_C.APPROVED, _C.DISPATCHING}:
        return Stage("executed", Mark.NOW)
    if state in BEFORE_DISPATCH:
        return Stage("executed", Mark.LATER)
    if state in _NOT_RUN:
        # A change may be halted after it began: then it did run, in part.
        began = change.change.dispatched_at is not None
        return Stage("executed", Mark.FAILED if began else Mark.SKIPPED)
    if state is _C.ESCALATED and change.verification is None:
        return Stage("executed", Mark.FAILED)
    return Stage("executed", Mark.DONE)


def _verified(case: CaseFile, change: ChangeFile | None) -> Stage:
    if change is None:
        return _missing_change(case, "verified")
    state = change.change.state
    if state is _C.SUCCEEDED:
        return Stage("verified", Mark.DONE, Phrase("note.worked"))
    if state is _C.ROLLED_BACK:
        return Stage("verified", Mark.FAILED, Phrase("note.rolled_back"))
    if state in _WRITTEN and change.verification and change.verification.result is not CheckResult.PASSED:
        return Stage("verified", Mark.FAILED, Phrase(f"check.{change.verification.result}"))
    if state in {_C.EXECUTED, _C.VERIFYING}:
        return Stage("verified", Mark.NOW)
    if state in _NOT_RUN or state in {_C.ESCALATED, _C.FAILED, _C.ROLLING_BACK}:
        return Stage("verified", Mark.SKIPPED)
    return Stage("verified", Mark.LATER)


def _learned(case: CaseFile) -> Stage:
    if case.lesson is not None:
        return Stage("learned", Mark.DONE)
    return Stage("learned", Mark.SKIPPED if case.incident.state is IncidentState.CLOSED else Mark.LATER)
