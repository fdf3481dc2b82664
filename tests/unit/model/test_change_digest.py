"""What is approved is what is digested: each field that matters changes the digest, what may move on does not."""

from datetime import UTC, datetime, timedelta

import pytest

from toban.model import change as change_model
from toban.model.action import ActionCall, Target
from toban.model.change import Change, ChangeState, Signal, Step, StepState
from toban.model.environment import Environment
from toban.model.risk import RiskLevel
from toban.model.service import ObjectRef

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
REF = ObjectRef(kind="Deployment", namespace="shop", name="cart")
TARGET = Target(ref=REF, uid="u-1", spec_hash="h-1", resource_version="7")
STEP = Step(
    id="fix",
    title="Fix it",
    action="kubernetes.set_memory_limit",
    action_version=1,
    handler_digest="d-1",
    permission="deployments.patch:shop",
    params={"limit": "256Mi"},
    targets=(TARGET,),
    diff="+ 256Mi",
    diff_digest="dd-1",
    base_risk=RiskLevel.LOW_RISK,
    risk=RiskLevel.MEDIUM_RISK,
    rollback=ActionCall(action="kubernetes.set_memory_limit", params={"limit": "128Mi"}),
)
CHANGE = Change(
    id="CHG-0001",
    workspace="default",
    incident_id="INC-0001",
    runbook="memory",
    title="Raise the limit",
    reason="It is too low",
    environment=Environment.STAGING,
    requester="toban",
    state=ChangeState.AWAITING_APPROVAL,
    steps=(STEP,),
    risk=RiskLevel.MEDIUM_RISK,
    approvals_needed=1,
    policy_version="p-1",
    signals=(Signal(alert_name="OOM", labels={"service": "cart"}),),
    finding_ids=("F-1",),
    nonce="n-1",
    created_at=NOW,
    approve_by=NOW + timedelta(hours=4),
)

CHANGE_COVERED = {
    "id": "CHG-0002",
    "workspace": "other",
    "incident_id": "INC-0002",
    "runbook": "other",
    "environment": Environment.PRODUCTION,
    "requester": "ana",
    "delegation": ("ana",),
    "risk": RiskLevel.HIGH_RISK,
    "approvals_needed": 0,
    "policy_version": "p-2",
    "signals": (),
    "finding_ids": ("F-1", "F-2"),
    "nonce": "n-2",
    "created_at": NOW + timedelta(microseconds=1),
    "approve_by": NOW + timedelta(hours=5),
    "execute_within_s": 6_000,
    "steps": (),
}
CHANGE_VOLATILE = {
    "title": "Other words",
    "reason": "Other words",
    "state": ChangeState.DISPATCHING,
    "rollback_steps": (STEP,),
    "approved_at": NOW,
    "dispatched_at": NOW,
    "ended_at": NOW,
    "outcome": "done",
    "digest": "x",
    "version": 9,
}
STEP_COVERED = {
    "id": "other",
    "action": "kubernetes.delete",
    "action_version": 2,
    "handler_digest": "d-2",
    "permission": "deployments.patch:bank",
    "params": {"limit": "999Mi"},
    "targets": (),
    "diff_digest": "dd-2",
    "base_risk": RiskLevel.HIGH_RISK,
    "risk": RiskLevel.HIGH_RISK,
    "risk_reasons": ("why",),
    "touched_replicas": 3,
    "total_replicas": 4,
    "rollback": None,
    "depends_on": ("first",),
}
STEP_VOLATILE = {
    "title": "Other words",
    "diff": "other words",
    "state": StepState.DISPATCHING,
    "action_id": "CHG-0001:fix:1",
    "message": "sent",
    "left": (TARGET,),
}
TARGET_COVERED = {
    "ref": ObjectRef(kind="Deployment", namespace="shop", name="web"),
    "uid": "u-2",
    "spec_hash": "h-2",
    "exists": False,
}
TARGET_VOLATILE = {"resource_version": "8"}


def with_step(**fields):
    return CHANGE.model_copy(update={"steps": (STEP.model_copy(update=fields),)})


def with_target(**fields):
    return with_step(targets=(TARGET.model_copy(update=fields),))


@pytest.mark.parametrize(
    ("kind", "covered", "volatile"),
    [
        (Change, CHANGE_COVERED, CHANGE_VOLATILE),
        (Step, STEP_COVERED, STEP_VOLATILE),
        (Target, TARGET_COVERED, TARGET_VOLATILE),
    ],
)
def test_every_field_is_either_covered_or_known_to_move_on(kind, covered, volatile):
    assert covered.keys() | volatile.keys() == set(kind.model_fields)
    assert not covered.keys() & volatile.keys()


@pytest.mark.parametrize("field", CHANGE_COVERED)
def test_each_covered_field_of_a_change_changes_the_digest(field):
    assert change_model.digest(CHANGE.model_copy(update={field: CHANGE_COVERED[field]})) != change_model.digest(CHANGE)


@pytest.mark.parametrize("field", CHANGE_VOLATILE)
def test_what_moves_on_in_a_change_leaves_the_digest(field):
    assert change_model.digest(CHANGE.model_copy(update={field: CHANGE_VOLATILE[field]})) == change_model.digest(CHANGE)


@pytest.mark.parametrize("field", STEP_COVERED)
def test_each_covered_field_of_a_step_changes_the_digest(field):
    assert change_model.digest(with_step(**{field: STEP_COVERED[field]})) != change_model.digest(CHANGE)


@pytest.mark.parametrize("field", STEP_VOLATILE)
def test_what_moves_on_in_a_step_leaves_the_digest(field):
    assert change_model.digest(with_step(**{field: STEP_VOLATILE[field]})) == change_model.digest(CHANGE)


@pytest.mark.parametrize("field", TARGET_COVERED)
def test_each_covered_field_of_a_target_changes_the_digest(field):
    assert change_model.digest(with_target(**{field: TARGET_COVERED[field]})) != change_model.digest(CHANGE)


@pytest.mark.parametrize("field", TARGET_VOLATILE)
def test_what_moves_on_in_a_target_leaves_the_digest(field):
    assert change_model.digest(with_target(**{field: TARGET_VOLATILE[field]})) == change_model.digest(CHANGE)


def test_the_order_and_the_number_of_steps_and_targets_count():
    other = STEP.model_copy(update={"id": "second"})
    orders = [(STEP, other), (other, STEP), (STEP,), (STEP, STEP)]
    assert len({change_model.digest(CHANGE.model_copy(update={"steps": steps})) for steps in orders}) == 4


def test_a_deeply_buried_parameter_changes_the_digest():
    one, two = (with_step(params={"a": [{"b": {"c": value}}]}) for value in (1, 2))
    assert change_model.digest(one) != change_model.digest(two)


def test_the_digest_survives_a_round_through_json():
    assert change_model.digest(Change.model_validate_json(CHANGE.model_dump_json())) == change_model.digest(CHANGE)
