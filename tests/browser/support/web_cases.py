"""Case files as the backend gives them, for page tests: waiting for approval, succeeded, inconclusive, unknown, rejected."""

import math
from datetime import UTC, datetime, timedelta

from toban.model import change as change_model
from toban.model import finding as finding_model
from toban.model.action import ActionCall, Target
from toban.model.alert import Alert, AlertState, Link, Severity
from toban.model.approval import Approval, Decision
from toban.model.casefile import CaseFile, ChangeFile
from toban.model.change import Change, ChangeState, Signal, Step, StepState
from toban.model.diagnosis import Diagnosis, Evidence, GraphEdge, GraphNode, Hypothesis, Verdict
from toban.model.environment import Environment
from toban.model.finding import Finding, FindingKind
from toban.model.incident import Incident, IncidentState
from toban.model.lesson import Lesson
from toban.model.risk import RiskLevel
from toban.model.security import AuthLevel
from toban.model.service import ObjectRef, Service
from toban.model.timeline import Lane, TimelineEntry
from toban.model.verification import Check, CheckResult, Verification

NOW = datetime(2026, 11, 21, 3, 12, 40, tzinfo=UTC)
CHECKOUT = ObjectRef(kind="Deployment", namespace="shop", name="checkout")
CART = ObjectRef(kind="Deployment", namespace="shop", name="cart")
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\u202eevil\u200b'\"`{{7*7}}"

DIFF = """--- live  apps/v1 Deployment shop/checkout
+++ planned (server-side dry-run)
@@ -14,9 +14,9 @@
     spec:
       containers:
       - name: checkout
-        image: registry.internal/shop/checkout:2.31.0
+        image: registry.internal/shop/checkout:2.30.4
         env:
         - name: PAYMENT_URL
-          value: http://payment.shop.svc:8080/v2
+          value: http://payment.shop.svc:8080/v1
         resources:
"""
LIMIT_DIFF = """--- live  apps/v1 Deployment shop/cart
+++ planned (server-side dry-run)
@@ -20,7 +20,7 @@
         resources:
           limits:
             cpu: 500m
-            memory: 128Mi
+            memory: 256Mi
           requests:
             memory: 64Mi
"""


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def alert(number: int, name: str, service: str, severity: Severity, minutes: float, **more) -> Alert:
    fields = {
        "id": f"ALR-{number:04d}",
        "workspace": "default",
        "source": "alertmanager",
        "fingerprint": f"{number:016x}",
        "name": name,
        "state": AlertState.FIRING,
        "severity": severity,
        "service": service,
        "started_at": ago(minutes),
        "received_at": ago(minutes),
        "deliveries": 2,
        "labels": {"alertname": name, "namespace": "shop", "service": service, "severity": severity.value},
        "annotations": {"summary": f"{name} on {service}"},
        "links": (Link(title="Prometheus", url="http://127.0.0.1:9090/graph?g0.expr=up"),),
    }
    return Alert(**{**fields, **more})


def alerts(*, resolved: bool = False) -> tuple[Alert, ...]:
    ended = {"state": AlertState.RESOLVED, "ended_at": ago(1)} if resolved else {}
    return (
        alert(1, "HighErrorRate", "checkout", Severity.CRITICAL, 11, joined_because="opened the incident", **ended),
        alert(2, "HighLatencyP95", "frontend", Severity.WARNING, 10.5,
              joined_because="frontend calls checkout, 30 s apart", **ended),
        alert(3, "HighErrorRate", "frontend", Severity.HIGH, 10,
              joined_because="frontend calls checkout, 60 s apart", **ended),
        alert(4, "DeploymentReplicasUnavailable", "checkout", Severity.HIGH, 9.5,
              joined_because="same service checkout, 90 s apart", **ended),
    )  # fmt: skip


def curve(base: float, peak: float, *, onset: float, points: int = 90) -> list[list[float]]:
    end = ago(0).timestamp()
    start = end - 40 * 60
    shift = ago(onset).timestamp()
    result = []
    for index in range(points):
        at = start + (end - start) * index / (points - 1)
        wave = base * (1 + 0.08 * math.sin(index * 1.7) + 0.05 * math.sin(index * 0.63))
        grown = (peak - base) * (1 - math.exp(-(at - shift) / 90)) if at > shift else 0.0
        result.append([round(at, 1), round(wave + grown, 6)])
    return result


def metric(name: str, unit: str, base: float, peak: float, *, service: str, onset: float = 11.6) -> Finding:
    points = curve(base, peak, onset=onset)
    facts = {
        "service": service, "namespace": "shop", "workload": service, "metric": name, "unit": unit,
        "direction": "up", "baseline": base, "now": points[-1][1], "low": base * 0.7, "high": base * 1.4,
        "score": 23.4, "onset": ago(onset).timestamp(), "ended": None, "peak": max(p[1] for p in points), "points": points,
    }  # fmt: skip
    titles = {"error_share": "Share of failed requests", "latency_p95": "95th percentile of response time"}
    return finding_model.make(
        kind=FindingKind.METRIC,
        code=f"metric.{name}",
        subject=ObjectRef(kind="Deployment", namespace="shop", name=service),
        service=service,
        statement=f"{titles.get(name, name)} of {service} rose from {base} to {points[-1][1]}.",
        facts=facts,
        value=points[-1][1],
        expected={"low": base * 0.7, "high": base * 1.4},
        source="prometheus",
        query='sum by (service) (rate(http_server_requests_total{namespace="shop",service="checkout",code=~"5.."}[1m]))',
        window_start=ago(40),
        window_end=ago(0),
        happened_at=ago(onset),
        observed_at=ago(9),
    )


def rollout() -> Finding:
    return finding_model.make(
        kind=FindingKind.CHANGE,
        code="change.rollout",
        subject=CHECKOUT,
        service="checkout",
        statement="Deployment shop/checkout was rolled out to revision 7 (image registry.internal/shop/checkout:2.30.4 "
        "→ registry.internal/shop/checkout:2.31.0), 95 s before the first alert.",
        facts={
            "namespace": "shop", "workload_kind": "Deployment", "workload": "checkout", "container": "checkout",
            "revision": 7, "previous_revision": 6, "old_image": "registry.internal/shop/checkout:2.30.4",
            "new_image": "registry.internal/shop/checkout:2.31.0", "image_changed": True, "restart_only": False,
            "changes": [], "change_cause": "", "seconds_before_start": 95,
        },
        field="spec.template",
        value="registry.internal/shop/checkout:2.31.0",
        expected="registry.internal/shop/checkout:2.30.4",
        source="kubernetes",
        query="kubernetes.inventory namespace=shop",
        happened_at=ago(12.6),
        observed_at=ago(9),
    )  # fmt: skip


def crash(quote: str = "TypeError: cannot unpack non-iterable NoneType object") -> Finding:
    return finding_model.make(
        kind=FindingKind.KUBERNETES,
        code="container.crash_loop",
        subject=CHECKOUT.model_copy(update={"container": "checkout"}),
        service="checkout",
        statement="Container checkout of Deployment shop/checkout ends with exit code 1 and waits longer before each "
        "restart; 6 restarts in 2 pods.",
        facts={
            "namespace": "shop", "workload_kind": "Deployment", "workload": "checkout", "container": "checkout",
            "pods": ["checkout-7d9f5b6c4-x2x9q", "checkout-7d9f5b6c4-bz7kk"], "pod_count": 2, "restarts": 6,
            "exit_code": 1, "looping": True, "reason": "Error",
        },
        field="status.containerStatuses[0].lastState.terminated.exitCode",
        value=1,
        expected=0,
        quote=quote,
        source="kubernetes",
        query="kubernetes.inventory namespace=shop",
        link="http://127.0.0.1:8421/apis/apps/v1/namespaces/shop/deployments/checkout",
        happened_at=ago(12),
        observed_at=ago(9),
    )  # fmt: skip


def near_limit() -> Finding:
    points = curve(70 * 2**20, 126 * 2**20, onset=20)
    return finding_model.make(
        kind=FindingKind.METRIC,
        code="metric.memory_near_limit",
        subject=CART,
        service="cart",
        statement="Memory of cart reached 126 MiB, 98 % of its limit of 128Mi.",
        facts={
            "service": "cart", "namespace": "shop", "workload": "cart", "metric": "memory", "unit": "B",
            "peak": 126.0 * 2**20, "limit": "128Mi", "limit_bytes": 128 * 2**20, "share": 0.98, "points": points,
        },
        value=126.0 * 2**20,
        expected={"high": 0.9 * 128 * 2**20},
        source="prometheus",
        query='max by (pod) (container_memory_working_set_bytes{namespace="shop",pod=~"cart-[a-z0-9]{1,10}-[a-z0-9]{5}"})',
        window_start=ago(40),
        window_end=ago(0),
        observed_at=ago(9),
    )  # fmt: skip


def findings() -> tuple[Finding, ...]:
    return (
        rollout(),
        crash(),
        metric("error_share", "share", 0.004, 0.31, service="checkout"),
        metric("latency_p95", "s", 0.045, 0.62, service="frontend", onset=11.2),
        near_limit(),
    )


def diagnosis(found: tuple[Finding, ...], *, verdict: Verdict = Verdict.LIKELY) -> Diagnosis:
    by_code = {one.code: one for one in found}
    place = {"namespace": "shop", "workload_kind": "Deployment", "workload": "checkout", "service": "checkout"}
    best = Hypothesis(
        id="H-1",
        cause="bad_rollout",
        subject=CHECKOUT,
        service="checkout",
        statement="The rollout of revision 7 of Deployment shop/checkout (image registry.internal/shop/checkout:2.31.0) "
        "brought the fault.",
        confidence=0.93,
        supports=(
            Evidence(finding_id=by_code["change.rollout"].id, weight=1.9, why="shortly before the start"),
            Evidence(finding_id=by_code["container.crash_loop"].id, weight=1.4),
            Evidence(finding_id=by_code["metric.error_share"].id, weight=0.8),
        ),
        facts={
            **place, "container": "checkout", "revision": 7, "previous_revision": 6,
            "image": "registry.internal/shop/checkout:2.31.0", "previous_image": "registry.internal/shop/checkout:2.30.4",
            "seconds_before_start": 95, "change_cause": "", "image_unavailable": "",
        },
    )  # fmt: skip
    second = Hypothesis(
        id="H-2",
        cause="crash",
        subject=CHECKOUT,
        service="checkout",
        statement="The application in container checkout of Deployment shop/checkout ends with exit code 1.",
        confidence=0.31,
        supports=(Evidence(finding_id=by_code["container.crash_loop"].id, weight=1.1),),
        contradicts=(Evidence(finding_id=by_code["change.rollout"].id, weight=0.9, why="it ran well before"),),
        facts={**place, "container": "checkout", "code": "container.crash_loop", "exit_code": 1, "probe": ""},
    )
    likely = verdict is not Verdict.INCONCLUSIVE
    return Diagnosis(
        incident_id="INC-0001",
        verdict=verdict,
        summary=f"Likely cause: {best.statement} 3 findings support it, none speaks against it."
        if likely
        else "No cause was found. The objects, metrics and logs that could be read show nothing unusual.",
        hypotheses=(best, second) if likely else (second.model_copy(update={"confidence": 0.34}),),
        nodes=nodes() if likely else nodes()[3:],
        edges=edges() if likely else edges()[3:],
        missing=() if likely else ("kubernetes.pod_logs: the server at 127.0.0.1:8421 did not answer within 10 s",),
        made_at=ago(8.8),
        evidence_digest="0" * 64,
    )


def nodes() -> tuple[GraphNode, ...]:
    return (
        GraphNode(id="change:F-1", label="checkout", detail="rev 7 checkout:2.31.0", role="change"),
        GraphNode(id="cause:H-1", label="Bad rollout", detail="checkout", role="cause"),
        GraphNode(id="service:checkout", label="checkout", detail="errors 31 %", role="effect"),
        GraphNode(id="service:frontend", label="frontend", detail="p95 620 ms", role="effect"),
        GraphNode(id="service:mobile-gateway", label="mobile-gateway", role="context"),
        GraphNode(id="alert:checkout:HighErrorRate", label="HighErrorRate", detail="checkout", role="effect"),
        GraphNode(
            id="alert:checkout:DeploymentReplicasUnavailable",
            label="DeploymentReplicasUnavailable",
            detail="checkout",
            role="effect",
        ),
        GraphNode(id="alert:frontend:HighErrorRate", label="HighErrorRate", detail="frontend", role="effect"),
        GraphNode(id="alert:frontend:HighLatencyP95", label="HighLatencyP95", detail="frontend", role="effect"),
    )


def edges() -> tuple[GraphEdge, ...]:
    return (
        GraphEdge(cause="change:F-1", effect="cause:H-1", weight=0.66, why=rollout().statement),
        GraphEdge(cause="cause:H-1", effect="service:checkout", weight=0.93, why="the rollout brought the fault"),
        GraphEdge(cause="service:checkout", effect="service:frontend", weight=0.9, why="frontend calls checkout."),
        GraphEdge(cause="service:frontend", effect="service:mobile-gateway", weight=0.3, why="mobile-gateway calls frontend."),
        GraphEdge(cause="service:checkout", effect="alert:checkout:HighErrorRate", weight=0.8, why="HighErrorRate is about checkout."),
        GraphEdge(cause="service:checkout", effect="alert:checkout:DeploymentReplicasUnavailable", weight=0.8, why=""),
        GraphEdge(cause="service:frontend", effect="alert:frontend:HighErrorRate", weight=0.8, why=""),
        GraphEdge(cause="service:frontend", effect="alert:frontend:HighLatencyP95", weight=0.8, why=""),
    )  # fmt: skip


def change(state: ChangeState = ChangeState.AWAITING_APPROVAL, **more) -> Change:
    step = Step(
        id="roll_back",
        title="Return to the revision before",
        action="kubernetes.rollback_deployment",
        action_version=1,
        handler_digest="a" * 64,
        permission="deployments.patch:shop",
        params={"namespace": "shop", "name": "checkout", "to_revision": 6},
        targets=(Target(ref=CHECKOUT, uid="9d1f6b7e-0b0b-4a53-9a43-5c9be2f9d111", spec_hash="b" * 64),),
        diff=DIFF,
        diff_digest="c" * 64,
        base_risk=RiskLevel.MEDIUM_RISK,
        risk=RiskLevel.HIGH_RISK,
        risk_reasons=("it touches 3 of 3 replicas",),
        touched_replicas=3,
        total_replicas=3,
        rollback=ActionCall(
            action="kubernetes.rollback_deployment", params={"namespace": "shop", "name": "checkout", "to_revision": 7}
        ),
        state=more.pop("step_state", StepState.PENDING),
        action_id=more.pop("action_id", ""),
        message=more.pop("message", ""),
    )
    fields = {
        "id": "CHG-0001",
        "workspace": "default",
        "incident_id": "INC-0001",
        "runbook": "rollback-deployment@1",
        "title": "Roll back deployment: Deployment shop/checkout",
        "reason": "The rollout of revision 7 of Deployment shop/checkout brought the fault.",
        "environment": Environment.STAGING,
        "requester": "toban",
        "state": state,
        "steps": (step,),
        "risk": RiskLevel.HIGH_RISK,
        "approvals_needed": 2,
        "policy_version": "d" * 64,
        "signals": (Signal(alert_name="HighErrorRate", labels={"service": "checkout"}),),
        "finding_ids": (),
        "nonce": "e" * 32,
        "created_at": ago(8),
        "approve_by": NOW + timedelta(minutes=22),
    }
    made = Change(**{**fields, **more})
    return made.model_copy(update={"digest": change_model.digest(made)})


def entry(seq: int, minutes: float, lane: Lane, kind: str, text: str, actor: str = "toban", **facts) -> TimelineEntry:
    return TimelineEntry(
        seq=seq, workspace="default", incident_id=facts.pop("incident", "INC-0001"), at=ago(minutes), lane=lane, kind=kind,
        text=text, actor=actor, facts=facts,
    )  # fmt: skip


def story(*, until: int = 99) -> tuple[TimelineEntry, ...]:
    told = (
        entry(1, 10.9, Lane.ALERTS, "incident.opened", "HighErrorRate opened INC-0001", "alertmanager", name="HighErrorRate"),
        entry(2, 10.4, Lane.ALERTS, "alert.joined", "HighLatencyP95 joined: frontend calls checkout, 30 s apart",
              "alertmanager", name="HighLatencyP95", because="frontend calls checkout, 30 s apart"),
        entry(3, 9.9, Lane.ALERTS, "alert.joined", "HighErrorRate joined: frontend calls checkout, 60 s apart",
              "alertmanager", name="HighErrorRate", because="frontend calls checkout, 60 s apart"),
        entry(4, 9, Lane.ANALYSIS, "investigation.done", "5 findings from 23 reads", findings=5, reads=23, missing=[], attempt=1),
        entry(5, 8.8, Lane.ANALYSIS, "diagnosis.made", "Likely cause: the rollout of revision 7 brought the fault.",
              verdict="likely", cause="bad_rollout", confidence=0.93),
        entry(6, 8, Lane.CHANGES, "change.planned", "CHG-0001 planned: Roll back deployment (HIGH_RISK in staging)",
              change="CHG-0001", runbook="rollback-deployment@1", risk="HIGH_RISK", environment="staging", approvals=2),
    )  # fmt: skip
    return told[:until]


def services() -> tuple[Service, ...]:
    return (
        Service(workspace="default", name="checkout", namespace="shop", calls=("payment",), seen_at=ago(20)),
        Service(workspace="default", name="frontend", namespace="shop", calls=("checkout",), seen_at=ago(20)),
    )


def incident(state: IncidentState = IncidentState.REMEDIATING, **more) -> Incident:
    fields = {
        "id": "INC-0001",
        "workspace": "default",
        "title": "Error rate of checkout above 5 % for 1 minute",
        "state": state,
        "severity": Severity.CRITICAL,
        "environment": Environment.STAGING,
        "service": "checkout",
        "services": ("checkout", "frontend"),
        "alert_count": 4,
        "firing_count": 4,
        "started_at": ago(11),
        "opened_at": ago(10.9),
        "last_alert_at": ago(9.5),
    }
    return Incident(**{**fields, **more})


def awaiting() -> CaseFile:
    found = findings()
    vote = Approval(
        change_id="CHG-0001", voter="sato", decision=Decision.APPROVE, digest=change().digest,
        reason="Rolled back the same way last week", auth_level=AuthLevel.PASSWORD, voted_at=ago(4),
    )  # fmt: skip
    voted = entry(7, 4, Lane.PEOPLE, "change.approve", "sato approved CHG-0001", "sato", change="CHG-0001",
                  reason="Rolled back the same way last week")  # fmt: skip
    return CaseFile(
        incident=incident(),
        alerts=alerts(),
        findings=found,
        diagnosis=diagnosis(found),
        changes=(ChangeFile(change=change(), approvals=(vote,)),),
        timeline=(*story(), voted),
        services=services(),
    )


def _numbered(case: CaseFile, number: int, **more) -> CaseFile:
    """The case under another incident number, with its change renumbered too."""
    id_ = f"INC-{number:04d}"
    files = tuple(
        file.model_copy(
            update={"change": file.change.model_copy(update={"id": f"CHG-{number:04d}", "incident_id": id_})}
        )
        for file in case.changes
    )
    timeline = tuple(
        one.model_copy(update={"incident_id": id_, "seq": one.seq + 100 * number}) for one in case.timeline
    )
    alerts_ = tuple(one.model_copy(update={"id": f"ALR-{number}{index:03d}"}) for index, one in enumerate(case.alerts))
    base = {
        "incident": case.incident.model_copy(update={"id": id_}),
        "changes": files,
        "timeline": timeline,
        "alerts": alerts_,
    }
    return case.model_copy(update={**base, **more})


def verification(result: CheckResult = CheckResult.PASSED) -> Verification:
    good = 3 if result is CheckResult.PASSED else 1
    return Verification(
        change_id="CHG-0002",
        result=result,
        checks=(
            Check(name="HighErrorRate (service=checkout)", kind="signal", query="rate(http_server_requests_total[1m])",
                  result=result, good_samples=good, needed_samples=3, last_seen={"active": 0}, detail="not active"),
            Check(name="Deployment shop/checkout", kind="object", query="kubernetes.inventory", result=CheckResult.PASSED,
                  good_samples=3, needed_samples=3, last_seen="3/3 available", detail="rollout complete"),
        ),
        started_at=ago(2),
        finished_at=ago(1.2),
    )  # fmt: skip


def succeeded() -> CaseFile:
    base = awaiting()
    done = change(
        ChangeState.SUCCEEDED, step_state=StepState.EXECUTED, message="revision 6 is running", approved_at=ago(3.5),
        dispatched_at=ago(3), ended_at=ago(1.2), approvals_needed=1,
    )  # fmt: skip
    file = ChangeFile(change=done, approvals=base.changes[0].approvals, verification=verification())
    after = (
        entry(8, 3, Lane.ACTIONS, "step.executed", "CHG-0001 Return to the revision before: executed", change="CHG-0001",
              action="kubernetes.rollback_deployment", reason=""),
        entry(9, 1.2, Lane.ACTIONS, "verification.passed", "CHG-0001 verified: it worked", change="CHG-0001", checks=2),
        entry(10, 1.1, Lane.ANALYSIS, "incident.resolved", "INC-0001 resolved: fixed by CHG-0001 and verified",
              how="fixed by CHG-0001 and verified"),
    )  # fmt: skip
    case = base.model_copy(
        update={
            "incident": incident(
                IncidentState.RESOLVED,
                firing_count=0,
                resolved_at=ago(1.1),
                resolution="fixed by CHG-0002 and verified",
            ),
            "alerts": alerts(resolved=True),
            "changes": (file,),
            "timeline": (*base.timeline, *after),
        }
    )
    lesson = Lesson(
        id="LSN-0001", workspace="default", incident_id="INC-0002", service="checkout", cause="bad_rollout",
        statement="The rollout of revision 7 brought the fault. Roll back deployment: it worked.",
        remedy="rollback-deployment@1", change_id="CHG-0002", worked=True, seconds_to_diagnosis=126.0,
        seconds_to_recovery=588.0, alert_names=("HighErrorRate",), written_at=ago(1),
    )  # fmt: skip
    return _numbered(case, 2, lesson=lesson)


def inconclusive() -> CaseFile:
    found = (*findings()[1:3], rollout())
    none = entry(6, 8, Lane.ANALYSIS, "plan.none", "no change is proposed: no cause is sure enough to plan a change",
                 reason="no cause is sure enough to plan a change")  # fmt: skip
    case = CaseFile(
        incident=incident(
            IncidentState.ESCALATED, title="Latency of search above 300 ms", severity=Severity.UNKNOWN,
            environment=Environment.PRODUCTION, service=None, services=(),
        ),
        alerts=alerts()[:1],
        findings=found,
        diagnosis=diagnosis(found, verdict=Verdict.INCONCLUSIVE),
        timeline=(*story(until=4), none),
    )  # fmt: skip
    return _numbered(case, 3)


def unknown() -> CaseFile:
    base = awaiting()
    lost = change(
        ChangeState.UNKNOWN, step_state=StepState.UNKNOWN, action_id="CHG-0004:roll_back:1", approved_at=ago(3.5),
        dispatched_at=ago(3), outcome="the connection was lost after the request was sent",
        message="the connection was lost after the request was sent",
    )  # fmt: skip
    told = entry(8, 2.5, Lane.ACTIONS, "change.unknown", "CHG-0004 unknown: the connection was lost", change="CHG-0004",
                 reason="the connection was lost after the request was sent")  # fmt: skip
    case = base.model_copy(
        update={
            "changes": (ChangeFile(change=lost, approvals=base.changes[0].approvals),),
            "timeline": (*base.timeline, told),
        }
    )
    return _numbered(case, 4)


def rejected() -> CaseFile:
    base = awaiting()
    vote = (
        base.changes[0]
        .approvals[0]
        .model_copy(
            update={"decision": Decision.REJECT, "reason": "Release 2.31 holds a schema migration; do not roll back"}
        )
    )
    refused = change(ChangeState.REJECTED, ended_at=ago(4), outcome=vote.reason)
    told = entry(
        8, 4, Lane.PEOPLE, "change.reject", "sato rejected CHG-0005", "sato", change="CHG-0005", reason=vote.reason
    )
    case = base.model_copy(
        update={
            "incident": incident(IncidentState.ESCALATED),
            "changes": (ChangeFile(change=refused, approvals=(vote,)),),
            "timeline": (*base.timeline[:-1], told),
        }
    )
    return _numbered(case, 5)


def harmless() -> CaseFile:
    seen = entry(2, 118, Lane.ALERTS, "incident.quiet", "all alerts are resolved", "alertmanager")
    ended = entry(3, 117, Lane.ANALYSIS, "incident.resolved", "INC-0006 resolved: all alerts ended without a change by Toban",
                  how="all alerts ended without a change by Toban")  # fmt: skip
    case = CaseFile(
        incident=incident(
            IncidentState.RESOLVED, title="CPU of worker above 90 %", severity=Severity.INFO, service="worker", services=(),
            started_at=ago(130), opened_at=ago(129.8), last_alert_at=ago(130), resolved_at=ago(117), alert_count=1,
            firing_count=0, resolution="all alerts ended without a change by Toban",
        ),
        alerts=(alert(9, "HighCpu", "worker", Severity.INFO, 130, state=AlertState.RESOLVED, ended_at=ago(118)),),
        timeline=(
            entry(1, 129.8, Lane.ALERTS, "incident.opened", "HighCpu opened INC-0006", "alertmanager", name="HighCpu"),
            seen,
            ended,
        ),
    )  # fmt: skip
    return _numbered(case, 6)


def investigating() -> CaseFile:
    case = CaseFile(
        incident=incident(IncidentState.INVESTIGATING, title="Queue of orders grows", severity=Severity.WARNING,
                          service="orders", services=("orders",), alert_count=1, firing_count=1),
        alerts=alerts()[:1],
        timeline=story(until=1),
    )  # fmt: skip
    return _numbered(case, 7)


def hostile() -> CaseFile:
    """A case whose every text from outside attacks the page."""
    base = awaiting()
    bad_crash = crash(HOSTILE).model_copy(
        update={"statement": HOSTILE, "query": HOSTILE, "link": "javascript:alert(3)"}
    )
    found = (base.findings[0], bad_crash, *base.findings[2:])
    attacker = alert(
        66, HOSTILE, HOSTILE, Severity.HIGH, 5, labels={HOSTILE: HOSTILE}, annotations={"summary": HOSTILE},
        joined_because=HOSTILE, links=(Link(title=HOSTILE, url="javascript:alert(4)"), Link(title="x", url="http://a@b/")),
    )  # fmt: skip
    step = (
        base.changes[0].change.steps[0].model_copy(update={"diff": f"+++ {HOSTILE}\n+{HOSTILE}\n", "message": HOSTILE})
    )
    plan = base.changes[0].change.model_copy(update={"title": HOSTILE, "reason": HOSTILE, "steps": (step,)})
    told = base.diagnosis
    assert told is not None
    bad_nodes = (*told.nodes, GraphNode(id=HOSTILE, label=HOSTILE, detail=HOSTILE, role=HOSTILE))
    case = base.model_copy(
        update={
            "incident": base.incident.model_copy(update={"title": HOSTILE, "service": HOSTILE}),
            "alerts": (*base.alerts, attacker),
            "findings": found,
            "changes": (base.changes[0].model_copy(update={"change": plan}),),
            "diagnosis": told.model_copy(update={"nodes": bad_nodes, "missing": (HOSTILE,)}),
            "timeline": (*base.timeline, entry(9, 1, Lane.PEOPLE, HOSTILE, HOSTILE, HOSTILE)),
        }
    )
    return _numbered(case, 66)


def all_cases() -> dict[str, CaseFile]:
    made = (awaiting(), succeeded(), inconclusive(), unknown(), rejected(), harmless(), investigating())
    return {case.incident.id: case for case in made}
