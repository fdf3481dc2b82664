"""What comes next and who decides, in one sentence, with how urgent it is. Called by the incident page."""

from dataclasses import dataclass

from toban.entrypoints.http.i18n.words import Phrase
from toban.model.approval import Decision
from toban.model.casefile import CaseFile, ChangeFile
from toban.model.change import ChangeState
from toban.model.diagnosis import Verdict
from toban.model.incident import OPEN_STATES, IncidentState

_C = ChangeState
_TONES = {
    _C.AWAITING_APPROVAL: "wait",
    _C.UNKNOWN: "alarm",
    _C.FAILED: "alarm",
    _C.ESCALATED: "alarm",
    _C.ROLLED_BACK: "alarm",
    _C.HALTED: "alarm",
    _C.REJECTED: "wait",
    _C.EXPIRED: "wait",
    _C.CANCELLED: "wait",
    _C.SUCCEEDED: "good",
}
_KEYS = {
    _C.PROPOSED: "next.planning",
    _C.PLANNED: "next.planning",
    _C.DISPATCHING: "next.running",
    _C.UNKNOWN: "unknown.title",
}
_FINAL = frozenset({_C.SUCCEEDED, _C.REJECTED, _C.EXPIRED, _C.OBSOLETE, _C.HALTED, _C.CANCELLED, _C.ROLLED_BACK})


@dataclass(frozen=True)
class Outlook:
    """One sentence; `tone` is info, wait (a person may act), alarm (a person must), good. `reason` is outside text."""

    say: Phrase
    tone: str = "info"
    reason: str = ""


def missing_votes(file: ChangeFile) -> int:
    """How many approvals a change still lacks."""
    given = sum(vote.decision is Decision.APPROVE for vote in file.approvals)
    return max(file.change.approvals_needed - given, 0)


def outlook(case: CaseFile, *, until: str = "") -> Outlook:
    """What comes next; `until` is the approval's deadline as the viewer reads it."""
    change = case.changes[-1] if case.changes else None
    over = case.incident.state not in OPEN_STATES
    if over and (change is None or change.change.state in _FINAL - {_C.SUCCEEDED}):
        return _ended(case)
    if change is not None:
        return _of_change(change, until, reason=_escalation(case))
    return _without_change(case)


def _ended(case: CaseFile) -> Outlook:
    key = "next.resolved" if case.changes else "next.resolved_itself"
    return Outlook(Phrase(key), "good", case.incident.resolution)


def _of_change(file: ChangeFile, until: str, reason: str) -> Outlook:
    change = file.change
    facts: dict[str, object] = {"change": change.id}
    if change.state is _C.AWAITING_APPROVAL:
        missing = Phrase("next.missing", {"n": missing_votes(file)})
        facts |= {"missing": missing, "until": until}
        return Outlook(Phrase("next.awaiting", facts), "wait")
    key = _KEYS.get(change.state, f"next.{change.state}")
    tone = _TONES.get(change.state, "info")
    told = change.outcome or reason
    return Outlook(Phrase(key, facts), tone, "" if tone in {"info", "good"} else told)


def _escalation(case: CaseFile) -> str:
    kinds = {"incident.escalated", "plan.none"}
    entry = next((entry for entry in reversed(case.timeline) if entry.kind in kinds), None)
    return str(entry.facts.get("reason") or entry.text) if entry else ""


def _without_change(case: CaseFile) -> Outlook:
    state = case.incident.state
    if state is IncidentState.NEW:
        return Outlook(Phrase("next.receiving"))
    if state is IncidentState.INVESTIGATING:
        return Outlook(Phrase("next.investigating"))
    diagnosis = case.diagnosis
    if diagnosis is not None and diagnosis.verdict is Verdict.INCONCLUSIVE:
        if case.incident.firing_count:
            return Outlook(Phrase("next.inconclusive"), "alarm")
        return Outlook(Phrase("next.inconclusive_quiet"), "wait")
    if state is IncidentState.ESCALATED:
        key = "next.no_plan" if diagnosis is not None else "next.escalated_incident"
        return Outlook(Phrase(key), "alarm", _escalation(case))
    return Outlook(Phrase("next.planning" if diagnosis is not None else "next.investigating"))
