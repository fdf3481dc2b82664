"""A database in a temporary folder, a moment in time, and people."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from toban.governance import access
from toban.model.action import Target
from toban.model.change import Change, ChangeState, Step, StepState
from toban.model.environment import Environment
from toban.model.risk import RiskLevel
from toban.model.security import AuthLevel, PrincipalType, Role, SecurityContext
from toban.model.service import ObjectRef
from toban.store import schema
from toban.store.access import Account
from toban.store.database import Database, make_engine


@pytest.fixture
def now() -> datetime:
    return datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    engine = make_engine(f"sqlite:///{tmp_path / 'toban.db'}")
    schema.metadata.create_all(engine)
    database = Database(engine)
    yield database
    database.close()


@pytest.fixture
def person():
    """`person("ana", "halts.engage")`: a signed-in person with these permissions."""

    def make(name: str, *permissions: str, principal: PrincipalType = PrincipalType.HUMAN) -> SecurityContext:
        return SecurityContext(
            user_id=name,
            workspace="default",
            permissions=frozenset(permissions),
            principal=principal,
            auth_level=AuthLevel.PASSWORD,
        )

    return make


@pytest.fixture
def admin(now: datetime) -> SecurityContext:
    return access.local_context("default", now)


@pytest.fixture
def add_account(database: Database, admin: SecurityContext, now: datetime):
    """`add_account("ana", Role.ADMINISTRATOR)` creates an account and gives it back."""

    def add(
        name: str, *roles: Role, principal: PrincipalType = PrincipalType.HUMAN, password_hash: str | None = None
    ) -> Account:
        account = Account(workspace="default", name=name, principal=principal, roles=roles, created_at=now)
        database.write_now(access.add_account, admin, account, password_hash=password_hash, now=now)
        return account

    return add


@pytest.fixture
def make_change(now: datetime):
    """`make_change(7, minutes_ago=5, state=ChangeState.SUCCEEDED)`: CHG-0007 with one step on Deployment shop/cart."""

    def make(
        number: int = 1, *, minutes_ago: float | None = None, steps: tuple[Step, ...] = (), **fields: Any
    ) -> Change:
        sent = None if minutes_ago is None else now - timedelta(minutes=minutes_ago)
        values: dict[str, Any] = {
            "id": f"CHG-{number:04d}",
            "workspace": "default",
            "incident_id": "INC-0001",
            "runbook": "fix",
            "title": "Fix it",
            "reason": "It is broken",
            "environment": Environment.STAGING,
            "requester": "toban",
            "state": ChangeState.APPROVED if sent is None else ChangeState.EXECUTED,
            "steps": steps or (make_step(state=StepState.PENDING if sent is None else StepState.EXECUTED),),
            "risk": RiskLevel.LOW_RISK,
            "approvals_needed": 1,
            "policy_version": "v",
            "nonce": "n",
            "created_at": (sent or now) - timedelta(minutes=2),
            "approve_by": now + timedelta(hours=4),
            "dispatched_at": sent,
        }
        return Change(**values | fields)

    return make


def make_step(target: str = "shop/cart", *, kind: str = "Deployment", **fields: Any) -> Step:
    """One step on one target, its containers and counts as given."""
    namespace, _, name = target.partition("/")
    ref = ObjectRef(kind=kind, namespace=namespace, name=name, container=fields.pop("container", ""))
    values: dict[str, Any] = {
        "id": "fix",
        "title": "Fix it",
        "action": "kubernetes.restart_rollout",
        "action_version": 1,
        "handler_digest": "d",
        "permission": f"deployments.patch:{namespace}",
        "params": {"namespace": namespace, "name": name},
        "targets": (Target(ref=ref, uid="u", spec_hash="h", resource_version="7"),),
        "diff": "",
        "diff_digest": "d",
        "base_risk": RiskLevel.LOW_RISK,
        "risk": RiskLevel.LOW_RISK,
    }
    return Step(**values | fields)


@pytest.fixture(name="make_step")
def _make_step():
    return make_step
