"""Approve: people's votes on a change, and the moment at which a parked change is looked at again."""

import sqlalchemy as sa

from toban.governance import approvals, audit, intents
from toban.governance.policy import Policy
from toban.kit.clock import Clock
from toban.model.approval import Approval, Decision
from toban.model.audit import AuditDraft, AuditResult
from toban.model.change import Change, ChangeState
from toban.model.security import SecurityContext
from toban.model.timeline import Lane, Note
from toban.store import changes, timeline


def vote(
    connection: sa.Connection, context: SecurityContext, change_id: str, given: Approval, rules: Policy, clock: Clock
) -> Change:
    """Store a person's vote and tell it on the timeline. Raises as `governance.approvals.vote` does."""
    now = clock.now()
    change = changes.get(connection, context.workspace, change_id)
    rule = rules.rule(change.risk, change.environment)
    after = approvals.vote(connection, context, change, given, rule, now)
    votes = changes.votes(connection, change_id)
    agreed = sum(one.decision is Decision.APPROVE for one in votes)
    done = "approved" if given.decision is Decision.APPROVE else "rejected"
    text = f"{context.user_id} {done} {change_id}" + (f": {given.reason}" if given.reason else "")
    facts = {
        "change": change_id,
        "voter": context.user_id,
        "decision": given.decision,
        "reason": given.reason,
        "approvals": agreed,
        "needed": change.approvals_needed,
        "state": after.state,
    }
    note = Note(at=now, lane=Lane.PEOPLE, kind=f"change.{done}", text=text, actor=context.user_id, facts=facts)
    timeline.append(connection, change.workspace, change.incident_id, note)
    if after.state is ChangeState.REJECTED:
        intents.release(connection, after)
    return after


def settle(connection: sa.Connection, change: Change, clock: Clock) -> Change:
    """The change as it stands now: one that still waits after its deadline expires."""
    change = changes.get(connection, change.workspace, change.id)
    now = clock.now()
    if change.state is not ChangeState.AWAITING_APPROVAL or now < change.approve_by:
        return change
    change = changes.update(
        connection, change, state=ChangeState.EXPIRED, ended_at=now, outcome="nobody approved it in time"
    )
    intents.release(connection, change)
    text = f"{change.id} expired: not approved by {change.approve_by:%Y-%m-%d %H:%M} UTC"
    note = Note(at=now, lane=Lane.PEOPLE, kind="change.expired", text=text, facts={"change": change.id})
    timeline.append(connection, change.workspace, change.incident_id, note)
    audit.append(
        connection,
        AuditDraft(
            workspace=change.workspace,
            actor="toban",
            actor_type="service",
            operation="change.expire",
            subject=change.id,
            result=AuditResult.DENIED,
            reason=change.outcome,
        ),
        now,
    )
    return change
