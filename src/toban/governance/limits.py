"""How much may happen in how much time, and how much of a workload at once.

The Gate asks before each step, in the transaction of the intent. `Counts` are what the store says, `judge` is pure.
A change counts from its dispatch; its later steps are not refused for rates, or half of it would be left undone. Freeze
windows are not here.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from pydantic import Field

from toban.errors import PermissionDeniedError
from toban.governance import audit
from toban.model.audit import AuditDraft, AuditResult
from toban.model.change import BEFORE_DISPATCH, Change, ChangeState, Step, StepState
from toban.model.environment import Environment
from toban.model.record import Record
from toban.model.security import PrincipalType, SecurityContext
from toban.store import audit as audit_rows
from toban.store import leases, rows, schema

_C = schema.change
_WAITED_AT_MOST = timedelta(hours=7)  # 4 h for approvals, 10 min to start, and a clock that is wrong by 2 h
_NEVER_SENT = BEFORE_DISPATCH | {ChangeState.REJECTED, ChangeState.EXPIRED}
_RESET = "breaker.reset"
_ROLLING_KINDS = frozenset({"Deployment", "StatefulSet", "DaemonSet"})
_FAILED = frozenset({ChangeState.FAILED, ChangeState.ROLLING_BACK, ChangeState.ROLLED_BACK, ChangeState.ESCALATED})
_SENT = frozenset({StepState.DISPATCHING, StepState.EXECUTED, StepState.FAILED, StepState.UNKNOWN})


class Limits(Record):
    """The limits; a configuration may lower them, not raise them."""

    per_workspace: int = Field(3, ge=1, le=3, description="changes in 10 minutes")
    per_environment: int = Field(10, ge=1, le=10, description="changes in an hour")
    same_action: int = Field(2, ge=1, le=2, description="the same action on the same target in 30 minutes")
    share_percent: int = Field(25, ge=1, le=25, description="share of a workload at once")
    failures_in_a_row: int = Field(3, ge=1, le=3, description="failed changes that open an environment's breaker")


class Counts(Record):
    """What happened lately, without the change that is asked about."""

    held_by: str | None = None
    in_workspace: int = 0
    in_environment: int = 0
    same_action: int = 0
    failures: int = 0


class LimitVerdict(Record):
    """Whether a step may start, and if not, which limit says so."""

    ok: bool
    reason: str = ""


def check(
    connection: sa.Connection, change: Change, step: Step, now: datetime, *, limits: Limits | None = None
) -> LimitVerdict:
    """Whether a step of `change` may start now. A rollback's step only needs its target to be free."""
    known = limits or Limits()
    counts = _counts(connection, change, step, now)
    if any(one.id == step.id for one in change.rollback_steps):
        return judge(Counts(held_by=counts.held_by), known, starts=False)
    verdict = judge(counts, known, starts=change.dispatched_at is None)
    if not verdict.ok:
        return verdict
    kinds = {target.ref.kind for target in step.targets}
    return share(step.touched_replicas, step.total_replicas, rolling=kinds <= _ROLLING_KINDS, limits=known)


def judge(counts: Counts, limits: Limits, *, starts: bool) -> LimitVerdict:
    """The verdict on counts; `starts` is False for the later steps of a change that is under way."""
    refusals = (
        (counts.held_by is not None, f"{counts.held_by} is in flight on the same target"),
        (
            counts.same_action >= limits.same_action,
            f"the same action ran on the same target {counts.same_action} times in 30 minutes",
        ),
        (
            starts and counts.failures >= limits.failures_in_a_row,
            f"the last {counts.failures} changes in this environment failed; a person must reset its breaker",
        ),
        (
            starts and counts.in_workspace >= limits.per_workspace,
            f"{counts.in_workspace} changes started in this workspace in the last 10 minutes",
        ),
        (
            starts and counts.in_environment >= limits.per_environment,
            f"{counts.in_environment} changes started in this environment in the last hour",
        ),
    )
    reason = next((told for holds, told in refusals if holds), "")
    return LimitVerdict(ok=not reason, reason=reason)


def share(
    touched: int, total: int, *, rolling: bool, ready_left: int | None = None, limits: Limits | None = None
) -> LimitVerdict:
    """Whether so many replicas may be touched at once: a quarter, one always, with a ready one left if that is known.

    A workload that rolls by its own strategy does so in batches and may.
    """
    if rolling or touched == 0:
        return LimitVerdict(ok=True)
    at_once = max(1, total * (limits or Limits()).share_percent // 100)
    if touched > at_once:
        return LimitVerdict(ok=False, reason=f"it touches {touched} of {total} replicas at once; {at_once} at most")
    if ready_left is not None and ready_left < 1:
        return LimitVerdict(ok=False, reason="no ready replica would be left")
    return LimitVerdict(ok=True)


# --- counting --------------------------------------------------------------------------------------------------------


def _counts(connection: sa.Connection, change: Change, step: Step, now: datetime) -> Counts:
    keys = {leases.key_of(str(target.ref)) for target in step.targets}
    holders = [leases.holder(connection, key, now) for key in sorted(keys)]
    recent = [one for one in _dispatched(connection, now - timedelta(hours=1)) if one.id != change.id]
    own = [one for one in recent if one.workspace == change.workspace]
    half_an_hour = now - timedelta(minutes=30)
    return Counts(
        held_by=next((holder for holder in holders if holder not in {None, change.id}), None),
        in_workspace=sum(_since(one, now - timedelta(minutes=10)) for one in own),
        in_environment=sum(one.environment is change.environment for one in own),
        same_action=sum(_has(one, keys, step.action) for one in recent if _since(one, half_an_hour)),
        failures=failures_in_a_row(connection, change.workspace, change.environment),
    )


def _dispatched(connection: sa.Connection, since: datetime) -> list[Change]:
    """Changes of all workspaces that were dispatched after `since`."""
    waited = rows.time_text(since - _WAITED_AT_MOST)
    query = sa.select(_C.c.record).where(_C.c.created_at >= waited, _C.c.state.not_in(sorted(_NEVER_SENT)))
    found = connection.execute(query).scalars()
    return [one for one in (rows.record_of(Change, record) for record in found) if _since(one, since)]


def _since(change: Change, when: datetime) -> bool:
    return change.dispatched_at is not None and change.dispatched_at > when


def _has(change: Change, keys: Collection[str], action: str | None = None) -> bool:
    return any(
        leases.key_of(str(target.ref)) in keys
        for step in (*change.steps, *change.rollback_steps)
        if step.state in _SENT and action in {None, step.action}
        for target in step.targets
    )


def touched_since(connection: sa.Connection, targets: Sequence[str], since: datetime) -> bool:
    """Whether a change touched one of `targets` (as text) after `since`."""
    keys = {leases.key_of(target) for target in targets}
    return any(_has(change, keys) for change in _dispatched(connection, since))


# --- the breaker -----------------------------------------------------------------------------------------------------


def failures_in_a_row(connection: sa.Connection, workspace: str, environment: Environment) -> int:
    """How many of an environment's latest finished changes failed without a success since, or since a reset."""
    finished = sorted([ChangeState.SUCCEEDED, *_FAILED])
    query = (
        sa.select(_C.c.record)
        .where(_C.c.workspace == workspace, _C.c.environment == environment, _C.c.state.in_(finished))
        .order_by(_C.c.created_at.desc(), _C.c.id.desc())
        .limit(20)
    )
    latest = [rows.record_of(Change, record) for record in connection.execute(query).scalars()]
    reset = audit_rows.last_at(
        connection, audit_rows.AuditQuery(workspace, subject=f"environment:{environment}", operation=_RESET)
    )
    count = 0
    for change in sorted(latest, key=_when, reverse=True):
        if change.state is ChangeState.SUCCEEDED or (reset is not None and _when(change) <= reset):
            break
        count += 1
    return count


def _when(change: Change) -> datetime:
    return change.ended_at or change.dispatched_at or change.created_at


def reset_breaker(
    connection: sa.Connection, by: SecurityContext, environment: Environment, *, reason: str, now: datetime
) -> None:
    """Close an environment's breaker: a person's decision, which is its own audit event and nothing else."""
    if by.principal is not PrincipalType.HUMAN or not by.may("halts.release"):
        raise PermissionDeniedError("resetting a breaker takes a person with the permission halts.release")
    draft = AuditDraft(
        workspace=by.workspace,
        actor=by.user_id,
        actor_type=by.principal,
        operation=_RESET,
        subject=f"environment:{environment}",
        result=AuditResult.SUCCEEDED,
        reason=reason,
        request_id=by.request_id,
        session_id=by.session_id,
    )
    audit.append(connection, draft, now)
