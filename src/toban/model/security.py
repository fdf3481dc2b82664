"""Who is asking, and what they may do. Nothing here is ever serialised whole."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NoReturn

from toban.errors import InvalidInputError, PermissionDeniedError
from toban.model.environment import Environment

_PERMISSION = re.compile(
    r"(?P<deny>!)?(?P<resource>[a-z][a-z0-9_]*|\*)\.(?P<verb>[a-z][a-z0-9_]*|\*)"
    r"(?::(?P<scope>(?:\*|[^/*\s:]+)(?:/(?:\*|[^/*\s:]+))*))?"
)


class PrincipalType(StrEnum):
    """People may do what agents and services may not."""

    HUMAN = "human"
    SERVICE = "service"
    AGENT = "agent"


class Role(StrEnum):
    """The roles that a person or service can hold."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    APPROVER = "approver"
    SERVICE_MANAGER = "service_manager"
    AUDITOR = "auditor"
    ADMINISTRATOR = "administrator"


class AuthLevel(StrEnum):
    """How sure we are of the person: local means the loopback door without sign-in."""

    LOCAL = "local"
    TOKEN = "token"  # noqa: S105 - the name of a level, not a secret
    PASSWORD = "password"  # noqa: S105 - the same


@dataclass(frozen=True)
class Permission:
    """`["!"]resource.verb[":"scope]`; the scope is a path ending in the namespace, each segment a word or `*`."""

    resource: str
    verb: str
    scope: str | None = None
    deny: bool = False

    @classmethod
    def parse(cls, text: str) -> "Permission":
        """Raises InvalidInputError for anything else than the form above; a bare `*` means every verb everywhere."""
        if text == "*":
            return cls("*", "*", "**")
        found = _PERMISSION.fullmatch(text)
        if not found:
            raise InvalidInputError(f"{text!r} is not a permission; write resource.verb or resource.verb:namespace")
        return cls(found["resource"], found["verb"], found["scope"], deny=bool(found["deny"]))

    def covers(self, needed: "Permission", *, scoped: bool) -> bool:
        """Whether this grant covers `needed`. With `scoped` False a scoped grant is enough for an unscoped question.

        A denial covers whatever it could run into: a question that contains a wildcard meets it too.
        """
        if not (self._meets(self.resource, needed.resource) and self._meets(self.verb, needed.verb)):
            return False
        if self.scope in {"**", needed.scope}:
            return True
        if needed.scope == "**" or self.scope is None:
            return self.deny  # a grant without a scope is not "everywhere", a denial without one is
        if needed.scope is None:
            return not scoped
        own, other = self.scope.split("/"), needed.scope.split("/")
        return len(own) == len(other) and all(self._meets(a, b) for a, b in zip(own, other, strict=True))

    def _meets(self, own: str, other: str) -> bool:
        return own in {"*", other} or (self.deny and other == "*")


def allows(grants: Iterable[str], needed: str, *, scoped: bool = True) -> bool:
    """Whether `grants` permit `needed`: a denial wins, then an exact or written wildcard match; else no."""
    want = Permission.parse(needed)
    parsed = [Permission.parse(text) for text in grants]
    if any(grant.deny and grant.covers(want, scoped=True) for grant in parsed):
        return False
    return any(not grant.deny and grant.covers(want, scoped=scoped) for grant in parsed)


class Secret:
    """A text that cannot be printed, pickled, compared by accident or dumped."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself; call it only where it leaves for its own system."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret cannot be pickled")


@dataclass(frozen=True)
class SecurityContext:
    """Who asks, in which workspace, with which permissions; carried by every call.

    `delegation` lists those on whose behalf the principal acts. Agents' contexts live 15 minutes at most.
    """

    user_id: str
    workspace: str
    permissions: frozenset[str]
    principal: PrincipalType
    environments: frozenset[Environment] = frozenset(Environment)
    session_id: str = ""
    request_id: str = ""
    token: Secret | None = None
    delegation: tuple[str, ...] = ()
    authenticated_at: datetime | None = None
    auth_level: AuthLevel = AuthLevel.LOCAL
    expires_at: datetime | None = None

    def __post_init__(self) -> None:
        if self.principal is not PrincipalType.HUMAN and "*" in self.permissions:
            raise InvalidInputError("agents and services cannot hold the bare permission *")

    def may(self, needed: str, *, scoped: bool = True) -> bool:
        """Whether the permissions allow `needed`; False means also: it is not known."""
        return allows(self.permissions, needed, scoped=scoped)

    def demand(self, needed: str) -> None:
        """Raise PermissionDeniedError unless `may(needed)`."""
        if not self.may(needed):
            raise PermissionDeniedError(f"you need the permission {needed}")

    def attenuate(
        self,
        *,
        permissions: Iterable[str] | None = None,
        environments: Iterable[Environment] | None = None,
        expires_at: datetime | None = None,
    ) -> "SecurityContext":
        """A context that can do less or the same, never more."""
        kept = self.permissions
        if permissions is not None:
            wanted = frozenset(permissions)
            denials = frozenset(text for text in self.permissions if text.startswith("!"))
            own = self.permissions  # what is held word for word may be kept: the denials stay beside it
            kept = frozenset(one for one in wanted if one.startswith("!") or one in own or self.may(one)) | denials
        until = min((time for time in (self.expires_at, expires_at) if time), default=None)
        within = self.environments if environments is None else self.environments & frozenset(environments)
        return replace(self, permissions=kept, environments=within, expires_at=until)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a security context cannot be pickled")


def for_agent(name: str, asker: SecurityContext, permissions: Iterable[str], now: datetime) -> SecurityContext:
    """The context of an agent that works for `asker`: what both may do, for 15 minutes."""
    narrowed = asker.attenuate(permissions=permissions, expires_at=now + timedelta(minutes=15))
    return replace(
        narrowed,
        user_id=name,
        principal=PrincipalType.AGENT,
        token=None,
        delegation=(*asker.delegation, asker.user_id),
        permissions=frozenset(text for text in narrowed.permissions if text != "*"),
    )


def log_fields(context: SecurityContext) -> dict[str, Any]:
    """What a log line may say of a context: ids, never token or permissions."""
    return {
        "user": context.user_id,
        "workspace": context.workspace,
        "session": context.session_id,
        "request": context.request_id,
    }
