"""Intents: what we are about to do is durable, with its audit row, before we do it; so is what came of it.

Plain functions of a connection, each one transaction, called by the Gate alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from toban.governance import approvals, audit, killswitch, limits, policy
from toban.model import change as change_model
from toban.model.audit import AuditDraft, AuditResult
from toban.model.change import Change, ChangeState, Step, StepState
from toban.model.security import SecurityContext
from toban.store import changes, leases

_LEASE_S = 900.0
_RECENT_S = 1800.0


@dataclass(frozen=True)
class Begun:
    """The change after the intent, or the reason why there is none."""

    change: Change
    refused: str = ""


@dataclass(frozen=True)
class Moment:
    """By whom, when and under which rules a step is begun."""

    context: SecurityContext
    now: datetime
    rules: policy.Policy
    home: Path


def begin(connection: sa.Connection, change: Change, step_id: str, moment: Moment) -> Begun:
    """Check everything that can forbid the step at this moment; take the leases; write intent and audit row."""
    current = changes.get(connection, change.workspace, change.id)
    step = change_model.step_of(current, step_id)
    now = moment.now
    reason = _forbidden(connection, current, step, moment)
    if reason:
        return Begun(current, reason)
    for target in step.targets:
        until = now + timedelta(seconds=_LEASE_S)
        if leases.take(connection, str(target.ref), change.id, now, until) is None:
            return Begun(current, f"another change is in flight on {target.ref}")
    if current.state is ChangeState.APPROVED:
        current = changes.update(connection, current, state=ChangeState.DISPATCHING, dispatched_at=now)
    action_id = f"{change.id}:{step_id}:1"
    current = changes.update_step(connection, current, step_id, state=StepState.DISPATCHING, action_id=action_id)
    _audit(connection, current, step_id, (AuditResult.STARTED, f"for {moment.context.user_id}"), now)
    return Begun(current)


def _forbidden(connection: sa.Connection, change: Change, step: Step, moment: Moment) -> str:
    halt = killswitch.check(
        connection, moment.home, workspace=change.workspace, environment=change.environment, action=step.action
    )
    if halt:
        return f"halted ({halt.scope}): {halt.reason}"
    if change.state is ChangeState.ROLLING_BACK:
        return ""  # approved together with the change
    if change.state not in {ChangeState.APPROVED, ChangeState.DISPATCHING}:
        return f"{change.id} is {change.state}"
    if change.policy_version != moment.rules.version:
        return "the policy changed since this was planned"
    if change.state is ChangeState.APPROVED:
        stale = approvals.obsolete_reason(connection, change, moment.now)
        if stale:
            return stale
    verdict = limits.check(connection, change, step, moment.now)
    return "" if verdict.ok else verdict.reason


def note_second_dispatch(connection: sa.Connection, change: Change, step_id: str, now: datetime) -> Change:
    """Write down that the step is sent once more, since the probe proved it absent."""
    current = changes.get(connection, change.workspace, change.id)
    current = changes.update_step(connection, current, step_id, message="absent after the first dispatch; sent again")
    _audit(connection, current, step_id, (AuditResult.STARTED, "absent by probe, sent again"), now)
    return current


def finish(
    connection: sa.Connection, change: Change, step_id: str, state: StepState, message: str, now: datetime
) -> Change:
    """Write down what became of a step, with its audit row."""
    current = changes.get(connection, change.workspace, change.id)
    current = changes.update_step(connection, current, step_id, state=state, message=message)
    result = {
        StepState.EXECUTED: AuditResult.SUCCEEDED,
        StepState.UNKNOWN: AuditResult.UNKNOWN,
    }.get(state, AuditResult.FAILED)
    _audit(connection, current, step_id, (result, message), now)
    return current


def release(connection: sa.Connection, change: Change) -> None:
    """Give the leases of an ended change back."""
    for step in change.steps:
        for target in step.targets:
            leases.release(connection, str(target.ref), change.id)


def changed_recently(connection: sa.Connection, incident_id: str, targets: Sequence[str], now: datetime) -> bool:
    """Whether another incident's change touched one of `targets` in the last 30 minutes."""
    del incident_id
    return limits.touched_since(connection, targets, now - timedelta(seconds=_RECENT_S))


def _audit(
    connection: sa.Connection, change: Change, step_id: str, came: tuple[AuditResult, str], now: datetime
) -> None:
    step = change_model.step_of(change, step_id)
    audit.append(
        connection,
        AuditDraft(
            workspace=change.workspace,
            actor="toban",
            actor_type="service",
            operation=f"action.{step.action}",
            subject=change.id,
            result=came[0],
            reason=came[1],
            details={
                "step": step_id,
                "action_id": step.action_id,
                "targets": [str(target.ref) for target in step.targets],
                "digest": change.digest,
                "environment": change.environment,
            },
        ),
        now,
    )
