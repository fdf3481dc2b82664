"""Approvals: who may vote on a change, what a vote does, and whether the votes still count when it is dispatched.

What is approved is a digest. Voters are distinct people, not the requester nor anyone in the delegation chain. One
rejection ends it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa

from toban.errors import ConflictError, InvalidTransitionError, PermissionDeniedError, RefusedError
from toban.governance import access, audit
from toban.governance.policy import Rule
from toban.governance.roles import permissions_of
from toban.model import change as change_model
from toban.model.approval import Approval, Decision
from toban.model.audit import AuditDraft, AuditResult
from toban.model.change import Change, ChangeState
from toban.model.security import AuthLevel, PrincipalType, SecurityContext, allows
from toban.store import access as access_store
from toban.store import changes

_REASON_LIMIT = 2_000
FRESH_FOR = timedelta(minutes=15)
"""A sign-in older than this is not fresh."""


def permission(change: Change) -> str:
    """What a voter must hold."""
    return f"approvals.vote:{change.environment}"


def why_not(
    context: SecurityContext, change: Change, votes: Sequence[Approval], rule: Rule, now: datetime
) -> str | None:
    """Why this person may not vote on this change now; None if they may. `rule` is the policy's for its risk."""
    stale = context.authenticated_at is None or now - context.authenticated_at > FRESH_FOR
    reasons = (
        (context.principal is not PrincipalType.HUMAN, "only people vote; this is a service or an agent"),
        (
            change.state is not ChangeState.AWAITING_APPROVAL,
            f"{change.id} is {change.state}; there is nothing to vote on",
        ),
        (now >= change.approve_by, f"{change.id} had to be approved by {change.approve_by:%Y-%m-%d %H:%M:%S} UTC"),
        (context.user_id == change.requester, "you asked for this change; somebody else must approve it"),
        (
            context.user_id in change.delegation,
            "this change was asked for on your behalf; somebody else must approve it",
        ),
        (any(vote.voter == context.user_id for vote in votes), "you have voted already"),
        (change.environment not in context.environments, f"you do not work in {change.environment}"),
        (not context.may(permission(change)), f"you need the permission {permission(change)}"),
        (rule.fresh_sign_in and stale, f"{change.risk} in {change.environment} needs a fresh sign-in; sign in again"),
    )
    return next((reason for holds, reason in reasons if holds), None)


def vote(
    connection: sa.Connection, context: SecurityContext, change: Change, given: Approval, rule: Rule, now: datetime
) -> Change:
    """Store a vote and what follows from it, with its audit event, in the caller's transaction.

    Raises PermissionDeniedError when the person may not vote, ConflictError when they voted on another digest than the
    change has, InvalidTransitionError when it is too late.
    """
    votes = changes.votes(connection, change.id)
    reason = why_not(context, change, votes, rule, now)
    if reason is not None:
        if change.state is not ChangeState.AWAITING_APPROVAL or now >= change.approve_by:
            raise InvalidTransitionError(reason)
        if any(one.voter == context.user_id for one in votes):
            raise ConflictError(reason)
        raise PermissionDeniedError(reason)
    if given.digest != change.digest or change_model.digest(change) != change.digest:
        raise ConflictError(f"{change.id} is not what you looked at; look at it again")
    if len(given.reason) > _REASON_LIMIT:
        raise RefusedError(f"the reason is longer than {_REASON_LIMIT} characters")
    changes.add_vote(connection, given)
    audit.append(
        connection,
        AuditDraft(
            workspace=change.workspace,
            actor=context.user_id,
            actor_type=context.principal,
            operation=f"change.{given.decision}",
            subject=change.id,
            result=AuditResult.ALLOWED,
            reason=given.reason,
            request_id=context.request_id,
            session_id=context.session_id,
            details={"digest": change.digest, "environment": change.environment, "risk": change.risk},
        ),
        now,
    )
    if given.decision is Decision.REJECT:
        return changes.update(connection, change, state=ChangeState.REJECTED, ended_at=now, outcome=given.reason)
    approved = sum(one.decision is Decision.APPROVE for one in votes) + 1
    if approved < change.approvals_needed:
        return changes.update(connection, change)
    return changes.update(connection, change, state=ChangeState.APPROVED, approved_at=now)


def obsolete_reason(connection: sa.Connection, change: Change, now: datetime) -> str | None:
    """Why an approved change may not start any more; None if it may.

    The digest is worked out anew from the stored change: whoever altered it after the vote has made it obsolete. A vote
    counts only while its voter is still entitled to it.
    """
    votes = [vote for vote in changes.votes(connection, change.id) if _still_entitled(connection, change, vote)]
    if change_model.digest(change) != change.digest:
        return "the stored change is not what was approved"
    agreeing = {
        vote.voter
        for vote in votes
        if vote.decision is Decision.APPROVE
        and vote.digest == change.digest
        and vote.voter != change.requester
        and vote.voter not in change.delegation
    }
    if len(agreeing) < change.approvals_needed:
        return f"{change.approvals_needed} approvals are needed, {len(agreeing)} count"
    if change.approved_at and now > change.approved_at + timedelta(seconds=change.execute_within_s):
        return f"it had to start within {change.execute_within_s} s of its approval"
    return None


def _still_entitled(connection: sa.Connection, change: Change, vote: Approval) -> bool:
    if vote.auth_level is AuthLevel.LOCAL:
        return vote.voter == access.LOCAL_USER and not access.is_sign_in_required(connection)
    account = access_store.account(connection, change.workspace, vote.voter)
    return (
        account is not None
        and account.enabled
        and account.principal is PrincipalType.HUMAN
        and allows(permissions_of(account.roles), permission(change))
    )
