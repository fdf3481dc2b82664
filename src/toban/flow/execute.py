"""Execute: carry out an approved change step by step through the Gate, and roll it back where verification says so.

Called by the pipeline's durable workflow; every function may run again after a crash and goes on where the records say.
Errors of reading come through with `retry_after`; what a write came to is always in the change itself.
"""

from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from toban.errors import InvalidInputError, InvalidTransitionError, PermissionDeniedError, TobanError
from toban.flow import signals
from toban.governance import intents
from toban.governance.gate import Gate, Place
from toban.kit import dag
from toban.kit.clock import Clock
from toban.model.change import Change, ChangeState, Step, StepState
from toban.model.security import PrincipalType, SecurityContext
from toban.model.timeline import Lane, Note
from toban.model.verification import CheckResult
from toban.store import alerts, changes, timeline
from toban.store.database import Database

_SIGNAL_TRIES = 10


_CUT_SHORT = frozenset({ChangeState.FAILED, ChangeState.UNKNOWN})


class Settlement(StrEnum):
    """How an UNKNOWN change is settled: by probing again, or by what a person saw."""

    PROBE = "probe"
    EXECUTED = "executed"
    FAILED = "failed"


class Executor:
    """Brings changes from APPROVED to EXECUTED, FAILED, UNKNOWN or OBSOLETE, and back by rollback."""

    def __init__(self, database: Database, clock: Clock, gate: Gate) -> None:
        self._database = database
        self._clock = clock
        self._gate = gate

    async def still_wanted(self, change: Change, read: signals.Read | None) -> str:
        """Measure the signals again; empty while one is there, else why the change has lost its reason."""
        known = tuple(await self._database.read(alerts.of_incident, change.incident_id))
        for _ in range(_SIGNAL_TRIES):
            looks = [await signals.sample(read, one, known, change.created_at) for one in change.signals]
            if not looks or any(look.result is CheckResult.FAILED for look in looks):
                return ""
            if all(look.result is CheckResult.PASSED for look in looks):
                return "the signal that this change would cure is gone"
            await self._clock.sleep(2.0)
        return "the signal that this change would cure cannot be measured"

    async def execute(self, context: SecurityContext, change: Change, read: signals.Read | None) -> Change:
        """Run the steps in order. A step after one that did not succeed is SKIPPED."""
        if change.state is ChangeState.APPROVED:
            reason = await self.still_wanted(change, read)
            if reason:
                return await self._stop(change, ChangeState.OBSOLETE, reason)
        for step_id in dag.order({step.id: step.depends_on for step in change.steps}):
            dispatched = await self._gate.dispatch(context, change, step_id)
            change = dispatched.change
            if dispatched.stopped:
                return await self._stopped(change, dispatched.stopped)
            step = next(one for one in change.steps if one.id == step_id)
            await self._tell_step(change, step)
            if step.state is not StepState.EXECUTED:
                return await self._database.write(self._conclude, change)
            if not step.left:
                change = await self._gate.note_left(change, step_id)
        return await self._database.write(self._conclude, change)

    async def _stopped(self, change: Change, reason: str) -> Change:
        if any(step.state is StepState.EXECUTED for step in change.steps):
            return await self._stop(change, ChangeState.FAILED, reason)
        if change.state is ChangeState.DISPATCHING:
            return await self._stop(change, ChangeState.FAILED, reason)
        state = ChangeState.HALTED if reason.startswith("halted") else ChangeState.OBSOLETE
        return await self._stop(change, state, reason)

    async def _stop(self, change: Change, state: ChangeState, reason: str) -> Change:
        def stop(connection: sa.Connection) -> Change:
            ended = {"ended_at": self._clock.now()} if state is not ChangeState.FAILED else {}
            after = changes.update(connection, change, state=state, outcome=reason, **ended)
            intents.release(connection, after)
            self._note(connection, after, f"change.{state}", f"{change.id} {state}: {reason}", {"reason": reason})
            return after

        return await self._database.write(stop)

    def _conclude(self, connection: sa.Connection, change: Change) -> Change:
        change = changes.get(connection, change.workspace, change.id)
        states = {step.state for step in (*change.steps, *change.rollback_steps)}
        if StepState.UNKNOWN in states:
            state = ChangeState.UNKNOWN
        elif StepState.FAILED in states:
            state = ChangeState.FAILED
        elif change.rollback_steps:  # whether it is undone is settled; whether all is well, a person decides
            state = ChangeState.ESCALATED
        else:
            state = ChangeState.EXECUTED
        if change.state is not state:
            words = "; ".join(step.message for step in (*change.steps, *change.rollback_steps) if step.message)
            ended = {"ended_at": self._clock.now()} if state is ChangeState.ESCALATED else {}
            steps = tuple(_skipped(step) if state in _CUT_SHORT else step for step in change.steps)
            change = changes.update(connection, change, state=state, outcome=words, steps=steps, **ended)
            self._note(connection, change, f"change.{state}", f"{change.id} {state}: {words}", {"reason": words})
        return change

    async def settle(self, context: SecurityContext, change: Change, decided: Settlement, reason: str) -> Change:
        """Leave UNKNOWN: by the probe, or by the word of a person who looked. Raises when it is not UNKNOWN.

        The probe may still not be able to tell; then the change stays UNKNOWN.
        """
        context.demand("changes.cancel")
        if context.principal is not PrincipalType.HUMAN:
            raise PermissionDeniedError("only a person settles what nobody could prove")
        if change.state is not ChangeState.UNKNOWN:
            raise InvalidTransitionError(f"{change.id} is {change.state}; there is nothing to settle")
        if decided is not Settlement.PROBE and not reason:
            raise InvalidInputError("say what you saw: a person's word on an UNKNOWN change needs a reason")
        for step in (*change.steps, *change.rollback_steps):
            if step.state is not StepState.UNKNOWN:
                continue
            if decided is Settlement.PROBE:
                change = (await self._gate.settle(change, step.id)).change
            else:
                state = StepState.EXECUTED if decided is Settlement.EXECUTED else StepState.FAILED
                words = f"{context.user_id} looked: {decided} ({reason})"
                change = await self._database.write(intents.finish, change, step.id, state, words, self._clock.now())
        note = Note(
            at=self._clock.now(),
            lane=Lane.PEOPLE,
            kind="change.settled",
            text=f"{context.user_id} settled {change.id} by {decided}" + (f": {reason}" if reason else ""),
            actor=context.user_id,
            facts={"change": change.id, "decided": decided, "reason": reason},
        )
        await self._database.write(timeline.append, change.workspace, change.incident_id, note)
        return await self._database.write(self._conclude, change)

    async def roll_back(self, context: SecurityContext, change: Change) -> Change:
        """Undo the executed steps once, newest first, only where the objects still are as the change left them."""
        if not change.rollback_steps:
            prepared, reason = await self._prepare_rollback(context, change)
            if reason:
                return await self._escalate(change, f"not rolled back: {reason}")
            change = await self._database.write(changes.update, change, rollback_steps=prepared)
        for step in change.rollback_steps:
            dispatched = await self._gate.dispatch(context, change, step.id)
            change = dispatched.change
            done = next(one for one in change.rollback_steps if one.id == step.id)
            await self._tell_step(change, done)
            if dispatched.stopped or done.state is not StepState.EXECUTED:
                why = dispatched.stopped or done.message
                if done.state is StepState.UNKNOWN:
                    return await self._stop(change, ChangeState.UNKNOWN, f"the rollback's outcome is unknown: {why}")
                return await self._escalate(change, f"the rollback failed: {why}")
        return change

    async def _prepare_rollback(self, context: SecurityContext, change: Change) -> tuple[tuple[Step, ...], str]:
        prepared: list[Step] = []
        place = Place(change.environment, change.incident_id)
        for step in reversed([one for one in change.steps if one.state is StepState.EXECUTED]):
            if step.rollback is None:
                return (), f"{step.action} has no way back"
            now = await self._gate.current(step)
            if not now or [one.spec_hash for one in now] != [one.spec_hash for one in step.left]:
                return (), f"{step.targets[0].ref} is not as the change left it"
            named = {"id": f"rollback_{step.id}", "title": f"Undo: {step.title}"}
            try:
                prepared.append(await self._gate.prepare(context, step.rollback, place, named))
            except TobanError as error:
                return (), error.message
        return tuple(prepared), ""

    async def _escalate(self, change: Change, reason: str) -> Change:
        return await self._stop(change, ChangeState.ESCALATED, reason)

    async def _tell_step(self, change: Change, step: Step) -> None:
        facts = {
            "change": change.id,
            "step": step.id,
            "action": step.action,
            "state": step.state,
            "reason": step.message,
        }
        note = Note(
            at=self._clock.now(), lane=Lane.ACTIONS, kind=f"step.{step.state}",
            text=f"{change.id} {step.title}: {step.state}" + (f" ({step.message})" if step.message else ""),
            facts=facts, once=f"step:{change.id}:{step.id}:{step.state}",
        )  # fmt: skip
        await self._database.write(timeline.append, change.workspace, change.incident_id, note)

    def _note(self, connection: sa.Connection, change: Change, kind: str, words: str, facts: dict[str, Any]) -> None:
        note = Note(
            at=self._clock.now(), lane=Lane.ACTIONS, kind=kind, text=words,
            facts=facts | {"change": change.id}, once=f"{kind}:{change.id}",
        )  # fmt: skip
        timeline.append(connection, change.workspace, change.incident_id, note)


def _skipped(step: Step) -> Step:
    """A step that was not begun when one before it did not succeed."""
    if step.state is not StepState.PENDING:
        return step
    return step.model_copy(update={"state": StepState.SKIPPED, "message": "a step before it did not succeed"})
