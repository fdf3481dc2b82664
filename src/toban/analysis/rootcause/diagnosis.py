"""One incident's findings joined into its diagnosis. The one entrance of `rootcause`; the work is in its neighbours."""

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


def join(
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
