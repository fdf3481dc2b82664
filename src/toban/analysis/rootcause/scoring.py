"""Adds up what speaks for and against each candidate, ranks them, and says how far that carries.

Called by `join`. Opinions live in `weights`; here is only arithmetic.
"""

import math
from collections.abc import Sequence

from toban.analysis.rootcause import statements, weights
from toban.analysis.rootcause.candidates import Candidate
from toban.analysis.rootcause.relations import Observation, observe
from toban.analysis.rootcause.situation import MEASURED, Situation
from toban.kit import canonical
from toban.model.diagnosis import Evidence, Hypothesis, Verdict

_LEAST, _MOST = 0.01, 0.97  # rules are never certain
_SHOWN = 8


def rank(situation: Situation, found: Sequence[Candidate]) -> tuple[Hypothesis, ...]:
    """At most eight hypotheses, the most likely first; ties keep a fixed order."""
    hypotheses = [_hypothesis(situation, candidate) for candidate in found]
    hypotheses.sort(key=lambda one: (-one.confidence, one.cause, str(one.subject), one.id))
    return tuple(hypotheses[:_SHOWN])


def verdict(situation: Situation, hypotheses: Sequence[Hypothesis]) -> Verdict:
    """LIKELY or POSSIBLE by the best one's confidence; INCONCLUSIVE below, unmeasured, or with an equal rival."""
    if not hypotheses or not _is_measured(situation, hypotheses[0]):
        return Verdict.INCONCLUSIVE
    best = hypotheses[0]
    rivals = [one for one in hypotheses[1:] if not _same_fault(best, one)]
    if rivals and best.confidence - rivals[0].confidence < weights.MARGIN:
        return Verdict.INCONCLUSIVE
    if best.confidence >= weights.LIKELY:
        return Verdict.LIKELY
    return Verdict.POSSIBLE if best.confidence >= weights.POSSIBLE else Verdict.INCONCLUSIVE


def _hypothesis(situation: Situation, candidate: Candidate) -> Hypothesis:
    strongest: dict[str, Evidence] = {}
    for seen in observe(situation, candidate):
        evidence = _evidence(candidate.cause, seen)
        if evidence and abs(evidence.weight) > abs(getattr(strongest.get(seen.key), "weight", 0.0)):
            strongest[seen.key] = evidence
    log_odds = weights.PRIORS[candidate.cause] + math.fsum(one.weight for one in strongest.values())
    ranked = sorted(strongest.values(), key=lambda one: (-abs(one.weight), one.finding_id, one.why))
    facts = statements.facts(situation, candidate)
    key = {"cause": candidate.cause, "subject": str(candidate.subject), "seed": candidate.seed.code, "facts": facts}
    return Hypothesis(
        id=f"H-{canonical.digest(key)[:10]}",
        cause=candidate.cause,
        subject=candidate.subject,
        service=candidate.service,
        statement=statements.sentence(candidate, facts),
        confidence=round(min(max(_logistic(log_odds), _LEAST), _MOST), 4),
        supports=tuple(one for one in ranked if one.weight > 0),
        contradicts=tuple(one.model_copy(update={"weight": -one.weight}) for one in ranked if one.weight < 0),
        explains=_explained(situation, candidate),
        facts=facts,
    )


def _evidence(cause: str, seen: Observation) -> Evidence | None:
    """The observation's weight, negative where it speaks against; None where the table has no opinion."""
    row = weights.BY_KEY.get((cause, seen.key))
    weight = round(row.weight * seen.share, 4) if row else 0.0
    return Evidence(finding_id=seen.finding.id, weight=weight, why=row.why) if row and weight else None


def _logistic(log_odds: float) -> float:
    return 1.0 / (1.0 + math.exp(-max(min(log_odds, 50.0), -50.0)))


def _explained(situation: Situation, candidate: Candidate) -> tuple[str, ...]:
    """Ids of the alerts that the candidate would explain: of its service and of all that call it."""
    if candidate.cause == "transient":
        return tuple(alert.id for alert in situation.alerts)
    origins = {candidate.service} | set(candidate.seed.facts.get("services") or [])
    reach = {name for name in origins if name}
    for name in sorted(reach):
        reach |= set(situation.callers(name))
    return tuple(alert.id for alert in situation.alerts if alert.service in reach)


def _is_measured(situation: Situation, hypothesis: Hypothesis) -> bool:
    kinds = {finding.id: finding.kind for finding in situation.findings}
    return any(kinds[evidence.finding_id] in MEASURED for evidence in hypothesis.supports)


def _same_fault(one: Hypothesis, other: Hypothesis) -> bool:
    """Whether two hypotheses are two views of one fault, so that they do not compete."""
    if one.cause != other.cause:
        return False
    same_source = one.facts.get("source_name") and all(
        one.facts.get(key) == other.facts.get(key) for key in ("source_kind", "source_name", "namespace")
    )
    same_node = one.cause == "node_problem" and one.subject == other.subject
    same_place = (one.subject.kind, one.subject.namespace, one.subject.name) == (
        other.subject.kind,
        other.subject.namespace,
        other.subject.name,
    )
    return bool(same_source or same_node or same_place)
