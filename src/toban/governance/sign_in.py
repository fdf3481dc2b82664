"""Passwords: argon2id off the event loop, the same time for unknown names, and patience with wrong ones.

Called by the sign-in page through `app.py`. Sessions and rights are in `governance/access.py`.
"""

import asyncio
import math
import unicodedata
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import argon2
import sqlalchemy as sa

from toban.errors import InvalidInputError, OverloadedError, UnauthenticatedError
from toban.governance import access, audit
from toban.model.audit import AuditDraft, AuditResult
from toban.model.security import PrincipalType, Secret
from toban.store import access as store
from toban.store.access import Account
from toban.store.database import Database

PASSWORD_MIN, PASSWORD_MAX = 12, 1_000
_NAME_LIMIT = 64
_WRONG = "the name or the password is wrong"
T = TypeVar("T")


class Passwords:
    """Hashes and checks passwords, two at a time: each takes 64 MiB and a core for a moment."""

    def __init__(self, hasher: argon2.PasswordHasher | None = None, *, waiting_limit: int = 32) -> None:
        self._hasher = hasher or argon2.PasswordHasher()
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="password")
        self._waiting = 0
        self._waiting_limit = waiting_limit
        self._nobody = self._hasher.hash("the password of nobody")

    async def hash(self, password: Secret) -> str:
        """The hash to store. Raises InvalidInputError for passwords that are too short or too long."""
        normal = _normal(password)
        if not PASSWORD_MIN <= len(normal) <= PASSWORD_MAX:
            raise InvalidInputError(f"a password has {PASSWORD_MIN} to {PASSWORD_MAX} characters")
        return await self._run(lambda: self._hasher.hash(normal))

    async def fits(self, stored: str | None, password: Secret) -> bool:
        """Whether `password` is the one behind `stored`; takes as long when there is none. Raises OverloadedError."""
        normal = _normal(password)
        if len(normal) > PASSWORD_MAX:
            stored, normal = None, ""

        def check() -> bool:
            try:
                return self._hasher.verify(stored or self._nobody, normal) and stored is not None
            except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
                return False

        return await self._run(check)

    def is_dated(self, stored: str) -> bool:
        """Whether a hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(stored)

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= self._waiting_limit:
            raise OverloadedError("too many people are signing in at this moment; try again")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Wait for what is being worked out."""
        self._threads.shutdown(wait=True)


def _normal(password: Secret) -> str:
    # keyboards write the same letter in different ways; NFC makes one of them
    return unicodedata.normalize("NFC", password.reveal().encode("utf-8", "replace").decode())


class Patience:
    """Counts failed sign-ins by name, in memory: five are free, then each one doubles the wait, to five minutes.

    A try counts as failed from its beginning, so that tries at the same time do not get around it.
    """

    def __init__(
        self, *, free: int = 5, longest_s: float = 300.0, forget_s: float = 3600.0, names: int = 10_000
    ) -> None:
        self._free = free
        self._longest_s = longest_s
        self._forget_s = forget_s
        self._names = names
        self._failed: OrderedDict[str, tuple[int, datetime]] = OrderedDict()

    def begin(self, name: str, now: datetime) -> float:
        """Seconds to wait before the next try; 0 means: try now, and it counts."""
        count, last = self._failed.get(name, (0, now))
        if last > now:  # the clock was set back: start the wait anew rather than make it longer by hours
            self._failed[name] = (count, now)
        passed = max((now - last).total_seconds(), 0.0)
        if passed > self._forget_s:
            count = 0
        wait = min(2.0 ** min(count - self._free, 20), self._longest_s) if count >= self._free else 0.0
        if passed < wait:
            return wait - passed
        self._failed[name] = (count + 1, now)
        self._failed.move_to_end(name)
        while len(self._failed) > self._names:
            self._failed.popitem(last=False)
        return 0.0

    def succeeded(self, name: str) -> None:
        """Forget the failures of a name."""
        self._failed.pop(name, None)


@dataclass(frozen=True)
class Credentials:
    """What a person typed."""

    workspace: str
    name: str
    password: Secret


class SignIn:
    """The way in by name and password."""

    def __init__(self, database: Database, passwords: Passwords, patience: Patience) -> None:
        self._database = database
        self._passwords = passwords
        self._patience = patience

    async def open(self, given: Credentials, *, now: datetime, request_id: str = "") -> access.NewSession:
        """A session for the right password, with its audit event.

        Raises UnauthenticatedError, in the same words and time for unknown names, closed accounts and wrong passwords,
        and with `retry_after` after too many of them; OverloadedError.
        """
        key = f"{given.workspace}/{given.name[:_NAME_LIMIT]}"
        wait = self._patience.begin(key, now)
        if wait:
            raise UnauthenticatedError(f"too many failed sign-ins; wait {math.ceil(wait)} s", retry_after=wait)
        name = given.name[:_NAME_LIMIT]
        account, stored = await self._database.read(_account_of, given.workspace, name)
        if not await self._passwords.fits(stored, given.password) or account is None:
            await self._database.write(_refuse, given.workspace, name, now, request_id)
            raise UnauthenticatedError(_WRONG)
        renewed = None
        if stored is not None and self._passwords.is_dated(stored):
            renewed = await self._passwords.hash(given.password)
        session = await self._database.write(_enter, account, renewed, now, request_id)
        self._patience.succeeded(key)
        return session


def _account_of(connection: sa.Connection, workspace: str, name: str) -> tuple[Account | None, str | None]:
    account = store.account(connection, workspace, name)
    if account is None or not account.enabled or account.principal is not PrincipalType.HUMAN:
        return None, None
    return account, store.password_hash(connection, account)


def _enter(
    connection: sa.Connection, account: Account, renewed: str | None, now: datetime, request_id: str
) -> access.NewSession:
    current, _ = _account_of(connection, account.workspace, account.name)
    if current is None:
        raise UnauthenticatedError(_WRONG)  # closed while the password was being checked
    if renewed is not None:
        store.set_password_hash(connection, current, renewed)
    return access.open_session(connection, current, now=now, request_id=request_id)


def _refuse(connection: sa.Connection, workspace: str, name: str, now: datetime, request_id: str) -> None:
    # people type their password into the field of the name: only names that exist are written down
    known = store.account(connection, workspace, name)
    name = known.name if known else "(unknown name)"
    draft = AuditDraft(
        workspace=workspace,
        actor=name,
        actor_type=PrincipalType.HUMAN,
        operation="session.open",
        subject=name,
        result=AuditResult.DENIED,
        reason=_WRONG,
        request_id=request_id,
    )
    audit.append(connection, draft, now)
