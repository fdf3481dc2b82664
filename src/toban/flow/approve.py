"""Approve: the moment at which a parked change is looked at again, because somebody voted or the time ran out."""

import sqlalchemy as sa

from toban.governance import audit, intents
from toban.kit.clock import Clock
from toban.model.audit import AuditDraft, AuditResult
from toban.model.change import Change, ChangeState
from toban.model.timeline import Lane, Note
from toban.store import changes, timeline


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
