"""Rows of accounts, API tokens and sessions.

Secrets come in as hashes; `governance/access.py` decides what they allow.
"""

from datetime import datetime

import sqlalchemy as sa

from toban.model.record import Instant, Record
from toban.model.security import PrincipalType, Role
from toban.store import counters, rows, schema

_U = schema.user
_T = schema.api_token
_S = schema.session


class Account(Record):
    """A person or a service that may come in. Its rights are those of its roles at the moment of use."""

    workspace: str
    name: str
    principal: PrincipalType
    roles: tuple[Role, ...]
    created_at: Instant
    disabled_at: Instant | None = None

    @property
    def enabled(self) -> bool:
        """Whether it may come in at all."""
        return self.disabled_at is None


class ApiToken(Record):
    """An API token without its secret."""

    id: str
    workspace: str
    owner: str
    label: str
    created_at: Instant
    expires_at: Instant
    revoked_at: Instant | None = None


class Session(Record):
    """A browser's session without its secret; `hash` is SHA-256 of it."""

    hash: str
    workspace: str
    owner: str
    csrf: str
    created_at: Instant
    authenticated_at: Instant
    expires_at: Instant


def _at(workspace: str, name: str) -> sa.ColumnElement[bool]:
    return sa.and_(_U.c.workspace == workspace, _U.c.name == name)


_ACCOUNT = (_U.c.workspace, _U.c.name, _U.c.principal, _U.c.roles, _U.c.created_at, _U.c.disabled_at)
_TOKEN = (_T.c.id, _T.c.workspace, _T.c.owner, _T.c.label, _T.c.created_at, _T.c.expires_at, _T.c.revoked_at)


def add_account(connection: sa.Connection, account: Account, *, password_hash: str | None) -> None:
    """Store a new account; without a password hash it comes in by tokens only. The name must be free."""
    values = account.model_dump(mode="json") | {"created_at": rows.time_text(account.created_at)}
    connection.execute(sa.insert(_U).values(password_hash=password_hash, **values))


def account(connection: sa.Connection, workspace: str, name: str) -> Account | None:
    """The account, disabled or not; None when there is none."""
    found = connection.execute(sa.select(*_ACCOUNT).where(_at(workspace, name))).mappings().first()
    return Account.model_validate(dict(found)) if found else None


def accounts(connection: sa.Connection, workspace: str) -> list[Account]:
    """All accounts of a workspace by name."""
    found = connection.execute(sa.select(*_ACCOUNT).where(_U.c.workspace == workspace).order_by(_U.c.name)).mappings()
    return [Account.model_validate(dict(row)) for row in found]


def any_enabled_person(connection: sa.Connection) -> bool:
    """Whether any workspace has a person's account that is not disabled."""
    query = sa.select(sa.literal(1)).where(_U.c.principal == PrincipalType.HUMAN, _U.c.disabled_at.is_(None)).limit(1)
    return connection.execute(query).first() is not None


def set_roles(connection: sa.Connection, account: Account, roles: tuple[Role, ...]) -> None:
    """Replace an account's roles."""
    connection.execute(sa.update(_U).where(_at(account.workspace, account.name)).values(roles=list(roles)))


def disable(connection: sa.Connection, account: Account, now: datetime) -> None:
    """Close an account; names are never given to somebody else."""
    closed = sa.update(_U).where(_at(account.workspace, account.name)).values(disabled_at=rows.time_text(now))
    connection.execute(closed)


def password_hash(connection: sa.Connection, account: Account) -> str | None:
    """The hash of an account's password; None when it has none."""
    query = sa.select(_U.c.password_hash).where(_at(account.workspace, account.name))
    found: str | None = connection.execute(query).scalar_one_or_none()
    return found


def set_password_hash(connection: sa.Connection, account: Account, new_hash: str) -> None:
    """Replace the hash of an account's password."""
    connection.execute(sa.update(_U).where(_at(account.workspace, account.name)).values(password_hash=new_hash))


def add_token(
    connection: sa.Connection, account: Account, *, hash_: str, label: str, times: tuple[datetime, datetime]
) -> str:
    """Store an API token; `times` are its beginning and end. Its id."""
    token_id = counters.take(connection, "TOK")
    created, expires = map(rows.time_text, times)
    connection.execute(
        sa.insert(_T).values(
            id=token_id,
            hash=hash_,
            workspace=account.workspace,
            owner=account.name,
            label=label,
            created_at=created,
            expires_at=expires,
        )
    )
    return token_id


def token_by_hash(connection: sa.Connection, hash_: str) -> ApiToken | None:
    """The token of this hash, expired and revoked ones too."""
    found = connection.execute(sa.select(*_TOKEN).where(_T.c.hash == hash_)).mappings().first()
    return ApiToken.model_validate(dict(found)) if found else None


def token(connection: sa.Connection, workspace: str, token_id: str) -> ApiToken | None:
    """The token of this id in a workspace."""
    query = sa.select(*_TOKEN).where(_T.c.id == token_id, _T.c.workspace == workspace)
    found = connection.execute(query).mappings().first()
    return ApiToken.model_validate(dict(found)) if found else None


def tokens(connection: sa.Connection, workspace: str, owner: str | None = None) -> list[ApiToken]:
    """All tokens of a workspace or of one owner in it, oldest first."""
    query = sa.select(*_TOKEN).where(_T.c.workspace == workspace).order_by(_T.c.created_at, _T.c.id)
    if owner is not None:
        query = query.where(_T.c.owner == owner)
    return [ApiToken.model_validate(dict(row)) for row in connection.execute(query).mappings()]


def revoke_token(connection: sa.Connection, token_id: str, now: datetime) -> None:
    """End a token now; one that is revoked already keeps its time."""
    query = sa.update(_T).where(_T.c.id == token_id, _T.c.revoked_at.is_(None))
    connection.execute(query.values(revoked_at=rows.time_text(now)))


def add_session(connection: sa.Connection, session: Session) -> None:
    """Store a session and forget those that have ended."""
    now = rows.time_text(session.created_at)
    connection.execute(sa.delete(_S).where(_S.c.expires_at <= now))
    times = {name: rows.time_text(getattr(session, name)) for name in ("created_at", "authenticated_at", "expires_at")}
    connection.execute(sa.insert(_S).values(**session.model_dump() | times))


def session_by_hash(connection: sa.Connection, hash_: str) -> Session | None:
    """The session of this hash, expired ones too."""
    found = connection.execute(sa.select(_S).where(_S.c.hash == hash_)).mappings().first()
    return Session.model_validate(dict(found)) if found else None


def end_session(connection: sa.Connection, hash_: str) -> None:
    """Forget a session."""
    connection.execute(sa.delete(_S).where(_S.c.hash == hash_))


def end_sessions_of(connection: sa.Connection, account: Account) -> None:
    """Forget all sessions of an account."""
    own = sa.and_(_S.c.workspace == account.workspace, _S.c.owner == account.name)
    connection.execute(sa.delete(_S).where(own))
