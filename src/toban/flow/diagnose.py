"""Diagnose: from what an investigation found to ranked causes. Called by the pipeline; `analysis.rootcause` thinks."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from toban.analysis import rootcause
from toban.model.alert import Alert
from toban.model.diagnosis import Diagnosis
from toban.model.finding import Finding
from toban.model.incident import Incident
from toban.model.service import Service


def diagnose(
    *,
    incident: Incident,
    alerts: Sequence[Alert],
    findings: Sequence[Finding],
    services: Mapping[str, Service],
    missing: Sequence[str],
    now: datetime,
) -> Diagnosis:
    """The diagnosis as of `now`; findings of earlier looks may be among `findings`, the newest of each counts."""
    return rootcause.join(incident, alerts, findings, list(services.values()), now, missing)


def timeline_facts(diagnosis: Diagnosis) -> dict[str, Any]:
    """What a timeline entry says of a diagnosis: verdict, cause, confidence, subject and how much evidence."""
    best = diagnosis.hypotheses[0] if diagnosis.hypotheses else None
    return {
        "verdict": diagnosis.verdict.value,
        "cause": best.cause if best else "",
        "confidence": best.confidence if best else 0.0,
        "subject": str(best.subject) if best else "",
        "supports": len(best.supports) if best else 0,
        "contradicts": len(best.contradicts) if best else 0,
        "missing": list(diagnosis.missing),
    }
