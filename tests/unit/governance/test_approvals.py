"""Who may vote: the reasons why not, one by one."""

from datetime import UTC, datetime, timedelta

import pytest

from toban.governance import approvals
from toban.governance.policy import Policy
from toban.model.approval import Approval, Decision
from toban.model.change import Change, ChangeState
from toban.model.environment import Environment
from toban.model.risk import RiskLevel
from toban.model.security import AuthLevel, PrincipalType, SecurityContext

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


def change(**fields):
    return Change(
        id="CHG-0001", workspace="default", incident_id="INC-0001", runbook="r@1", title="t", reason="r",
        environment=Environment.PRODUCTION, requester="toban", delegation=("mei",),
        state=ChangeState.AWAITING_APPROVAL, steps=(), risk=RiskLevel.HIGH_RISK, approvals_needed=2,
        policy_version="p", nonce="n", created_at=NOW, approve_by=NOW + timedelta(minutes=30),
    ).model_copy(update=fields)  # fmt: skip


def person(name="aki", **fields):
    return SecurityContext(
        **{
            "user_id": name, "workspace": "default", "permissions": frozenset({"approvals.vote:production"}),
            "principal": PrincipalType.HUMAN, "authenticated_at": NOW, "auth_level": AuthLevel.PASSWORD,
        } | fields
    )  # fmt: skip


def why(context=None, *, votes=(), now=NOW, **fields):
    subject = change(**fields)
    rule = Policy().rule(subject.risk, subject.environment)
    return approvals.why_not(context or person(), subject, votes, rule, now)


def test_a_person_with_the_permission_and_a_fresh_sign_in_may_vote():
    assert why() is None


@pytest.mark.parametrize(
    ("context", "fields", "words"),
    [
        (person("toban"), {}, "somebody else"),
        (person("mei"), {}, "on your behalf"),
        (person(principal=PrincipalType.SERVICE), {}, "only people"),
        (person(principal=PrincipalType.AGENT), {}, "only people"),
        (person(permissions=frozenset({"approvals.vote:staging"})), {}, "approvals.vote:production"),
        (person(permissions=frozenset({"approvals.vote"})), {}, "approvals.vote:production"),
        (person(environments=frozenset({Environment.STAGING})), {}, "do not work in production"),
        (person(authenticated_at=NOW - timedelta(minutes=16)), {}, "fresh sign-in"),
        (person(authenticated_at=None), {}, "fresh sign-in"),
        (person(), {"state": ChangeState.REJECTED}, "nothing to vote on"),
        (person(), {"approve_by": NOW}, "had to be approved"),
    ],
)
def test_everybody_else_is_told_why_not(context, fields, words):
    assert words in why(context, **fields)


def test_a_sign_in_need_not_be_fresh_for_a_smaller_risk():
    assert why(person(authenticated_at=None), risk=RiskLevel.MEDIUM_RISK) is None


def test_a_second_vote_of_the_same_person_is_refused():
    given = Approval(
        change_id="CHG-0001", voter="aki", decision=Decision.APPROVE, digest="d", auth_level=AuthLevel.PASSWORD,
        voted_at=NOW,
    )  # fmt: skip
    assert "voted already" in why(votes=[given])
