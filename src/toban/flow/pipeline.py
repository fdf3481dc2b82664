"""The pipeline: in which order things happen to an incident, as durable workflows.

`STAGES` is the order. The workflow `incident` goes from investigation to plan; where people must approve, it parks the
workflow `change`, which goes from approval to lesson. The functions between hold no state of their own: each step reads
the records, does one thing, writes the records; so it may run twice. `sweep` starts and wakes whatever a crash left
behind, and resolves incidents that went quiet.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
import structlog

from toban.engine.durable import Engine, Run
from toban.errors import ConflictError, TobanError
from toban.flow import approve, diagnose, investigate, learn, signals
from toban.flow.execute import Executor, Settlement
from toban.flow.plan import Planner
from toban.flow.settings import FlowSettings
from toban.flow.verify import Verifier
from toban.governance import intents, redaction
from toban.governance.gate import Gate
from toban.kit.clock import Clock
from toban.model.change import CHANGE_STATES, Change, ChangeState
from toban.model.diagnosis import Verdict
from toban.model.finding import Finding
from toban.model.incident import OPEN_STATES, Incident, IncidentState
from toban.model.security import SecurityContext
from toban.model.timeline import Lane, Note
from toban.model.verification import CheckResult, Verification
from toban.store import alerts, casefile, changes, evidence, incidents, services, timeline
from toban.store.database import Database

STAGES = ("receive", "correlate", "investigate", "diagnose", "plan", "approve", "execute", "verify", "learn")

_IN_FLIGHT = frozenset(
    {ChangeState.DISPATCHING, ChangeState.EXECUTED, ChangeState.VERIFYING, ChangeState.ROLLING_BACK, ChangeState.FAILED}
)
_WAITING = frozenset({ChangeState.AWAITING_APPROVAL, ChangeState.APPROVED})
_ENDED = frozenset({"SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"})
_QUIET_STATES = OPEN_STATES - {IncidentState.NEW}
_log = structlog.get_logger()


@dataclass(frozen=True)
class Tools:
    """What the stages work with, built by `app.py`."""

    database: Database
    clock: Clock
    engine: Engine
    gate: Gate
    planner: Planner
    executor: Executor
    verifier: Verifier
    settings: FlowSettings
    toban: Callable[[str], SecurityContext]


class Pipeline:
    """Runs incidents through the stages."""

    def __init__(self, tools: Tools) -> None:
        self._t = tools
        self._started: set[str] = set()

    def define(self) -> None:
        """Make the workflows known to the engine, before it is launched."""
        self._t.engine.define("incident", self._incident)
        self._t.engine.define("change", self._change)

    # --- workflows -----------------------------------------------------------------------------------------------

    async def _incident(self, run: Run, workspace: str, incident_id: str) -> None:
        try:
            await self._to_plan(run, workspace, incident_id)
        except Exception as error:  # noqa: BLE001 - a stage: whatever broke it, a person must hear of it
            await run.step(self._broken, workspace, incident_id, _words(error))

    async def _to_plan(self, run: Run, workspace: str, incident_id: str) -> None:
        options = self._t.settings.investigate
        if options.settle_s:
            await run.sleep(options.settle_s)
        verdict = ""
        for attempt in range(options.attempts):
            await run.step(self._investigate, workspace, incident_id, attempt)
            verdict = await run.step(self._diagnose, workspace, incident_id, attempt)
            if verdict not in {Verdict.INCONCLUSIVE, ""}:
                break
            if attempt + 1 < options.attempts:
                await run.sleep(options.retry_s)
                if await run.step(self._is_over, workspace, incident_id):
                    return
        planned = await run.step(self._plan, workspace, incident_id)
        if planned["change"]:
            # a workflow of its own, begun by this one: never inside a step
            run_id = _run_id(planned["change"])
            await self._t.engine.park("change", run_id, workspace, planned["change"], delay_s=planned["wait_s"])

    async def _change(self, run: Run, workspace: str, change_id: str) -> None:
        try:
            await self._to_lesson(run, workspace, change_id)
        except Exception as error:  # noqa: BLE001 - a stage: whatever broke it, a person must hear of it
            await run.step(self._broken_change, workspace, change_id, _words(error))

    async def _to_lesson(self, run: Run, workspace: str, change_id: str) -> None:
        state = await run.step(self._settle_approval, workspace, change_id)
        if state == ChangeState.AWAITING_APPROVAL:  # woken too early: the sweep starts another run when it is time
            return
        if state in {ChangeState.APPROVED, ChangeState.DISPATCHING}:
            state = await run.step(self._execute, workspace, change_id)
        if state == ChangeState.EXECUTED:
            state = await run.step(self._begin_verifying, workspace, change_id)
        if state == ChangeState.VERIFYING:
            state = await run.step(self._verify, workspace, change_id)
        if state == ChangeState.ROLLING_BACK:
            state = await run.step(self._roll_back, workspace, change_id)
        again = await run.step(self._finish, workspace, change_id)
        if again:
            await self._t.engine.start("incident", again["run"], workspace, again["incident"])

    # --- steps of the incident -----------------------------------------------------------------------------------

    async def _investigate(self, workspace: str, incident_id: str, attempt: int) -> None:
        incident = await self._move(workspace, incident_id, IncidentState.INVESTIGATING)
        if incident is None:
            return
        known = await self._t.database.read(services.all_of, workspace)
        members = await self._t.database.read(alerts.of_incident, incident_id)
        found = await investigate.investigate(
            _GateReader(self._t.gate, self._t.toban(workspace), incident_id),
            incident=incident,
            alerts=members,
            services=known,
            settings=self._t.settings.investigate,
            now=self._t.clock.now(),
        )
        safe = [_masked(finding) for finding in found.findings]
        await self._t.database.write(self._store_findings, incident, safe, found, attempt)

    def _store_findings(
        self, connection: sa.Connection, incident: Incident, findings: list[Finding], found: Any, attempt: int
    ) -> None:
        evidence.save_findings(connection, incident.id, findings)
        current = incidents.get(connection, incident.workspace, incident.id)
        incidents.update(connection, current, alerts_seen=incident.alert_count)
        facts = {
            "findings": len(findings),
            "reads": found.reads,
            "missing": list(found.missing),
            "attempt": attempt + 1,
        }
        text = f"{len(findings)} findings from {found.reads} reads"
        if found.missing:
            text += f"; not available: {', '.join(found.missing)}"
        self._note(
            connection,
            incident,
            "investigation.done",
            text,
            facts,
            once=f"investigation:{incident.alert_count}:{attempt}",
        )

    async def _diagnose(self, workspace: str, incident_id: str, attempt: int) -> str:
        file = await self._t.database.read(casefile.load, workspace, incident_id)
        if file.incident.state is not IncidentState.INVESTIGATING:
            return file.diagnosis.verdict if file.diagnosis else ""
        missing = next(
            (list(e.facts.get("missing", ())) for e in reversed(file.timeline) if e.kind == "investigation.done"), []
        )
        diagnosis = diagnose.diagnose(
            incident=file.incident,
            alerts=file.alerts,
            findings=file.findings,
            services={service.name: service for service in file.services},
            missing=tuple(missing),
            now=self._t.clock.now(),
        )

        def store(connection: sa.Connection) -> None:
            evidence.save_diagnosis(connection, diagnosis)
            root = {"service": diagnosis.best.service} if diagnosis.best and diagnosis.best.service else {}
            incident = incidents.move(connection, workspace, incident_id, IncidentState.DIAGNOSED, **root)
            facts = diagnose.timeline_facts(diagnosis)
            self._note(
                connection,
                incident,
                "diagnosis.made",
                diagnosis.summary,
                facts,
                once=f"diagnosis:{incident.alert_count}:{attempt}",
            )

        await self._t.database.write(store)
        return diagnosis.verdict

    async def _is_over(self, workspace: str, incident_id: str) -> bool:
        incident = await self._t.database.read(incidents.get, workspace, incident_id)
        return incident.state in {IncidentState.RESOLVED, IncidentState.CLOSED}

    async def _plan(self, workspace: str, incident_id: str) -> dict[str, Any]:
        if await self._is_over(workspace, incident_id):
            return {"change": "", "wait_s": 0.0}
        planned = await self._t.planner.plan(self._t.toban(workspace), workspace, incident_id)
        if planned.change is None:
            await self._escalate(workspace, incident_id, planned.reason)
            return {"change": "", "wait_s": 0.0}
        return {"change": planned.change.id, "wait_s": self._wait_s(planned.change)}

    def _wait_s(self, change: Change) -> float:
        if change.state is not ChangeState.AWAITING_APPROVAL:
            return 0.0
        return max((change.approve_by - self._t.clock.now()).total_seconds(), 0.0) + 1.0

    # --- steps of the change -------------------------------------------------------------------------------------

    async def _get(self, workspace: str, change_id: str) -> Change:
        return await self._t.database.read(changes.get, workspace, change_id)

    async def _settle_approval(self, workspace: str, change_id: str) -> str:
        change = await self._get(workspace, change_id)
        settled = await self._t.database.write(approve.settle, change, self._t.clock)
        return settled.state

    async def _execute(self, workspace: str, change_id: str) -> str:
        change = await self._get(workspace, change_id)
        if change.state not in {ChangeState.APPROVED, ChangeState.DISPATCHING}:
            return change.state
        executed = await self._t.executor.execute(self._t.toban(workspace), change, self._signal_reader(change))
        return executed.state

    async def _begin_verifying(self, workspace: str, change_id: str) -> str:
        change = await self._get(workspace, change_id)
        if change.state is ChangeState.EXECUTED:
            change = await self._t.database.write(changes.update, change, state=ChangeState.VERIFYING)
        return change.state

    async def _verify(self, workspace: str, change_id: str) -> str:
        change = await self._get(workspace, change_id)
        if change.state is not ChangeState.VERIFYING:
            return change.state
        verification = await self._t.verifier.verify(change, self._signal_reader(change))
        judged: str = await self._t.database.write(self._judge, change, verification)
        return judged

    def _judge(self, connection: sa.Connection, change: Change, verification: Verification) -> str:
        now = self._t.clock.now()
        changes.save_verification(connection, verification, phase="run")
        words = "; ".join(f"{check.name}: {check.result} ({check.detail})" for check in verification.checks)
        if verification.result is CheckResult.PASSED:
            state, text = ChangeState.SUCCEEDED, f"{change.id} verified: it worked"
        elif verification.result is CheckResult.FAILED and any(step.rollback for step in change.steps):
            state, text = ChangeState.ROLLING_BACK, f"{change.id} did not work, rolling back: {words}"
        else:
            state, text = ChangeState.ESCALATED, f"{change.id} could not be proved, a person is needed: {words}"
        ended = {} if state is ChangeState.ROLLING_BACK else {"ended_at": now, "outcome": words}
        change = changes.update(connection, change, state=state, **ended)
        note = Note(
            at=now, lane=Lane.ACTIONS, kind=f"verification.{verification.result}", text=text,
            facts={"change": change.id, "checks": len(verification.checks)}, once=f"verified:{change.id}",
        )  # fmt: skip
        timeline.append(connection, change.workspace, change.incident_id, note)
        if state is ChangeState.SUCCEEDED:
            self._resolve(connection, change.workspace, change.incident_id, f"fixed by {change.id} and verified")
        return state

    async def _roll_back(self, workspace: str, change_id: str) -> str:
        change = await self._get(workspace, change_id)
        change = await self._t.executor.roll_back(self._t.toban(workspace), change)
        if change.state is not ChangeState.ROLLING_BACK:
            return change.state
        verification = await self._t.verifier.verify(change, None, rollback=True)

        def store(connection: sa.Connection) -> str:
            changes.save_verification(connection, verification, phase="rollback")
            proved = verification.result is CheckResult.PASSED
            state = ChangeState.ROLLED_BACK if proved else ChangeState.ESCALATED
            text = f"{change.id} {'is rolled back' if proved else 'was rolled back, which could not be proved'}"
            after = changes.update(connection, change, state=state, ended_at=self._t.clock.now(), outcome=text)
            note = Note(
                at=self._t.clock.now(), lane=Lane.ACTIONS, kind=f"change.{state}", text=text,
                facts={"change": change.id}, once=f"rolled:{change.id}",
            )  # fmt: skip
            timeline.append(connection, workspace, change.incident_id, note)
            return after.state

        return await self._t.database.write(store)

    async def _finish(self, workspace: str, change_id: str) -> dict[str, str]:
        change = await self._get(workspace, change_id)
        if change.state is ChangeState.FAILED:
            change = await self._t.database.write(
                changes.update, change, state=ChangeState.ESCALATED, ended_at=self._t.clock.now()
            )
        if change.state in CHANGE_STATES.ends():  # an UNKNOWN one keeps its targets to itself
            await self._t.database.write(intents.release, change)
        if change.state is ChangeState.SUCCEEDED:
            await self._t.database.write(learn.learn, workspace, change.incident_id, self._t.clock.now())
        elif change.state is not ChangeState.OBSOLETE:
            await self._escalate(
                workspace, change.incident_id, f"{change.id} ended as {change.state}: {change.outcome}"
            )
        else:
            return await self._replan(workspace, change)
        return {}

    async def _replan(self, workspace: str, change: Change) -> dict[str, str]:
        """An OBSOLETE change is planned anew while its signal is there, by the run of the incident that this names."""
        incident = await self._t.database.read(incidents.get, workspace, change.incident_id)
        if incident.state in OPEN_STATES and incident.firing_count and not change.outcome.startswith("the signal"):
            tries = len(await self._t.database.read(changes.of_incident, change.incident_id))
            if tries <= self._t.settings.investigate.attempts:
                return {"run": f"{incident.id}:{tries + 1}", "incident": incident.id}
            await self._escalate(workspace, incident.id, f"{change.id} became obsolete: {change.outcome}")
        return {}

    # --- shared --------------------------------------------------------------------------------------------------

    def _signal_reader(self, change: Change) -> signals.Read | None:
        if signals.RULE_STATE not in self._t.gate.catalogue.names():
            return None
        reader = _GateReader(self._t.gate, self._t.toban(change.workspace), change.incident_id)
        return reader.read

    async def _move(self, workspace: str, incident_id: str, state: IncidentState) -> Incident | None:
        incident = await self._t.database.read(incidents.get, workspace, incident_id)
        if incident.state in {IncidentState.RESOLVED, IncidentState.CLOSED}:
            return None
        return await self._t.database.write(incidents.move, workspace, incident_id, state)

    async def _escalate(self, workspace: str, incident_id: str, reason: str) -> None:
        def store(connection: sa.Connection) -> None:
            incident = incidents.get(connection, workspace, incident_id)
            if incident.state not in OPEN_STATES or incident.state is IncidentState.ESCALATED:
                return
            incident = incidents.update(connection, incident, state=IncidentState.ESCALATED)
            text = f"a person is needed: {reason}"
            self._note(
                connection, incident, "incident.escalated", text, {"reason": reason}, once=f"escalated:{reason[:80]}"
            )

        await self._t.database.write(store)

    async def _broken(self, workspace: str, incident_id: str, problem: str) -> None:
        _log.error("incident workflow failed", incident=incident_id, problem=problem)
        await self._escalate(workspace, incident_id, f"Toban could not go on: {problem}")

    async def _broken_change(self, workspace: str, change_id: str, problem: str) -> None:
        change = await self._get(workspace, change_id)
        _log.error("change workflow failed", change=change_id, problem=problem)
        await self._escalate(workspace, change.incident_id, f"{change_id} stands at {change.state}: {problem}")

    def _resolve(self, connection: sa.Connection, workspace: str, incident_id: str, how: str) -> None:
        incident = incidents.get(connection, workspace, incident_id)
        if incident.state not in OPEN_STATES:
            return
        now = self._t.clock.now()
        incidents.update(connection, incident, state=IncidentState.RESOLVED, resolved_at=now, resolution=how)
        self._note(
            connection, incident, "incident.resolved", f"{incident.id} resolved: {how}", {"how": how}, once="resolved"
        )

    def _note(
        self, connection: sa.Connection, incident: Incident, kind: str, text: str, facts: dict[str, Any], *, once: str
    ) -> None:
        note = Note(at=self._t.clock.now(), lane=Lane.ANALYSIS, kind=kind, text=text, facts=facts, once=once)
        timeline.append(connection, incident.workspace, incident.id, note)

    # --- what a crash or silence leaves behind -------------------------------------------------------------------

    async def sweep(self) -> None:
        """Start new incidents, wake voted changes, resolve what went quiet. Called every second; cheap when idle."""
        for incident in await self._t.database.read(incidents.in_states, frozenset({IncidentState.NEW})):
            await self._begin(incident)
        for incident in await self._t.database.read(incidents.in_states, frozenset({IncidentState.ESCALATED})):
            await self._look_again(incident)
        for change in await self._t.database.read(changes.in_states, _WAITING | {ChangeState.REJECTED}):
            await self._wake(change)
        for incident in await self._t.database.read(incidents.in_states, _QUIET_STATES):
            if incident.firing_count == 0:
                await self._quiet(incident)

    async def _begin(self, incident: Incident) -> None:
        if incident.id not in self._started:
            await self._t.engine.start("incident", f"{incident.id}:1", incident.workspace, incident.id)
            self._started.add(incident.id)

    async def _look_again(self, incident: Incident) -> None:
        """An alert that joined after the last look may be another fault: look again, though a person was called."""
        run_id = f"{incident.id}:alerts:{incident.alert_count}"
        news = incident.alert_count > incident.alerts_seen > 0
        if news and incident.firing_count and run_id not in self._started:
            await self._t.engine.start("incident", run_id, incident.workspace, incident.id)
            self._started.add(run_id)

    async def _wake(self, change: Change) -> None:
        due = change.state is not ChangeState.AWAITING_APPROVAL or self._t.clock.now() >= change.approve_by
        key = f"{change.id}:{change.version}"
        if not due or key in self._started:
            return
        state = await self._t.engine.state(_run_id(change.id))
        if state is None:
            return  # planned this instant: the incident's own run parks it
        if state in _ENDED and change.state is not ChangeState.REJECTED:
            await self._t.engine.start("change", f"{change.id}:again:{change.version}", change.workspace, change.id)
        await self.woken(change)
        self._started.add(key)

    async def settle(self, context: SecurityContext, change: Change, decided: Settlement, reason: str) -> Change:
        """Settle an UNKNOWN change and go on from there. Raises as `Executor.settle` does."""
        after = await self._t.executor.settle(context, change, decided, reason)
        if after.state is not ChangeState.UNKNOWN:
            run_id = f"{after.id}:settled:{after.version}"
            await self._t.engine.start("change", run_id, after.workspace, after.id)
        return after

    async def woken(self, change: Change) -> None:
        """Let the parked run of a change go on now."""
        await self._t.engine.wake(_run_id(change.id))

    async def _quiet(self, incident: Incident) -> None:
        members = await self._t.database.read(alerts.of_incident, incident.id)
        last: datetime = max((alert.received_at for alert in members), default=incident.opened_at)
        if self._t.clock.now() < last + timedelta(seconds=self._t.settings.resolve_after_s):
            return
        own = await self._t.database.read(changes.of_incident, incident.id)
        if any(change.state in _IN_FLIGHT for change in own):
            return
        try:
            await self._t.database.write(self._settle_quiet, incident, own)
        except ConflictError:
            return  # something happened in between; the next sweep looks again

    def _settle_quiet(self, connection: sa.Connection, incident: Incident, own: list[Change]) -> None:
        for change in own:
            if change.state in _WAITING:
                why = "the signal ended before the change began"
                changes.update(
                    connection, change, state=ChangeState.OBSOLETE, ended_at=self._t.clock.now(), outcome=why
                )
        self._resolve(connection, incident.workspace, incident.id, "all alerts ended without a change by Toban")
        learn.learn(connection, incident.workspace, incident.id, self._t.clock.now())


class _GateReader:
    """Reads through the Gate for one incident."""

    def __init__(self, gate: Gate, context: SecurityContext, incident_id: str) -> None:
        self._gate = gate
        self._context = context
        self._incident_id = incident_id

    async def read(self, action: str, params: Any) -> Any:
        return await self._gate.read(self._context, action, params, subject=self._incident_id)


def _words(error: Exception) -> str:
    return error.message if isinstance(error, TobanError) else f"{type(error).__name__}: {error}"


def _run_id(change_id: str) -> str:
    return f"{change_id}:run"


def _masked(finding: Finding) -> Finding:
    return finding.model_copy(
        update={"quote": redaction.mask(finding.quote), "value": redaction.mask_tree(finding.value)}
    )
