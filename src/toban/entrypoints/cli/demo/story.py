"""Follows the demo's incidents on the terminal: news as they come, the plan with its question, until all is settled.

Called by `command`. The server's timeline tells what happened; this only reads it, and votes for whoever sits here.
"""

import select
import sys
import time
from dataclasses import dataclass
from typing import Any

from toban.entrypoints.cli import sandboxes, terminal
from toban.entrypoints.cli.demo.ground import Ground
from toban.entrypoints.cli.drawing import Drawing
from toban.entrypoints.cli.exits import CommandError, Exit
from toban.entrypoints.cli.paper import Paper
from toban.entrypoints.cli.speech import Speaker, safe
from toban.model.casefile import CaseFile, ChangeFile
from toban.model.change import CHANGE_STATES, ChangeState
from toban.model.incident import IncidentState
from toban.model.timeline import TimelineEntry
from toban.model.verification import CheckResult

_ROUND_S = 0.25
_FIRST_ALERT_S = 60.0
_SILENCE_S = 240.0
_SETTLE_S = 5.0
_REFRESH_S = 2.0
_ENDS = CHANGE_STATES.ends()
_QUIET = frozenset({IncidentState.RESOLVED, IncidentState.CLOSED})
_LABELS = {
    "incident": "incident",
    "alert": "alert",
    "investigation": "findings",
    "diagnosis": "diagnosis",
    "plan": "plan",
    "step": "action",
    "verification": "verified",
    "lesson": "lesson",
}
_CHANGE_LABELS = {"planned": "plan", "approved": "approval", "rejected": "approval", "expired": "approval"}


@dataclass(frozen=True)
class Ended:
    """How the story ended: no problem and code 0, or what went wrong."""

    exit_code: Exit = Exit.OK
    problem: str = ""
    hint: str = ""


@dataclass
class _Thread:
    """One incident's part of the story."""

    file: CaseFile
    after: int = 0
    read_at: float = 0.0


class Story:
    """One demo's story. `votes`: vote for every plan without asking."""

    def __init__(self, ground: Ground, speaker: Speaker, paper: Paper, *, votes: bool) -> None:
        self._ground = ground
        self._api = ground.api
        self._say = speaker
        self._paper = paper
        self._drawing = Drawing(paper, speaker)
        self._votes = votes
        self._threads: dict[str, _Thread] = {}
        self._decided: set[str] = set()
        self._offered: set[str] = set()
        self._asking = ""
        self._news_at = time.monotonic()
        self._settled_at: float | None = None

    def files(self) -> list[CaseFile]:
        """The incidents as last read, the one that matters first."""
        files = [thread.file for thread in self._threads.values()]
        return sorted(files, key=lambda file: (not _verified(file), not file.changes, file.incident.id))

    def follow(self, scenario: dict[str, Any]) -> Ended:
        """Begin the scenario and tell what happens until it is settled. Raises CommandError."""
        sandboxes.control(self._ground.sandbox, "POST", f"/scenarios/{scenario['name']}/start")
        self._paper.print(self._say("demo.injected", symptoms=scenario["title"][self._say.lang]))
        self._paper.print(self._say("demo.waiting"), "dim")
        self._news_at = time.monotonic()
        while True:
            self._ground.check()
            self._look()
            ended = self._ended(harmless=bool(scenario["harmless"]))
            if ended is not None:
                self._end_question()
                return ended
            self._pause()

    # --- reading -------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        for found in reversed(self._api.get("/incidents", limit=20)["items"]):
            thread = self._threads.get(found["id"])
            if thread is None:
                thread = self._threads[found["id"]] = _Thread(self._api.case_file(found["id"]))
                if len(self._threads) > 1:
                    other = self._say("demo.other", incident=found["id"], title=found["title"])
                    self._write("incident", other, thread, 0.0)
            self._read(thread)
            self._offer(thread)

    def _read(self, thread: _Thread) -> None:
        items = self._api.get(f"/incidents/{thread.file.incident.id}/timeline", after=thread.after)["items"]
        now = time.monotonic()
        if items or now - thread.read_at > _REFRESH_S:
            thread.file = self._api.case_file(thread.file.incident.id)
            thread.read_at = now
        for item in items:
            entry = TimelineEntry.model_validate(item)
            thread.after = entry.seq
            self._news_at = now
            self._tell(entry, thread)

    # --- telling -------------------------------------------------------------------------------------------------

    def _tell(self, entry: TimelineEntry, thread: _Thread) -> None:
        seconds = (entry.at - thread.file.incident.opened_at).total_seconds()
        group, _, what = entry.kind.partition(".")
        label = _CHANGE_LABELS.get(what, "action") if group == "change" else _LABELS.get(group, group)
        text = self._say.of.entry(entry)
        diagnosis = thread.file.diagnosis
        file = _change(thread.file, str(entry.facts.get("change")))
        if entry.kind == "diagnosis.made" and diagnosis and diagnosis.best:
            text = self._say.of.hypothesis(diagnosis.best)
        elif entry.kind == "change.planned" and file:
            text = f"{file.change.id} {self._drawing.title(file.change)}"
        elif entry.kind == "change.executed":
            return  # its steps have said so
        self._write(label, text.removeprefix("lesson: "), thread, seconds)
        if entry.kind == "diagnosis.made" and diagnosis and diagnosis.best:
            self._drawing.diagnosis(thread.file, diagnosis)
        elif entry.kind == "change.planned" and file:
            self._drawing.plan(file)
        elif group == "verification" and file and file.verification:
            self._drawing.verification(file.verification)

    def _write(self, label: str, text: str, thread: _Thread, seconds: float) -> None:
        self._end_question()
        clock = f"{int(seconds) // 60:02d}:{int(seconds) % 60:02d}"
        mark = "" if thread.file.incident.id == min(self._threads) else f"{thread.file.incident.id}: "
        known = self._say(f"label.{label}") if label in _KNOWN_LABELS else label
        self._paper.line(known, mark + text, margin=clock, style=_STYLES.get(label, ""), label_style="bold")

    # --- deciding ------------------------------------------------------------------------------------------------

    def _offer(self, thread: _Thread) -> None:
        for one in thread.file.changes:
            change = one.change
            if change.state is not ChangeState.AWAITING_APPROVAL or change.id in self._decided:
                continue
            if self._votes:
                self._paper.line("", self._say("demo.voting"), style="dim")
                self._vote(change.id, change.digest, approve=True, reason="demo --yes")
            elif terminal.is_person() and self._asking != change.id:
                if change.id not in self._offered:
                    page = f"{self._ground.url}/incidents/{change.incident_id}"
                    self._paper.line("", self._say("demo.or_page", url=page), style="dim")
                self._offered.add(change.id)
                sys.stderr.write(f"\n{self._say('demo.ask', change=change.id)} ")
                sys.stderr.flush()
                self._asking = change.id

    def _end_question(self) -> None:
        if self._asking:
            sys.stderr.write("\n")
            self._asking = ""

    def _pause(self) -> None:
        if not self._asking:
            time.sleep(_ROUND_S)
            return
        ready, _, _ = select.select([sys.stdin], [], [], _ROUND_S)
        if ready:
            answer = sys.stdin.readline()
            asked, self._asking = self._asking, ""
            self._answer(asked, approve=terminal.is_yes(answer))

    def _answer(self, change_id: str, *, approve: bool) -> None:
        file = next((found for thread in self._threads.values() if (found := _change(thread.file, change_id))), None)
        if file is not None:
            self._vote(change_id, file.change.digest, approve=approve, reason="")

    def _vote(self, change_id: str, digest: str, *, approve: bool, reason: str) -> None:
        self._decided.add(change_id)
        decision = "approve" if approve else "reject"
        body = {"decision": decision, "digest": digest, "reason": reason}
        try:
            self._api.post(f"/changes/{change_id}/votes", body)
        except CommandError as error:
            if error.exit_code is Exit.CONNECTION:
                raise
            self._paper.print(safe(error), "yellow")  # somebody was quicker, or the plan has changed: the story goes on

    # --- ending --------------------------------------------------------------------------------------------------

    def _ended(self, *, harmless: bool) -> Ended | None:
        files = self.files()
        now = time.monotonic()
        if not files:
            late = now - self._news_at > _FIRST_ALERT_S
            return _timed_out(f"no alert came within {_FIRST_ALERT_S:.0f} s") if late else None
        if _verified(files[0]) and files[0].lesson is not None:
            return Ended()
        if not all(_is_settled(file, harmless=harmless) for file in files):
            self._settled_at = None
            silent = now - self._news_at > _SILENCE_S and not self._asking
            return _timed_out(f"nothing has happened for {_SILENCE_S:.0f} s") if silent else None
        if self._settled_at is None:
            self._settled_at = now
        if now - self._settled_at < _SETTLE_S and not harmless:
            return None
        return _verdict(files, harmless=harmless)


_KNOWN_LABELS = {*_LABELS.values(), *_CHANGE_LABELS.values()}
_STYLES = {"diagnosis": "bold", "plan": "bold"}


def _change(file: CaseFile, change_id: str) -> ChangeFile | None:
    return next((one for one in file.changes if one.change.id == change_id), None)


def _verified(file: CaseFile) -> bool:
    return any(
        one.change.state is ChangeState.SUCCEEDED
        and one.verification is not None
        and one.verification.result is CheckResult.PASSED
        for one in file.changes
    )


def _is_settled(file: CaseFile, *, harmless: bool) -> bool:
    """Whether nothing more happens to an incident by itself."""
    if any(one.change.state not in _ENDS for one in file.changes):
        return False
    if file.incident.state in _QUIET:
        return file.lesson is not None
    return file.incident.state is IncidentState.ESCALATED and not harmless


def _verdict(files: list[CaseFile], *, harmless: bool) -> Ended:
    changes = [one.change for file in files for one in file.changes]
    if harmless and not changes:
        return Ended()
    rejected = next((change for change in changes if change.state is ChangeState.REJECTED), None)
    if rejected is not None:
        return Ended(Exit.REFUSED, f"{rejected.id} was rejected, so nothing was changed")
    if changes:
        return Ended(Exit.FAILED, f"{changes[-1].id} ended as {changes[-1].state}: {safe(changes[-1].outcome)}")
    return Ended(Exit.FAILED, "no change was made, so no fix was verified")


def _timed_out(problem: str) -> Ended:
    return Ended(Exit.TIME_OUT, problem, "try it once more; a slow or busy machine may need it")
