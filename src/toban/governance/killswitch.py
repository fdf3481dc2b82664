"""The kill switch: while it is engaged nothing new starts. One person engages it, two release it.

The Gate asks before each step, in the transaction of the intent, and nothing is remembered between two looks. A file
`HALT` in the state folder halts everything without the database, for whoever has a shell there; taking it away is
releasing it. What is running already ends its atomic step.
"""

import os
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from toban.errors import InvalidInputError, NotFoundError, PermissionDeniedError
from toban.governance import audit
from toban.kit import text
from toban.model.audit import AuditDraft, AuditResult
from toban.model.environment import Environment
from toban.model.security import PrincipalType, SecurityContext
from toban.store import halts as store
from toban.store.halts import Halt

HALT_FILE = "HALT"
GLOBAL = "global"
_KINDS = ("workspace", "environment", "action")
_WISH_HOLDS = timedelta(hours=1)
_REASON_LIMIT = 500


def check(
    connection: sa.Connection, home: Path, *, workspace: str, environment: Environment, action: str
) -> Halt | None:
    """What forbids an action to start; None if nothing does. A database that cannot be read raises StorageError."""
    scopes = (GLOBAL, f"workspace:{workspace}", f"environment:{environment.value}", f"action:{action}")
    return check_file(home) or store.first_of(connection, scopes)


def check_file(home: Path) -> Halt | None:
    """The halt by file. Its content is the reason; a file that cannot be read, or cannot be ruled out, halts too."""
    path = home / HALT_FILE
    try:
        os.lstat(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        return Halt(scope=GLOBAL, reason=f"{path} cannot be looked at: {error.strerror}", by="file")
    try:
        with path.open("rb") as file:
            content = file.read(4 * _REASON_LIMIT).decode("utf-8", "replace")
    except OSError as error:
        return Halt(scope=GLOBAL, reason=f"{path} is there and cannot be read: {error.strerror}", by="file")
    return Halt(scope=GLOBAL, reason=text.quoted(content, _REASON_LIMIT) or f"{path} is there", by="file")


def engaged(connection: sa.Connection, home: Path) -> list[Halt]:
    """All that is halted, for people to see."""
    by_file = check_file(home)
    return ([by_file] if by_file else []) + store.every(connection)


def engage(connection: sa.Connection, by: SecurityContext, scope: str, *, reason: str, now: datetime) -> Halt:
    """Halt a scope: `global`, `workspace:NAME`, `environment:NAME` or `action:NAME`, with its audit event.

    Raises PermissionDeniedError, InvalidInputError (no such scope, no reason).
    """
    _check_scope(by, scope)
    by.demand("halts.engage")
    if not reason.strip():
        raise InvalidInputError("say why")
    halt = Halt(scope=scope, reason=text.quoted(reason, _REASON_LIMIT), by=by.user_id, at=now)
    store.put(connection, halt, now)
    _record(connection, by, ("halt.engage", scope), halt.reason, now)
    return halt


def release(connection: sa.Connection, by: SecurityContext, scope: str, *, reason: str, now: datetime) -> Halt | None:
    """Wish a release, or complete it when another person wished it within the last hour.

    The halt as it stands with the wish, or None once it is released. Raises PermissionDeniedError for services and
    agents, NotFoundError when nothing of this scope is halted.
    """
    _check_scope(by, scope)
    by.demand("halts.release")
    if by.principal is not PrincipalType.HUMAN:
        raise PermissionDeniedError("only people release a halt")
    halt = store.get(connection, scope)
    if halt is None:
        raise NotFoundError(f"nothing is halted for {scope}")
    wished = halt.release_at is not None and timedelta() <= now - halt.release_at <= _WISH_HOLDS
    if wished and halt.release_by != by.user_id:
        store.remove(connection, scope)
        _record(connection, by, ("halt.release", scope), reason, now)
        return None
    store.wish_release(connection, scope, by=by.user_id, now=now)
    _record(connection, by, ("halt.release_wish", scope), reason, now)
    return store.get(connection, scope)


def _check_scope(by: SecurityContext, scope: str) -> None:
    kind, _, name = scope.partition(":")
    known = scope == GLOBAL or (kind in _KINDS and name.strip() == name and name)
    if kind == "environment" and name not in set(Environment):
        known = False
    if not known:
        raise InvalidInputError(f"{scope!r} cannot be halted; write global, workspace:…, environment:… or action:…")
    if kind == "workspace" and name != by.workspace:
        raise NotFoundError(f"there is no workspace {name}")


def _record(connection: sa.Connection, by: SecurityContext, what: tuple[str, str], reason: str, now: datetime) -> None:
    operation, subject = what
    draft = AuditDraft(
        workspace=by.workspace,
        actor=by.user_id,
        actor_type=by.principal,
        operation=operation,
        subject=subject,
        result=AuditResult.SUCCEEDED,
        reason=text.quoted(reason, _REASON_LIMIT),
        request_id=by.request_id,
        session_id=by.session_id,
    )
    audit.append(connection, draft, now)
