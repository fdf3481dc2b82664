"""Findings with what they are used for, and hypotheses with their findings. Called by the incident page."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from toban.model.casefile import CaseFile
from toban.model.diagnosis import Evidence, Hypothesis
from toban.model.finding import Finding, FindingKind
from toban.model.record import JsonValue

_SHOWN_VALUE = 300


@dataclass(frozen=True)
class Argument:
    """One finding that speaks for or against a hypothesis."""

    finding: Finding
    evidence: Evidence


@dataclass(frozen=True)
class Candidate:
    """A hypothesis with its place and its findings, strongest first."""

    rank: int
    hypothesis: Hypothesis
    supports: tuple[Argument, ...]
    contradicts: tuple[Argument, ...]

    @property
    def percent(self) -> int:
        """The confidence as people read it; never 0 or 100, since nothing is that sure."""
        return min(max(round(100 * self.hypothesis.confidence), 1), 99)


@dataclass(frozen=True)
class Use:
    """What a finding is used for: the hypothesis, whether it speaks for it, and how much it weighs."""

    hypothesis: Hypothesis
    weight: float
    supports: bool


@dataclass(frozen=True)
class Exhibit:
    """A finding with its uses and with what speaks against the same conclusions."""

    finding: Finding
    uses: tuple[Use, ...] = ()
    against: tuple[Finding, ...] = field(default=())


def candidates(case: CaseFile) -> tuple[Candidate, ...]:
    """The diagnosis' hypotheses in their order."""
    if case.diagnosis is None:
        return ()
    known = {finding.id: finding for finding in case.findings}
    return tuple(
        Candidate(rank, hypothesis, _arguments(hypothesis.supports, known), _arguments(hypothesis.contradicts, known))
        for rank, hypothesis in enumerate(case.diagnosis.hypotheses, 1)
    )


def _arguments(evidence: Sequence[Evidence], known: dict[str, Finding]) -> tuple[Argument, ...]:
    found = [Argument(known[item.finding_id], item) for item in evidence if item.finding_id in known]
    return tuple(sorted(found, key=lambda argument: -argument.evidence.weight))


def exhibits(case: CaseFile) -> tuple[Exhibit, ...]:
    """All findings: those used first, heaviest first, then the rest in their order."""
    ranked = candidates(case)
    shown = [_exhibit(finding, ranked) for finding in case.findings]
    return tuple(sorted(shown, key=lambda item: -max((use.weight for use in item.uses), default=-1.0)))


def _exhibit(finding: Finding, ranked: Sequence[Candidate]) -> Exhibit:
    uses = []
    against: dict[str, Finding] = {}
    for candidate in ranked:
        for arguments, supports in ((candidate.supports, True), (candidate.contradicts, False)):
            weight = next((one.evidence.weight for one in arguments if one.finding.id == finding.id), None)
            if weight is None:
                continue
            uses.append(Use(candidate.hypothesis, weight, supports))
            if supports:
                against |= {one.finding.id: one.finding for one in candidate.contradicts}
    return Exhibit(finding, tuple(uses), tuple(against.values()))


def plain(value: JsonValue) -> str:
    """A value as text: words as they are, the rest as JSON, long ones cut."""
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    return shown if len(shown) <= _SHOWN_VALUE else shown[: _SHOWN_VALUE - 1] + "…"


def plain_facts(params: dict[str, Any]) -> list[tuple[str, str]]:
    """Parameters as name and text, in their order."""
    return [(str(name), plain(value)) for name, value in params.items()]


def web_link(link: str) -> str:
    """The link, if it is http or https with a host and nothing that hides another host; else empty."""
    try:
        parts = urlsplit(link)
        fine = parts.scheme in {"http", "https"} and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        return ""
    return link if fine and link.isprintable() and "\\" not in link else ""


def charted(case: CaseFile) -> tuple[Finding, ...]:
    """Metric findings that carry points to draw, used ones first, one for each metric and service."""
    chosen: dict[tuple[str, str], Finding] = {}
    for exhibit in exhibits(case):
        finding = exhibit.finding
        if finding.kind is FindingKind.METRIC and len(finding.facts.get("points") or ()) > 1:
            chosen.setdefault((str(finding.facts.get("metric", finding.code)), finding.service or ""), finding)
    return tuple(chosen.values())
