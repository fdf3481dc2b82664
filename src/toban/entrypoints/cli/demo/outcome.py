"""What the demo came to: a summary for people, one JSON document for programs."""

import json
from datetime import datetime
from typing import Any

from toban.entrypoints.cli.drawing import Drawing
from toban.entrypoints.cli.paper import Paper
from toban.entrypoints.cli.speech import Speaker
from toban.model.casefile import CaseFile, ChangeFile
from toban.model.change import ChangeState
from toban.model.verification import CheckResult


def document(scenario: str, files: list[CaseFile]) -> str:
    """The JSON document of `--json`; every key is there, null where there is nothing."""
    file = files[0] if files else None
    made = _made(file)
    best = file.diagnosis.best if file and file.diagnosis else None
    found: dict[str, Any] = {
        "scenario": scenario,
        "incident": file.incident.id if file else None,
        "diagnosis": {
            "cause": best.cause if best else None,
            "confidence": round(best.confidence, 4) if best else None,
        },
        "change": {"id": made.change.id if made else None, "state": made.change.state if made else None},
        "verification": made.verification.result if made and made.verification else None,
        "seconds": seconds(file),
    }
    return json.dumps(found, ensure_ascii=False)


def seconds(file: CaseFile | None) -> dict[str, float | None]:
    """From the first alert's acceptance to the first diagnosis, and to the verified fix."""
    if file is None:
        return {"diagnosis": None, "verified": None}
    diagnosed = next((entry.at for entry in file.timeline if entry.kind == "diagnosis.made"), None)
    made = _made(file)
    verified = made.change.ended_at if made and made.change.state is ChangeState.SUCCEEDED else None
    return {"diagnosis": _since(file, diagnosed), "verified": _since(file, verified)}


def _since(file: CaseFile, at: datetime | None) -> float | None:
    return round((at - file.incident.opened_at).total_seconds(), 2) if at else None


def _made(file: CaseFile | None) -> ChangeFile | None:
    return file.changes[-1] if file and file.changes else None


def summary(paper: Paper, speaker: Speaker, url: str, files: list[CaseFile], *, keep: bool) -> None:
    """Cause, change, proof, times and the page, on a few lines."""
    if not files:
        return
    file = files[0]
    paper.print()
    _cause(paper, speaker, file)
    _change(paper, speaker, file)
    times = {key: f"{value:.1f}" for key, value in seconds(file).items() if value is not None}
    if times:
        key = "demo.time" if len(times) > 1 else "demo.time.diagnosis"
        paper.line(speaker("label.time"), speaker(key, **times))
    page = f"{url}/incidents/{file.incident.id}"
    paper.line(speaker("label.page"), page if keep else speaker("demo.page.gone", url=page))


def _cause(paper: Paper, speaker: Speaker, file: CaseFile) -> None:
    best = file.diagnosis.best if file.diagnosis else None
    if file.diagnosis is None:
        told = speaker("no_diagnosis")
    elif best is None:
        told = speaker("inconclusive")
    else:
        verdict = speaker.word("verdict", file.diagnosis.verdict)
        sure = speaker("confidence", percent=round(100 * best.confidence), verdict=verdict)
        told = speaker("cause.sure", cause=speaker.of.hypothesis(best), sure=sure)
    paper.line(speaker("label.cause"), told)


def _change(paper: Paper, speaker: Speaker, file: CaseFile) -> None:
    made = _made(file)
    if made is None:
        paper.line(speaker("label.change"), speaker("demo.none" if file.incident.resolved_at else "demo.unchanged"))
        return
    state = speaker.word("change_state", made.change.state)
    votes = [speaker(f"vote.{vote.decision}", voter=vote.voter) for vote in made.approvals]
    title = Drawing(paper, speaker).title(made.change)
    paper.line(speaker("label.change"), speaker("joined").join([f"{made.change.id} {title}", state, *votes]))
    if made.verification is None:
        return
    if made.verification.result is CheckResult.PASSED:
        told = speaker("demo.proof", n=len(made.verification.checks))
    else:
        told = speaker("demo.proof.not", result=speaker.word("check", made.verification.result))
    paper.line(speaker("label.proof"), told)
