"""Hypotheses and the diagnosis that ranks them."""

from enum import StrEnum

from toban.model.record import Instant, JsonValue, Record
from toban.model.service import ObjectRef


class Evidence(Record):
    """A finding's weight for or against a hypothesis, in log-odds (natural logarithm), always positive."""

    finding_id: str
    weight: float
    why: str = ""


class Hypothesis(Record):
    """A possible cause. `cause` is stable (`memory_limit`); `facts` fill a runbook's parameters."""

    id: str
    cause: str
    subject: ObjectRef
    service: str | None = None
    statement: str
    confidence: float
    supports: tuple[Evidence, ...] = ()
    contradicts: tuple[Evidence, ...] = ()
    explains: tuple[str, ...] = ()
    facts: dict[str, JsonValue] = {}


class GraphNode(Record):
    """A node of the causal graph; `role` is cause, effect, change or context."""

    id: str
    label: str
    detail: str = ""
    role: str = "context"


class GraphEdge(Record):
    """`cause` leads to `effect`; `weight` between 0 and 1 is how much evidence carries it."""

    cause: str
    effect: str
    weight: float
    why: str = ""


class Verdict(StrEnum):
    """What the diagnosis comes to; INCONCLUSIVE is an honest answer."""

    LIKELY = "likely"
    POSSIBLE = "possible"
    INCONCLUSIVE = "inconclusive"


class Diagnosis(Record):
    """Ranked hypotheses with the graph that connects them to the alerts."""

    incident_id: str
    verdict: Verdict
    summary: str
    hypotheses: tuple[Hypothesis, ...]
    nodes: tuple[GraphNode, ...] = ()
    edges: tuple[GraphEdge, ...] = ()
    missing: tuple[str, ...] = ()
    made_at: Instant
    evidence_digest: str

    @property
    def best(self) -> Hypothesis | None:
        """The first hypothesis, unless the verdict is inconclusive."""
        return self.hypotheses[0] if self.hypotheses and self.verdict is not Verdict.INCONCLUSIVE else None
