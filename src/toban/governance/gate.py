"""The Gate: the only place that calls actions. Chat, flow, runbooks and API all go through it.

Reading: permission, call, audit. Writing comes in two halves: `prepare` works out one step with no effect (permission,
the target system's own access review, targets, dry-run, risk), and `dispatch` carries out one approved step: it looks
again, writes the intent and its audit row durably, does it once, and reads back what it cannot know. What cannot be
proved is UNKNOWN.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from toban.errors import (
    InvalidInputError,
    OutcomeUnknownError,
    PermissionDeniedError,
    TobanError,
    UpstreamConflictError,
    UpstreamError,
    UpstreamRefusedError,
)
from toban.governance import audit, intents, policy, redaction
from toban.governance.catalogue import Catalogue, parameters
from toban.kit import canonical
from toban.kit.clock import Clock
from toban.model import change as change_model
from toban.model.action import ActionCall, Outcome, Probe, ProbeResult, Target
from toban.model.audit import AuditDraft, AuditResult
from toban.model.change import Change, Step, StepState
from toban.model.environment import Environment
from toban.model.record import JsonValue
from toban.model.security import SecurityContext
from toban.model.verification import Check, CheckResult
from toban.plugins.action import Parameters, ReadAction, WriteAction, gate_open
from toban.store import changes
from toban.store.database import Database
from toban.store.groupcommit import GroupCommit

_READ_TIMEOUT_S = 30.0
_WRITE_TIMEOUT_S = 30.0
_PROBE_PAUSES_S = (0.0, 0.5, 1.0, 2.0)
_WRITE_PAUSES_S: tuple[float | None, ...] = (0.5, 1.0, 2.0, None)
_log = structlog.get_logger()


@dataclass(frozen=True)
class Place:
    """Where and for whom a step is prepared."""

    environment: Environment
    incident_id: str = ""


@dataclass(frozen=True)
class Dispatched:
    """What became of a step: the change as stored now, and why it stopped if it did."""

    change: Change
    stopped: str = ""


class Gate:
    """Calls actions for those who may, and writes down that it did."""

    def __init__(
        self, catalogue: Catalogue, database: Database, clock: Clock, *, rules: policy.Policy, home: Path
    ) -> None:
        self.catalogue = catalogue
        self.rules = rules
        self._database = database
        self._clock = clock
        self._home = home
        self._reads: GroupCommit[AuditDraft] = GroupCommit(database, self._append_all)

    async def close(self) -> None:
        """Write what is left of the audit of reads."""
        await self._reads.close()

    # --- reading -------------------------------------------------------------------------------------------------

    async def read(
        self, context: SecurityContext, name: str, given: Mapping[str, Any], *, subject: str = ""
    ) -> JsonValue:
        """What a reading action answers, once its audit event is durable.

        Raises UnknownActionError, InvalidInputError, PermissionDeniedError, StorageError (no audit, no answer), and
        whatever the target system's failure is.
        """
        action = self.catalogue.reading(name)
        params = parameters(action, given)
        needed = f"{action.spec.permission}:{action.scope(params)}"
        draft = self._draft(context, f"action.{name}", subject or action.scope(params), {"params": dict(given)})
        if not context.may(needed):
            await self._reads.submit(draft.model_copy(update={"result": AuditResult.DENIED, "reason": needed}))
            raise PermissionDeniedError(f"{name} needs the permission {needed}")
        try:
            answer = await self._call_read(action, params)
        except TobanError as error:
            failed = {"result": AuditResult.FAILED, "reason": redaction.mask(error.message)[:500]}
            await self._reads.submit(draft.model_copy(update=failed))
            raise
        await self._reads.submit(draft)
        return answer

    async def _call_read(self, action: ReadAction[Any], params: Parameters) -> JsonValue:
        with gate_open():
            try:
                async with asyncio.timeout(_READ_TIMEOUT_S):
                    return await action.read(params)
            except TimeoutError as error:
                raise UpstreamError(f"{action.spec.name} did not answer within {_READ_TIMEOUT_S:.0f} s") from error

    def _append_all(self, connection: Any, drafts: Any) -> None:
        for draft in drafts:
            audit.append(connection, draft, self._clock.now())

    # --- preparing -----------------------------------------------------------------------------------------------

    async def prepare(self, context: SecurityContext, call: ActionCall, place: Place, step: Mapping[str, Any]) -> Step:
        """One step worked out in full, without effect; `step` gives its `id`, `title` and `depends_on`.

        Raises PermissionDeniedError when the requester or Toban itself may not, InvalidInputError for wrong parameters
        and empty selections, and whatever the target system's failure is.
        """
        action = self.catalogue.writing(call.action)
        params = parameters(action, call.params)
        needed = f"{action.spec.permission}:{action.scope(params)}"
        if not context.may(needed) or place.environment not in context.environments:
            raise PermissionDeniedError(f"{call.action} in {place.environment} needs the permission {needed}")
        with gate_open():
            async with asyncio.timeout(_READ_TIMEOUT_S):
                allowed, why = await action.permitted(params)
                if not allowed:
                    raise PermissionDeniedError(f"the target system does not let Toban do {call.action}: {why}")
                targets = await action.targets(params)
                if not targets:
                    raise InvalidInputError(f"{call.action} selects nothing")
                dry = await action.dry_run(params, targets)
                back = await action.undo(params, targets)
        recently = await self._database.read(
            intents.changed_recently, place.incident_id, [str(one.ref) for one in targets], self._clock.now()
        )
        risk, reasons = policy.assess(
            action.spec.risk,
            targets=len(targets),
            touched=dry.touched_replicas,
            total=dry.total_replicas,
            namespace=targets[0].ref.namespace,
            dry_run_possible=dry.possible,
            changed_recently=recently,
            last_replica_to_zero=False,
            environment=place.environment,
            protected=self.rules.protected_namespaces,
        )
        return Step(
            id=str(step["id"]),
            title=str(step["title"]),
            action=call.action,
            action_version=action.spec.version,
            handler_digest=action.handler_digest(),
            permission=needed,
            params=params.model_dump(mode="json"),
            targets=targets,
            diff=redaction.mask(dry.diff),
            diff_digest=canonical.digest(dry.diff),
            base_risk=action.spec.risk,
            risk=risk,
            risk_reasons=tuple(reasons) + dry.warnings,
            touched_replicas=dry.touched_replicas,
            total_replicas=dry.total_replicas,
            rollback=back,
            depends_on=tuple(step.get("depends_on", ())),
        )

    # --- carrying out --------------------------------------------------------------------------------------------

    async def dispatch(self, context: SecurityContext, change: Change, step_id: str) -> Dispatched:
        """Carry out one step of an approved change, once, also over crashes; see the module's docstring."""
        step = change_model.step_of(change, step_id)
        action = self.catalogue.writing(step.action)
        params = parameters(action, step.params)
        if step.state is StepState.PENDING:
            fresh, reason = await self._look_again(context, action, params, step)
            if reason:
                return Dispatched(change, reason)
            begun = await self._database.write(
                intents.begin, change, step_id, intents.Moment(context, self._clock.now(), self.rules, self._home)
            )
            if begun.refused:
                return Dispatched(begun.change, begun.refused)
            return await self._effect(context, begun.change, step_id, fresh)
        if step.state is StepState.DISPATCHING:
            return await self._after_crash(context, change, step_id)
        return Dispatched(change)

    async def _look_again(
        self, context: SecurityContext, action: WriteAction[Any], params: Parameters, step: Step
    ) -> tuple[tuple[Target, ...], str]:
        if action.spec.version != step.action_version or action.handler_digest() != step.handler_digest:
            return (), f"the action {step.action} is not the one that was approved"
        if not context.may(step.permission):
            return (), f"{context.user_id} does not hold {step.permission} any more"
        with gate_open():
            async with asyncio.timeout(_READ_TIMEOUT_S):
                allowed, why = await action.permitted(params)
                fresh = await action.targets(params)
        if not allowed:
            return (), f"the target system does not let Toban do this any more: {why}"
        return fresh, _moved(step.targets, fresh)

    async def _after_crash(self, context: SecurityContext, change: Change, step_id: str) -> Dispatched:
        step = change_model.step_of(change, step_id)
        action = self.catalogue.writing(step.action)
        params = parameters(action, step.params)
        probe = await self._probe(action, params, step)
        if probe.result is ProbeResult.PRESENT:
            return await self._record(change, step_id, StepState.EXECUTED, f"read back: {probe.detail}")
        if probe.result is ProbeResult.UNKNOWN:
            return await self._record(change, step_id, StepState.UNKNOWN, probe.detail)
        if step.message:  # it was sent twice already and is not there: never blindly again
            return await self._record(change, step_id, StepState.UNKNOWN, "sent twice and not found by the probe")
        fresh, reason = await self._look_again(context, action, params, step)
        if reason:
            return await self._record(change, step_id, StepState.FAILED, reason)
        again = await self._database.write(intents.note_second_dispatch, change, step_id, self._clock.now())
        return await self._effect(context, again, step_id, fresh)

    async def _effect(
        self, context: SecurityContext, change: Change, step_id: str, fresh: tuple[Target, ...]
    ) -> Dispatched:
        step = change_model.step_of(change, step_id)
        action = self.catalogue.writing(step.action)
        params = parameters(action, step.params)
        try:
            outcome = await self._call_write(action, params, fresh, step.action_id)
        except OutcomeUnknownError as error:
            _log.warning("write without answer", change=change.id, step=step_id, problem=error.message)
            return await self._after_crash(context, change, step_id)
        except UpstreamConflictError as error:
            probe = await self._probe(action, params, step)
            if probe.result is ProbeResult.PRESENT:
                return await self._record(change, step_id, StepState.EXECUTED, f"read back: {probe.detail}")
            return await self._record(change, step_id, StepState.FAILED, error.message)
        except (UpstreamRefusedError, UpstreamError, InvalidInputError) as error:
            return await self._record(change, step_id, StepState.FAILED, error.message)
        return await self._record(change, step_id, StepState.EXECUTED, outcome.message)

    async def note_left(self, change: Change, step_id: str) -> Change:
        """Write down the targets of an executed step as they are now, for a rollback to compare with."""
        left = await self.current(change_model.step_of(change, step_id))
        return await self._database.write(changes.update_step, change, step_id, left=left)

    async def current(self, step: Step) -> tuple[Target, ...]:
        """The targets of a planned step as they are now; () where they cannot be read."""
        action = self.catalogue.writing(step.action)
        with gate_open():
            try:
                async with asyncio.timeout(_READ_TIMEOUT_S):
                    return await action.targets(parameters(action, step.params))
            except (TimeoutError, TobanError):
                return ()

    async def _call_write(
        self, action: WriteAction[Any], params: Parameters, fresh: tuple[Target, ...], action_id: str
    ) -> Outcome:
        for pause in _WRITE_PAUSES_S:
            with gate_open():
                try:
                    async with asyncio.timeout(_WRITE_TIMEOUT_S):
                        return await action.run(params, fresh, action_id)
                except TimeoutError as error:
                    raise OutcomeUnknownError(f"no answer within {_WRITE_TIMEOUT_S:.0f} s") from error
                except UpstreamError as error:
                    # an error that may be tried again says that nothing was written
                    if error.retry_after is None or pause is None:
                        raise
            await self._clock.sleep(pause)
        raise AssertionError("unreachable")

    async def _probe(self, action: WriteAction[Any], params: Parameters, step: Step) -> Probe:
        probe = Probe(result=ProbeResult.UNKNOWN, detail="not probed")
        for pause in _PROBE_PAUSES_S:
            await self._clock.sleep(pause)
            with gate_open():
                try:
                    async with asyncio.timeout(_READ_TIMEOUT_S):
                        probe = await action.probe(params, step.targets, step.action_id)
                except (TimeoutError, TobanError) as error:
                    probe = Probe(result=ProbeResult.UNKNOWN, detail=f"the probe cannot read: {error}")
            if probe.result is not ProbeResult.UNKNOWN:
                break
        return probe

    async def _record(self, change: Change, step_id: str, state: StepState, message: str) -> Dispatched:
        stored = await self._database.write(
            intents.finish, change, step_id, state, redaction.mask(message)[:1000], self._clock.now()
        )
        return Dispatched(stored)

    # --- looking back --------------------------------------------------------------------------------------------

    async def settle(self, change: Change, step_id: str) -> Dispatched:
        """Probe an UNKNOWN step once more; it stays UNKNOWN unless the probe can tell."""
        step = change_model.step_of(change, step_id)
        action = self.catalogue.writing(step.action)
        probe = await self._probe(action, parameters(action, step.params), step)
        if probe.result is ProbeResult.UNKNOWN:
            return Dispatched(change, probe.detail)
        state = StepState.EXECUTED if probe.result is ProbeResult.PRESENT else StepState.FAILED
        return await self._record(change, step_id, state, probe.detail)

    async def check(self, step: Step) -> Check:
        """One sample of the state of a step's objects. A failing read is INCONCLUSIVE, never success."""
        action = self.catalogue.writing(step.action)
        with gate_open():
            try:
                async with asyncio.timeout(_READ_TIMEOUT_S):
                    return await action.check(parameters(action, step.params), step.targets)
            except (TimeoutError, TobanError) as error:
                detail = getattr(error, "message", "") or "no answer in time"
                return Check(name=step.action, kind="object", query="", result=CheckResult.INCONCLUSIVE, detail=detail)

    def _draft(self, context: SecurityContext, operation: str, subject: str, details: dict[str, Any]) -> AuditDraft:
        return AuditDraft(
            workspace=context.workspace,
            actor=context.user_id,
            actor_type=context.principal,
            operation=operation,
            subject=subject,
            result=AuditResult.ALLOWED,
            request_id=context.request_id,
            session_id=context.session_id,
            details=redaction.mask_tree(details),
        )


def _moved(planned: tuple[Target, ...], fresh: tuple[Target, ...]) -> str:
    """Why the targets are not those that were approved; empty if they are."""
    before = {str(one.ref): one for one in planned}
    after = {str(one.ref): one for one in fresh}
    if before.keys() != after.keys():
        return f"the targets were {', '.join(before)} and are {', '.join(after) or 'none'}"
    for name, old in before.items():
        new = after[name]
        if (old.uid, old.exists) != (new.uid, new.exists):
            return f"{name} is another object than the one that was approved"
        if old.spec_hash != new.spec_hash:
            return f"{name} was changed by somebody else since it was planned"
    return ""
