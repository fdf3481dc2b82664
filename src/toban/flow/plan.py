"""Plan: from the best hypothesis to a change, worked out by a runbook and the Gate, with no effect on the world.

Called by the pipeline once an incident is diagnosed. It may run twice: a change that exists already is taken.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from toban.errors import InvalidInputError, PermissionDeniedError, UpstreamRefusedError
from toban.governance import audit, policy
from toban.governance.gate import Gate, Place
from toban.kit.clock import Clock
from toban.model import change as change_model
from toban.model.action import ActionCall
from toban.model.audit import AuditDraft, AuditResult
from toban.model.casefile import CaseFile
from toban.model.change import BEFORE_DISPATCH, Change, ChangeState, Signal, Step
from toban.model.diagnosis import Diagnosis, Hypothesis
from toban.model.incident import Incident, IncidentState
from toban.model.security import SecurityContext
from toban.model.timeline import Lane, Note
from toban.runbooks.runbook import Runbook
from toban.store import casefile, changes, counters, incidents, services, timeline
from toban.store.database import Database

_SIGNALS = 5


@dataclass(frozen=True)
class Planned:
    """The change, if there is one, or why there is none."""

    change: Change | None
    reason: str = ""


class Planner:
    """Turns diagnoses into changes."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        gate: Gate,
        runbooks: Mapping[str, Runbook],
    ) -> None:
        self._database = database
        self._clock = clock
        self._gate = gate
        self._runbooks = runbooks

    async def plan(self, context: SecurityContext, workspace: str, incident_id: str) -> Planned:
        """Plan the incident's change. Errors of the target system come through; refusals are reasons."""
        file = await self._database.read(casefile.load, workspace, incident_id)
        waiting = [one.change for one in file.changes if one.change.state in BEFORE_DISPATCH]
        if waiting:
            return Planned(waiting[-1])
        best = file.diagnosis.best if file.diagnosis else None
        if file.diagnosis is None or best is None:
            return await self._nothing(file.incident, "no cause is sure enough to plan a change")
        if any(one.change.state is not ChangeState.OBSOLETE for one in file.changes):
            return await self._nothing(
                file.incident, "a change was made for this incident already; a person decides what next"
            )
        runbook = next((one for one in self._runbooks.values() if best.cause in one.causes), None)
        if runbook is None:
            return await self._nothing(file.incident, f"no runbook cures {best.cause}")
        try:
            steps = await self._steps(context, file.incident, runbook, best)
        except (InvalidInputError, PermissionDeniedError, UpstreamRefusedError) as error:
            return await self._nothing(file.incident, f"runbook {runbook.name} cannot be planned: {error.message}")
        change = await self._database.write(self._store, context, file, file.diagnosis, runbook, steps)
        return Planned(change)

    async def _nothing(self, incident: Incident, reason: str) -> Planned:
        note = Note(
            at=self._clock.now(), lane=Lane.ANALYSIS, kind="plan.none", text=f"no change is proposed: {reason}",
            facts={"reason": reason}, once=f"plan.none:{reason[:80]}",
        )  # fmt: skip
        await self._database.write(timeline.append, incident.workspace, incident.id, note)
        return Planned(None, reason)

    async def _steps(
        self, context: SecurityContext, incident: Incident, runbook: Runbook, best: Hypothesis
    ) -> tuple[Step, ...]:
        absent = runbook.missing(best.facts)
        if absent:
            raise InvalidInputError(f"the diagnosis does not give {', '.join(absent)}")
        snapshots = await self._snapshots(incident.workspace, runbook, best)
        place = Place(incident.environment, incident.id)
        prepared = []
        for step, params in runbook.filled(best.facts, snapshots):
            call = ActionCall(action=step.action, params=params)
            named = {"id": step.id, "title": step.title.en, "depends_on": step.depends_on}
            prepared.append(await self._gate.prepare(context, call, place, named))
        return tuple(prepared)

    async def _snapshots(self, workspace: str, runbook: Runbook, best: Hypothesis) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, ref in runbook.wanted_snapshots(best.facts).items():
            seen = await self._database.read(services.latest_snapshot, workspace, ref)
            if seen is None:
                raise InvalidInputError(f"Toban never saw {ref}, so it cannot restore it; restore it from your backup")
            found[name] = {**seen[2], "seen_at": seen[1].isoformat()}
        return found

    def _store(
        self,
        connection: sa.Connection,
        context: SecurityContext,
        file: CaseFile,
        diagnosis: Diagnosis,
        runbook: Runbook,
        steps: tuple[Step, ...],
    ) -> Change:
        now = self._clock.now()
        incident = file.incident
        best = diagnosis.hypotheses[0]
        risk = policy.highest(step.risk for step in steps)
        decision = self._gate.rules.decide(risk, incident.environment)
        change = Change(
            id=counters.take(connection, "CHG"),
            workspace=incident.workspace,
            incident_id=incident.id,
            runbook=f"{runbook.name}@{runbook.version}",
            title=f"{runbook.title.en}: {steps[0].targets[0].ref}",
            reason=best.statement,
            environment=incident.environment,
            requester=context.user_id,
            delegation=context.delegation,
            state=ChangeState.PROPOSED,
            steps=steps,
            risk=risk,
            approvals_needed=decision.approvals,
            policy_version=self._gate.rules.version,
            signals=_signals(file),
            finding_ids=tuple(evidence.finding_id for evidence in best.supports),
            nonce=secrets.token_hex(16),
            created_at=now,
            approve_by=now + timedelta(seconds=decision.rule.approve_within_s),
        )
        change = change.model_copy(update={"digest": change_model.digest(change)})
        changes.insert(connection, change)
        change = changes.update(connection, change, state=ChangeState.PLANNED)
        change = _decided(connection, change, decision, now)
        self._tell(connection, incident, change, decision)
        return change

    def _tell(
        self, connection: sa.Connection, incident: Incident, change: Change, decision: policy.PolicyDecision
    ) -> None:
        now = self._clock.now()
        facts = {
            "change": change.id,
            "runbook": change.runbook,
            "risk": change.risk,
            "environment": change.environment,
            "approvals": change.approvals_needed,
            "state": change.state,
            "reasons": list(decision.reasons),
        }
        text = f"{change.id} planned: {change.title} ({change.risk} in {change.environment})"
        note = Note(at=now, lane=Lane.CHANGES, kind="change.planned", text=text, facts=facts, once=f"plan:{change.id}")
        timeline.append(connection, incident.workspace, incident.id, note)
        audit.append(
            connection,
            AuditDraft(
                workspace=change.workspace,
                actor=change.requester,
                actor_type="service",
                operation="change.plan",
                subject=change.id,
                result=AuditResult.ALLOWED,
                details=facts | {"digest": change.digest},
            ),
            now,
        )
        current = incidents.get(connection, incident.workspace, incident.id)
        after = IncidentState.ESCALATED if change.state is ChangeState.CANCELLED else IncidentState.REMEDIATING
        if current.state is not after:
            incidents.update(connection, current, state=after)


def _decided(connection: sa.Connection, change: Change, decision: policy.PolicyDecision, now: Any) -> Change:
    if decision.outcome is policy.Outcome.AUTO:
        return changes.update(connection, change, state=ChangeState.APPROVED, approved_at=now)
    if decision.outcome is policy.Outcome.APPROVALS:
        return changes.update(connection, change, state=ChangeState.AWAITING_APPROVAL)
    outcome = "; ".join(decision.reasons) or "policy leaves this to people"
    return changes.update(connection, change, state=ChangeState.CANCELLED, ended_at=now, outcome=outcome)


def _signals(file: CaseFile) -> tuple[Signal, ...]:
    """The signals that the fix must silence: of the alerts of the incident's service first, each rule once."""
    firing = sorted(file.alerts, key=lambda alert: (alert.service != file.incident.service, alert.started_at, alert.id))
    found: dict[str, Signal] = {}
    for alert in firing:
        signal = Signal(alert_name=alert.name, labels=alert.labels)
        found.setdefault(f"{alert.name}|{alert.labels.get('namespace')}|{alert.service}", signal)
    return tuple(found.values())[:_SIGNALS]
