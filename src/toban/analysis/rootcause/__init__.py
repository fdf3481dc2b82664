"""From findings to a ranked diagnosis, by rules that can be read: causes, weights, relations, explaining away.

Called by `flow.diagnose`. Deterministic: the same input gives the same bytes. No language model takes part.

`candidates` says which causes are worth weighing, `relations` what a finding means for one of them, `weights` how much,
`scoring` adds it up, `statements` puts it into words, `graph` draws it.
"""

from collections.abc import Sequence
from datetime import datetime

from toban.analysis.rootcause import graph, scoring, statements
from toban.analysis.rootcause.candidates import candidates
from toban.analysis.rootcause.situation import Situation
from toban.kit import canonical
from toban.model.alert import Alert
from toban.model.diagnosis import Diagnosis
from toban.model.finding import Finding
from toban.model.incident import Incident
from toban.model.service import Service


def join(  # noqa: PLR0917 - six nouns that every caller has at hand, in the order of the product's sentence
    incident: Incident,
    alerts: Sequence[Alert],
    findings: Sequence[Finding],
    services: Sequence[Service],
    made_at: datetime,
    missing: Sequence[str] = (),
) -> Diagnosis:
    """The diagnosis of one incident; INCONCLUSIVE where the findings do not carry a cause.

    `missing` says what could not be read; it goes into the diagnosis as it is.
    """
    situation = Situation(incident, alerts, findings, services, missing)
    hypotheses = scoring.rank(situation, candidates(situation))
    verdict = scoring.verdict(situation, hypotheses)
    nodes, edges = graph.draw(situation, hypotheses, verdict)
    return Diagnosis(
        incident_id=incident.id,
        verdict=verdict,
        summary=statements.summary(situation, hypotheses, verdict),
        hypotheses=hypotheses,
        nodes=nodes,
        edges=edges,
        missing=tuple(missing),
        made_at=made_at,
        evidence_digest=canonical.digest(sorted(finding.digest for finding in situation.findings)),
    )
