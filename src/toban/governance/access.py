"""Who comes in and with which rights: contexts for sessions, tokens, the local door and Toban itself; accounts, tokens.

Entry points ask for a context on each request: rights are those of the owner's account at that moment. Secrets are
random, shown once and kept as SHA-256. Passwords are the business of `governance/sign_in.py`.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from toban.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    PermissionDeniedError,
    RefusedError,
    UnauthenticatedError,
)
from toban.governance import audit
from toban.governance.roles import TOBAN_PERMISSIONS, permissions_of
from toban.model.audit import AuditDraft, AuditResult
from toban.model.record import JsonValue
from toban.model.security import AuthLevel, PrincipalType, Role, Secret, SecurityContext
from toban.store import access as store
from toban.store.access import Account, ApiToken, Session

LOCAL_USER = "you"
TOBAN = "toban"
TOKEN_PREFIX = "tbn_"  # noqa: S105 - what a token begins with, not a secret
TOKEN_DAYS_MAX = 90
SESSION_HOURS = 12
_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,62}")
_LABEL_LIMIT = 80


@dataclass(frozen=True)
class IssuedToken:
    """A new API token; `secret` is shown to its owner this once."""

    token: ApiToken
    secret: Secret


@dataclass(frozen=True)
class NewSession:
    """A new session: the cookie's secret, and the token that forms send back."""

    secret: Secret
    csrf: str
    expires_at: datetime


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


# --- contexts --------------------------------------------------------------------------------------------------------


def is_sign_in_required(connection: sa.Connection) -> bool:
    """Whether the local door is shut: as soon as one person has an account."""
    return store.any_enabled_person(connection)


def local_context(workspace: str, now: datetime, request_id: str = "") -> SecurityContext:
    """The person at the loopback door of an installation without accounts. The caller has checked both."""
    return SecurityContext(
        user_id=LOCAL_USER,
        workspace=workspace,
        permissions=permissions_of([Role.ADMINISTRATOR]),
        principal=PrincipalType.HUMAN,
        request_id=request_id,
        authenticated_at=now,
        auth_level=AuthLevel.LOCAL,
    )


def toban_context(workspace: str, request_id: str = "") -> SecurityContext:
    """Toban itself, a service: the requester of planned changes. It reads, proposes and carries out; it cannot vote."""
    return SecurityContext(
        user_id=TOBAN,
        workspace=workspace,
        permissions=TOBAN_PERMISSIONS,
        principal=PrincipalType.SERVICE,
        request_id=request_id,
    )


def context_for_token(
    connection: sa.Connection, bearer: str, *, now: datetime, request_id: str = ""
) -> SecurityContext:
    """The context of an API token's owner. Raises UnauthenticatedError for unknown, expired and revoked ones alike."""
    token = store.token_by_hash(connection, _hash(bearer)) if bearer.startswith(TOKEN_PREFIX) else None
    if token is None or token.revoked_at is not None or now >= token.expires_at:
        raise UnauthenticatedError("this token is not valid; issue a new one")
    owner = _enabled(connection, token.workspace, token.owner)
    return SecurityContext(
        user_id=owner.name,
        workspace=owner.workspace,
        permissions=permissions_of(owner.roles),
        principal=owner.principal,
        session_id=token.id,
        request_id=request_id,
        token=Secret(bearer),
        authenticated_at=token.created_at,
        auth_level=AuthLevel.TOKEN,
        expires_at=token.expires_at,
    )


def context_for_session(
    connection: sa.Connection, cookie: str, *, now: datetime, request_id: str = ""
) -> SecurityContext:
    """The context of a signed-in person. Raises UnauthenticatedError when the session is not valid any more."""
    session = _session(connection, cookie, now)
    owner = _enabled(connection, session.workspace, session.owner)
    return SecurityContext(
        user_id=owner.name,
        workspace=owner.workspace,
        permissions=permissions_of(owner.roles),
        principal=owner.principal,
        session_id=f"S-{session.hash[:12]}",
        request_id=request_id,
        authenticated_at=session.authenticated_at,
        auth_level=AuthLevel.PASSWORD,
        expires_at=session.expires_at,
    )


def _session(connection: sa.Connection, cookie: str, now: datetime) -> Session:
    session = store.session_by_hash(connection, _hash(cookie))
    if session is None or now >= session.expires_at:
        raise UnauthenticatedError("your session has ended; sign in again")
    return session


def _enabled(connection: sa.Connection, workspace: str, name: str) -> Account:
    account = store.account(connection, workspace, name)
    if account is None or not account.enabled:
        raise UnauthenticatedError("this account is closed")
    return account


# --- sessions --------------------------------------------------------------------------------------------------------


def open_session(connection: sa.Connection, account: Account, *, now: datetime, request_id: str = "") -> NewSession:
    """A session for a person whose password was right, with its audit event."""
    secret, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    session = Session(
        hash=_hash(secret),
        workspace=account.workspace,
        owner=account.name,
        csrf=csrf,
        created_at=now,
        authenticated_at=now,
        expires_at=now + timedelta(hours=SESSION_HOURS),
    )
    store.add_session(connection, session)
    draft = AuditDraft(
        workspace=account.workspace,
        actor=account.name,
        actor_type=account.principal,
        operation="session.open",
        subject=account.name,
        result=AuditResult.ALLOWED,
        request_id=request_id,
        session_id=f"S-{session.hash[:12]}",
    )
    audit.append(connection, draft, now)
    return NewSession(Secret(secret), csrf, session.expires_at)


def csrf_of(connection: sa.Connection, cookie: str, *, now: datetime) -> str:
    """The token that forms of this session must send. Raises UnauthenticatedError."""
    return _session(connection, cookie, now).csrf


def end_session(connection: sa.Connection, cookie: str) -> None:
    """Sign out; nothing happens if the session has ended already."""
    store.end_session(connection, _hash(cookie))


# --- accounts --------------------------------------------------------------------------------------------------------


def add_account(
    connection: sa.Connection, by: SecurityContext, account: Account, *, password_hash: str | None, now: datetime
) -> None:
    """Create an account in the workspace of `by`, with its audit event.

    The first person's account of a workspace must be an administrator's, or nobody could create the second. Raises
    PermissionDeniedError, InvalidInputError, ConflictError (the name is taken, also by a closed account).
    """
    by.demand("users.write")
    if account.workspace != by.workspace:
        raise PermissionDeniedError("accounts can only be created in your own workspace")
    if not _NAME.fullmatch(account.name) or account.name == TOBAN:
        raise InvalidInputError(f"{account.name!r} cannot be a name: use a-z, 0-9, '.', '_', '@', '-'; not {TOBAN!r}")
    _check_roles(account.principal, account.roles)
    if password_hash is not None and account.principal is not PrincipalType.HUMAN:
        raise InvalidInputError("a service has no password; issue a token for it")
    everybody = store.accounts(connection, account.workspace)
    if any(other.name == account.name for other in everybody):
        raise ConflictError(f"there is an account {account.name} already")
    is_person = account.principal is PrincipalType.HUMAN
    if is_person and Role.ADMINISTRATOR not in account.roles and not _administrators(everybody):
        raise RefusedError("the first person's account must be an administrator's")
    store.add_account(connection, account, password_hash=password_hash)
    details = {"principal": account.principal, "roles": list(account.roles)}
    _record(connection, by, ("account.create", account.name), details, now)


def _check_roles(principal: PrincipalType, roles: tuple[Role, ...]) -> None:
    if principal is PrincipalType.AGENT:
        raise InvalidInputError("agents have no accounts; they act for whoever asks")
    if not roles:
        raise InvalidInputError("an account needs at least one role")
    only_people = {Role.ADMINISTRATOR, Role.APPROVER} & set(roles)
    if principal is not PrincipalType.HUMAN and only_people:
        raise InvalidInputError(f"only people can be {' or '.join(sorted(only_people))}")


def _administrators(accounts: list[Account]) -> set[str]:
    return {one.name for one in accounts if one.enabled and Role.ADMINISTRATOR in one.roles}


def set_roles(
    connection: sa.Connection, by: SecurityContext, name: str, roles: tuple[Role, ...], *, now: datetime
) -> None:
    """Replace an account's roles, with its audit event. The last administrator stays one (RefusedError)."""
    account = _administered(connection, by, name)
    _check_roles(account.principal, roles)
    if Role.ADMINISTRATOR not in roles:
        _keep_one_administrator(connection, account)
    store.set_roles(connection, account, roles)
    _record(connection, by, ("account.roles", name), {"before": list(account.roles), "after": list(roles)}, now)


def close_account(connection: sa.Connection, by: SecurityContext, name: str, *, now: datetime) -> None:
    """Close an account for good and end its sessions; its tokens stop with it. The last administrator stays."""
    account = _administered(connection, by, name)
    _keep_one_administrator(connection, account)
    store.disable(connection, account, now)
    store.end_sessions_of(connection, account)
    _record(connection, by, ("account.close", name), {}, now)


def set_password(
    connection: sa.Connection, by: SecurityContext, name: str, *, password_hash: str, now: datetime
) -> None:
    """Replace a password, one's own or as an administrator; all sessions of the account end."""
    if name != by.user_id or by.auth_level is AuthLevel.TOKEN:
        by.demand("users.write")
    account = _known(connection, by.workspace, name)
    if account.principal is not PrincipalType.HUMAN:
        raise InvalidInputError("a service has no password; issue a token for it")
    store.set_password_hash(connection, account, password_hash)
    store.end_sessions_of(connection, account)
    _record(connection, by, ("account.password", name), {}, now)


def _known(connection: sa.Connection, workspace: str, name: str) -> Account:
    account = store.account(connection, workspace, name)
    if account is None or not account.enabled:
        raise NotFoundError(f"there is no account {name}")
    return account


def _administered(connection: sa.Connection, by: SecurityContext, name: str) -> Account:
    by.demand("users.write")
    return _known(connection, by.workspace, name)


def _keep_one_administrator(connection: sa.Connection, account: Account) -> None:
    if _administrators(store.accounts(connection, account.workspace)) == {account.name}:
        raise RefusedError(f"{account.name} is the last administrator; make somebody else one first")


# --- API tokens ------------------------------------------------------------------------------------------------------


def issue_token(
    connection: sa.Connection, by: SecurityContext, owner: str, *, label: str, now: datetime, days: int = TOKEN_DAYS_MAX
) -> IssuedToken:
    """An API token for oneself, or as an administrator for somebody else, with its audit event.

    Raises PermissionDeniedError (also when `by` came in with a token: tokens do not breed), NotFoundError,
    InvalidInputError.
    """
    if by.auth_level is AuthLevel.TOKEN:
        raise PermissionDeniedError("a token cannot issue tokens; sign in")
    if owner != by.user_id:
        by.demand("users.write")
    if not 1 <= days <= TOKEN_DAYS_MAX:
        raise InvalidInputError(f"a token lives 1 to {TOKEN_DAYS_MAX} days")
    if not label.strip() or len(label) > _LABEL_LIMIT:
        raise InvalidInputError(f"say what the token is for, in at most {_LABEL_LIMIT} characters")
    account = _known(connection, by.workspace, owner)
    secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
    until = now + timedelta(days=days)
    token_id = store.add_token(connection, account, hash_=_hash(secret), label=label, times=(now, until))
    _record(connection, by, ("token.issue", token_id), {"owner": owner, "label": label, "days": days}, now)
    token = ApiToken(
        id=token_id, workspace=account.workspace, owner=owner, label=label, created_at=now, expires_at=until
    )
    return IssuedToken(token, Secret(secret))


def revoke_token(connection: sa.Connection, by: SecurityContext, token_id: str, *, now: datetime) -> None:
    """End a token, one's own or as an administrator. Raises NotFoundError, for other people's tokens too."""
    token = store.token(connection, by.workspace, token_id)
    if token is None or (token.owner != by.user_id and not by.may("users.write")):
        raise NotFoundError(f"there is no token {token_id}")
    store.revoke_token(connection, token_id, now)
    _record(connection, by, ("token.revoke", token_id), {"owner": token.owner}, now)


def _record(
    connection: sa.Connection, by: SecurityContext, what: tuple[str, str], details: dict[str, JsonValue], now: datetime
) -> None:
    operation, subject = what
    draft = AuditDraft(
        workspace=by.workspace,
        actor=by.user_id,
        actor_type=by.principal,
        operation=operation,
        subject=subject,
        result=AuditResult.SUCCEEDED,
        request_id=by.request_id,
        session_id=by.session_id,
        details=details,
    )
    audit.append(connection, draft, now)
