"""Which causes are worth weighing: each comes from a finding that can stand for it.

Called by `join`. A symptom alone (errors, slowness, missing replicas) makes no candidate: it needs something that could
have caused it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from toban.analysis.rootcause.situation import Situation
from toban.model.finding import Finding
from toban.model.service import ObjectRef


@dataclass(frozen=True)
class Candidate:
    """A cause, the object that it lies in, the service that suffers first, and the finding that stands for it."""

    cause: str
    subject: ObjectRef
    service: str | None
    seed: Finding


_SEEDS: tuple[tuple[str, str], ...] = (
    ("container.oom_killed", "memory_limit"),
    ("container.killed", "memory_limit"),
    ("container.image_unavailable", "image_unavailable"),
    ("config.missing", "config_missing"),
    ("log.env_missing", "config_missing"),
    ("change.rollout", "bad_rollout"),
    ("container.crash_loop", "crash"),
    ("container.liveness_failed", "crash"),
    ("node.not_ready", "node_problem"),
    ("node.pressure", "node_problem"),
    ("pod.unschedulable", "capacity"),
)


def candidates(situation: Situation) -> list[Candidate]:
    """Candidates in a fixed order, one for each cause and object (and missing thing, image or node)."""
    found: dict[tuple[str, ...], Candidate] = {}
    for make in (_from_seeds, _from_readiness, _from_callees, _from_ended_alerts):
        for candidate in make(situation):
            found.setdefault(_identity(candidate), candidate)
    return [found[key] for key in sorted(found)]


def _identity(candidate: Candidate) -> tuple[str, ...]:
    facts = candidate.seed.facts
    detail = str(facts.get("image") or f"{facts.get('source_name', '')}#{facts.get('missing_key', '')}")
    return candidate.cause, str(candidate.subject), detail


def _from_seeds(situation: Situation) -> Iterator[Candidate]:
    for code, cause in _SEEDS:
        for finding in situation.of(code):
            yield Candidate(cause, finding.subject, finding.service, finding)


def _from_readiness(situation: Situation) -> Iterator[Candidate]:
    """Pods that run without becoming ready, where nothing else is known to be wrong with them."""
    for finding in situation.of("pod.not_ready"):
        if not situation.about(finding.subject, *(code for code, _ in _SEEDS if code != "change.rollout")):
            yield Candidate("crash", finding.subject, finding.service, finding)


def _from_callees(situation: Situation) -> Iterator[Candidate]:
    """A callee that does not answer and has no findings of its own; where it has, those are the root."""
    for finding in situation.of("log.callee_failed"):
        peer, host = finding.facts.get("peer"), str(finding.facts.get("host", ""))
        if peer and any(one.service == peer for one in situation.findings if one is not finding):
            continue
        known = situation.services.get(str(peer)) if peer else None
        namespace = known.namespace if known else finding.subject.namespace if peer else ""
        subject = ObjectRef(kind="Service" if peer else "Host", namespace=namespace, name=str(peer or host))
        yield Candidate("dependency", subject, str(peer) if peer else None, finding)


def _from_ended_alerts(situation: Situation) -> Iterator[Candidate]:
    ended = list(situation.of("alert.ended"))
    if ended and situation.has_ended:
        yield Candidate("transient", ended[0].subject, ended[0].service, ended[0])
