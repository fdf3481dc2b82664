"""A database in a temporary folder, a moment in time, and people."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from toban.governance import access
from toban.model.security import AuthLevel, PrincipalType, Role, SecurityContext
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
