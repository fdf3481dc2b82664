"""Draws records for people: a diagnosis with what speaks for and against it, a plan with its diff, a verification.

Used by `demo`, `incident show`, `change show` and the votes, so that everywhere the same is seen before it is decided.
"""

from datetime import datetime

from toban.entrypoints.cli.paper import Paper
from toban.entrypoints.cli.speech import Speaker
from toban.model.approval import Approval
from toban.model.casefile import CaseFile, ChangeFile
from toban.model.change import Change, ChangeState, Step
from toban.model.diagnosis import Diagnosis, Evidence, Hypothesis
from toban.model.verification import Check, CheckResult, Verification

_SUPPORTS, _AGAINST, _LESS = 4, 2, 2
_SIGNS = {CheckResult.PASSED: "✓", CheckResult.FAILED: "✗", CheckResult.INCONCLUSIVE: "?"}
_STYLES = {CheckResult.PASSED: "green", CheckResult.FAILED: "red", CheckResult.INCONCLUSIVE: "yellow"}
_DIGEST = 16
_RISKS = {"HIGH_RISK": "red", "CRITICAL": "red", "MEDIUM_RISK": "yellow"}


def local(at: datetime) -> str:
    """A time in this machine's zone, with its offset."""
    return at.astimezone().isoformat(sep=" ", timespec="seconds")


class Drawing:
    """Draws on one paper in one language."""

    def __init__(self, paper: Paper, speaker: Speaker) -> None:
        self.paper = paper
        self.say = speaker

    def diagnosis(self, file: CaseFile, diagnosis: Diagnosis) -> None:
        """Confidence, what speaks for the first hypothesis and against it, and the next ones."""
        statements = {finding.id: self.say.of.finding(finding) for finding in file.findings}
        best = diagnosis.best
        if best is None:
            self.paper.line("", self.say("inconclusive"), style="yellow")
        else:
            sure = f"{round(100 * best.confidence)}"
            self.paper.line(
                "", self.say("confidence", percent=sure, verdict=self.say.word("verdict", diagnosis.verdict))
            )
            self._evidence("for", best.supports, statements, _SUPPORTS)
            self._evidence("against", best.contradicts, statements, _AGAINST)
        rest = diagnosis.hypotheses if best is None else diagnosis.hypotheses[1:]
        for number, hypothesis in enumerate(rest[:_LESS]):
            label = self.say("label.less") if number == 0 else ""
            self.paper.line(label, self._less(hypothesis), style="dim")

    def _evidence(self, side: str, evidence: tuple[Evidence, ...], statements: dict[str, str], limit: int) -> None:
        sign, style = ("+", "green") if side == "for" else ("−", "red")  # noqa: RUF001 - a minus sign
        strongest = sorted(evidence, key=lambda one: -one.weight)
        for number, one in enumerate(strongest[:limit]):
            label = self.say(f"label.{side}") if number == 0 else ""
            statement = statements.get(one.finding_id) or one.why
            self.paper.line(label, f"{sign}{one.weight:.1f} {statement}", style=style if side == "against" else "")
        if len(evidence) > limit:
            self.paper.line("", self.say("more", n=len(evidence) - limit), style="dim")

    def _less(self, hypothesis: Hypothesis) -> str:
        return f"{round(100 * hypothesis.confidence)} % {self.say.of.hypothesis(hypothesis)}"

    def plan(self, file: ChangeFile) -> None:
        """What would be done to what, the diff, the risk with its reasons, the way back, who must agree, the digest."""
        change = file.change
        for step in change.steps:
            self._step(change, step)
        place = self.say.word("environment", change.environment)
        reasons = [self.say.of.reason(reason) for step in change.steps for reason in step.risk_reasons]
        told = self.say("risk", risk=self.say.word("risk", change.risk), environment=place)
        self._line("risk", "; ".join([told, *dict.fromkeys(reasons)]), style=_RISKS.get(change.risk, ""))
        self._line("needs", self._needs(change, file.approvals, place))
        self._line("digest", change.digest[:_DIGEST])

    def _step(self, change: Change, step: Step) -> None:
        self._line("step", self.say.of.step(change.runbook, step.id, step.title))
        targets = [
            str(target.ref) if target.exists else self.say("target.new", target=target.ref) for target in step.targets
        ]
        facts = {"targets": ", ".join(targets), "n": len(targets)}
        replicas = {"touched": step.touched_replicas, "total": step.total_replicas} if step.touched_replicas else {}
        key = "targets" + ("" if replicas else ".plain") + ("" if len(targets) == 1 else ".many")
        self._line("target", self.say(key, **facts, **replicas))
        self.paper.diff(step.diff)
        if step.rollback is None:
            self._line("undo", self.say("undo.none"), style="yellow")
        else:
            params = ", ".join(f"{name}={value}" for name, value in step.rollback.params.items())
            self._line("undo", self.say("undo.call", action=step.rollback.action, params=params))

    def _needs(self, change: Change, votes: tuple[Approval, ...], place: str) -> str:
        if not change.approvals_needed:
            return self.say("needs.none", environment=place)
        given = sum(vote.decision == "approve" for vote in votes)
        key = "needs.some" if change.approvals_needed == 1 else "needs.many"
        return self.say(
            key, needed=change.approvals_needed, environment=place, until=local(change.approve_by),
            requester=change.requester, given=given,
        )  # fmt: skip

    def votes(self, file: ChangeFile) -> None:
        """Who agreed and who did not."""
        for vote in file.approvals:
            told = self.say(f"vote.{vote.decision}", voter=vote.voter)
            self._line("approval", f"{told} {local(vote.voted_at)}" + (f": {vote.reason}" if vote.reason else ""))

    def outcome(self, file: ChangeFile) -> None:
        """What a change came to where that is not simply its success; UNKNOWN is loud."""
        change = file.change
        if change.outcome and change.state is not ChangeState.SUCCEEDED:
            style = "bold red" if change.state is ChangeState.UNKNOWN else "yellow"
            self.paper.line("", self.say.of.reason(change.outcome), style=style)

    def verification(self, verification: Verification) -> None:
        """Each check with its last look and how often it was good."""
        for check in verification.checks:
            self.paper.line("", f"{_SIGNS[check.result]} {self._check(check)}", style=_STYLES[check.result])

    def _check(self, check: Check) -> str:
        detail = self.say.of.reason(check.detail)
        return self.say(
            "check", name=check.name, detail=detail, good=min(check.good_samples, check.needed_samples),
            needed=check.needed_samples,
        )  # fmt: skip

    def title(self, change: Change) -> str:
        """A change's title in the language of the reader."""
        return self.say.of.runbook(change.runbook, change.title)

    def _line(self, label: str, text: str, style: str = "") -> None:
        self.paper.line(self.say(f"label.{label}"), text, style=style)
