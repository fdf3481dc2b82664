"""Changes: plan, approvals, execution and verification in one record with one state machine."""

from enum import StrEnum
from typing import Any

from toban.kit import canonical
from toban.model.action import ActionCall, Target
from toban.model.environment import Environment
from toban.model.record import Instant, JsonValue, Record, StateTable
from toban.model.risk import RiskLevel


class ChangeState(StrEnum):
    """Where a change stands."""

    PROPOSED = "proposed"
    PLANNED = "planned"
    AWAITING_APPROVAL = "awaiting_approval"
    APPROVED = "approved"
    DISPATCHING = "dispatching"
    EXECUTED = "executed"
    FAILED = "failed"
    UNKNOWN = "unknown"
    VERIFYING = "verifying"
    SUCCEEDED = "succeeded"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"
    ESCALATED = "escalated"
    REJECTED = "rejected"
    EXPIRED = "expired"
    OBSOLETE = "obsolete"
    HALTED = "halted"
    CANCELLED = "cancelled"


_C = ChangeState
_STOPPED = {_C.OBSOLETE, _C.HALTED, _C.CANCELLED}
CHANGE_STATES: StateTable[ChangeState] = StateTable(
    {
        _C.PROPOSED: {_C.PLANNED, _C.REJECTED, *_STOPPED},
        _C.PLANNED: {_C.AWAITING_APPROVAL, _C.APPROVED, *_STOPPED},
        _C.AWAITING_APPROVAL: {_C.APPROVED, _C.REJECTED, _C.EXPIRED, *_STOPPED},
        _C.APPROVED: {_C.DISPATCHING, _C.EXPIRED, *_STOPPED},
        _C.DISPATCHING: {_C.EXECUTED, _C.FAILED, _C.UNKNOWN, _C.HALTED},
        _C.EXECUTED: {_C.VERIFYING},
        _C.FAILED: {_C.ROLLING_BACK, _C.ESCALATED},
        _C.UNKNOWN: {_C.EXECUTED, _C.FAILED, _C.ESCALATED},
        _C.VERIFYING: {_C.SUCCEEDED, _C.ROLLING_BACK, _C.ESCALATED},
        _C.ROLLING_BACK: {_C.ROLLED_BACK, _C.UNKNOWN, _C.ESCALATED},
        **{
            end: set()
            for end in (
                _C.SUCCEEDED,
                _C.ROLLED_BACK,
                _C.ESCALATED,
                _C.REJECTED,
                _C.EXPIRED,
                _C.OBSOLETE,
                _C.HALTED,
                _C.CANCELLED,
            )
        },
    }
)

BEFORE_DISPATCH = frozenset({_C.PROPOSED, _C.PLANNED, _C.AWAITING_APPROVAL, _C.APPROVED})


class StepState(StrEnum):
    """Where one step stands. DISPATCHING means: the intent is durable, the effect may or may not exist."""

    PENDING = "pending"
    DISPATCHING = "dispatching"
    EXECUTED = "executed"
    FAILED = "failed"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"


_T = StepState
STEP_STATES: StateTable[StepState] = StateTable(
    {
        _T.PENDING: {_T.DISPATCHING, _T.FAILED, _T.SKIPPED},
        _T.DISPATCHING: {_T.EXECUTED, _T.FAILED, _T.UNKNOWN},
        _T.UNKNOWN: {_T.EXECUTED, _T.FAILED},
        _T.EXECUTED: set(),
        _T.FAILED: set(),
        _T.SKIPPED: set(),
    }
)


class Step(Record):
    """One call of an action inside a change, with all that was known when it was planned.

    `left` are the targets as the step left them: a rollback happens only if they still are so.
    """

    id: str
    title: str
    action: str
    action_version: int
    handler_digest: str
    permission: str
    params: dict[str, JsonValue]
    targets: tuple[Target, ...]
    diff: str
    diff_digest: str
    base_risk: RiskLevel
    risk: RiskLevel
    risk_reasons: tuple[str, ...] = ()
    touched_replicas: int = 0
    total_replicas: int = 0
    rollback: ActionCall | None = None
    depends_on: tuple[str, ...] = ()
    state: StepState = StepState.PENDING
    action_id: str = ""
    message: str = ""
    left: tuple[Target, ...] = ()


class Signal(Record):
    """The signal that started it all: an alert's rule and labels, by which the fix is verified."""

    alert_name: str
    labels: dict[str, str]


class Change(Record):
    """What would be done, who agreed, what was done.

    `digest` is what approvers agree to; `version` is for compare-and-set.
    """

    id: str
    workspace: str
    incident_id: str
    runbook: str
    title: str
    reason: str
    environment: Environment
    requester: str
    delegation: tuple[str, ...] = ()
    state: ChangeState
    steps: tuple[Step, ...]
    rollback_steps: tuple[Step, ...] = ()
    risk: RiskLevel
    approvals_needed: int
    policy_version: str
    signals: tuple[Signal, ...] = ()
    finding_ids: tuple[str, ...] = ()
    nonce: str
    created_at: Instant
    approve_by: Instant
    execute_within_s: int = 600
    approved_at: Instant | None = None
    dispatched_at: Instant | None = None
    ended_at: Instant | None = None
    outcome: str = ""
    digest: str = ""
    version: int = 0


def step_of(change: Change, step_id: str) -> Step:
    """A step of the change or of its rollback."""
    return next(step for step in (*change.steps, *change.rollback_steps) if step.id == step_id)


def approved_form(change: Change) -> dict[str, Any]:
    """Everything an approval covers, as plain JSON: whatever is not here may move on without a new approval."""
    steps = []
    for step in change.steps:
        form = step.model_dump(mode="json", exclude={"state", "action_id", "message", "title", "diff", "left"})
        form["targets"] = [target.model_dump(mode="json", exclude={"resource_version"}) for target in step.targets]
        steps.append(form)
    fixed = {
        "id", "workspace", "incident_id", "runbook", "environment", "requester", "delegation", "risk",
        "approvals_needed", "policy_version", "signals", "finding_ids", "nonce", "created_at", "approve_by",
        "execute_within_s",
    }  # fmt: skip
    return {**change.model_dump(mode="json", include=fixed), "steps": steps}


def digest(change: Change) -> str:
    """SHA-256 over the RFC 8785 JSON of `approved_form`."""
    return canonical.digest(approved_form(change))
