"""Changes, votes and verifications: insert, read, compare-and-set."""

from typing import Any

import sqlalchemy as sa

from toban.errors import ConflictError, InvalidTransitionError, NotFoundError
from toban.model import change as change_model
from toban.model.approval import Approval
from toban.model.change import CHANGE_STATES, STEP_STATES, Change, ChangeState, StepState
from toban.model.verification import Verification
from toban.store import rows, schema

_C = schema.change
_V = schema.approval
_R = schema.verification


def _values(change: Change) -> dict[str, Any]:
    return {
        "workspace": change.workspace,
        "incident_id": change.incident_id,
        "state": change.state,
        "environment": change.environment,
        "created_at": rows.time_text(change.created_at),
        "version": change.version,
        "record": rows.json_of(change),
    }


def insert(connection: sa.Connection, change: Change) -> None:
    """Store a new change."""
    connection.execute(sa.insert(_C).values(id=change.id, **_values(change)))


def get(connection: sa.Connection, workspace: str, change_id: str) -> Change:
    """The change. Raises NotFoundError, for another workspace's ids too."""
    record = connection.execute(
        sa.select(_C.c.record).where(_C.c.id == change_id, _C.c.workspace == workspace)
    ).scalar_one_or_none()
    if record is None:
        raise NotFoundError(f"there is no change {change_id}")
    return rows.record_of(Change, record)


def update(connection: sa.Connection, /, change: Change, **fields: Any) -> Change:
    """Store `fields` if nobody else changed it since `change` was read.

    Raises ConflictError when it moved on, InvalidTransitionError when the state table does not allow the new state.
    """
    state = fields.get("state", change.state)
    if state is not change.state and not CHANGE_STATES.allows(change.state, state):
        raise InvalidTransitionError(f"{change.id} is {change.state} and cannot become {state}")
    after = change.model_copy(update={**fields, "version": change.version + 1})
    done = connection.execute(
        sa.update(_C)
        .where(_C.c.id == change.id, _C.c.version == change.version, _C.c.state == change.state)
        .values(**_values(after))
    )
    if done.rowcount != 1:
        raise ConflictError(f"{change.id} changed in the meantime; look at it again")
    return after


def update_step(connection: sa.Connection, /, change: Change, step_id: str, **fields: Any) -> Change:
    """Store `fields` in one step, by the same rules as `update`."""
    step = change_model.step_of(change, step_id)
    state: StepState = fields.get("state", step.state)
    if state is not step.state and not STEP_STATES.allows(step.state, state):
        raise InvalidTransitionError(f"{change.id} step {step.id} is {step.state} and cannot become {state}")
    after = step.model_copy(update=fields)
    return update(
        connection,
        change,
        steps=tuple(after if one.id == step_id else one for one in change.steps),
        rollback_steps=tuple(after if one.id == step_id else one for one in change.rollback_steps),
    )


def of_incident(connection: sa.Connection, incident_id: str) -> list[Change]:
    """All changes of an incident, oldest first."""
    found = connection.execute(
        sa.select(_C.c.record).where(_C.c.incident_id == incident_id).order_by(_C.c.created_at, _C.c.id)
    ).scalars()
    return [rows.record_of(Change, record) for record in found]


def in_states(connection: sa.Connection, states: frozenset[ChangeState], workspace: str | None = None) -> list[Change]:
    """All changes in one of `states`, oldest first, of one workspace or all."""
    query = sa.select(_C.c.record).where(_C.c.state.in_(sorted(states)))
    if workspace is not None:
        query = query.where(_C.c.workspace == workspace)
    found = connection.execute(query.order_by(_C.c.created_at, _C.c.id)).scalars()
    return [rows.record_of(Change, record) for record in found]


def add_vote(connection: sa.Connection, vote: Approval) -> None:
    """Store a vote; a person has one vote on a change. Raises ConflictError for a second one."""
    taken = connection.execute(
        sa.select(_V.c.voter).where(_V.c.change_id == vote.change_id, _V.c.voter == vote.voter)
    ).first()
    if taken:
        raise ConflictError(f"{vote.voter} has voted on {vote.change_id} already")
    data = vote.model_dump(mode="json") | {"voted_at": rows.time_text(vote.voted_at)}
    connection.execute(sa.insert(_V).values(**data))


def votes(connection: sa.Connection, change_id: str) -> list[Approval]:
    """All votes on a change in the order they were given."""
    found = connection.execute(sa.select(_V).where(_V.c.change_id == change_id).order_by(_V.c.voted_at)).mappings()
    return [Approval.model_validate(dict(row)) for row in found]


def save_verification(connection: sa.Connection, verification: Verification, *, phase: str) -> None:
    """Store a change's verification; `phase` is `run` or `rollback`."""
    record = rows.json_of(verification)
    key = (_R.c.change_id == verification.change_id, _R.c.phase == phase)
    if connection.execute(sa.update(_R).where(*key).values(record=record)).rowcount == 0:
        connection.execute(sa.insert(_R).values(change_id=verification.change_id, phase=phase, record=record))


def verification(connection: sa.Connection, change_id: str, *, phase: str) -> Verification | None:
    """A change's verification of one phase."""
    record = connection.execute(
        sa.select(_R.c.record).where(_R.c.change_id == change_id, _R.c.phase == phase)
    ).scalar_one_or_none()
    return rows.record_of(Verification, record) if record is not None else None
