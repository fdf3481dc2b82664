"""Who asks, and what a request wants to do: users by bearer token, and the words of a refusal.

Used by the API for each request. Whether somebody may do something is decided by `rbac`; nothing here reads objects.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from toban_sandbox.kube import errors

ADMIN, OPERATOR, READER = "admin", "operator", "reader"
PROTECTED_NAMESPACE = "kube-system"
AUTHENTICATED = "system:authenticated"
SERVICE_ACCOUNT = "system:serviceaccount:"


@dataclass(frozen=True)
class User:
    """Somebody the API knows; `role` is `admin`, `operator`, `reader`, or nothing for users that only bindings know."""

    name: str
    role: str = ""
    groups: tuple[str, ...] = ()
    uid: str = ""

    @property
    def all_groups(self) -> tuple[str, ...]:
        by_role = (group_of(self.role),) if self.role else ()
        return tuple(dict.fromkeys((*self.groups, *by_role, AUTHENTICATED)))


def group_of(role: str) -> str:
    """The group whose bindings give a role of the sandbox its rights."""
    return "system:masters" if role == ADMIN else f"sandbox:{role}s"


def service_account_name(namespace: str, name: str) -> str:
    """The user name of a service account."""
    return f"{SERVICE_ACCOUNT}{namespace}:{name}"


def service_account(namespace: str, name: str, *, uid: str = "") -> User:
    """A service account as a user."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
    return User(service_account_name(namespace, name), groups=groups, uid=uid)


@dataclass(frozen=True)
class Attributes:
    """What a request wants to do; `path` instead of a resource for everything that is no resource."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""


def refusal(user: User, attributes: Attributes) -> errors.ApiError:
    """The 403 that a real API server would answer."""
    if attributes.path:
        return errors.forbidden_path(f'User "{user.name}" cannot {attributes.verb} path "{attributes.path}"')
    about = errors.About(attributes.resource, attributes.group)
    resource = f"{attributes.resource}/{attributes.subresource}" if attributes.subresource else attributes.resource
    where = f'in the namespace "{attributes.namespace}"' if attributes.namespace else "at the cluster scope"
    why = f'User "{user.name}" cannot {attributes.verb} resource "{resource}" in API group "{attributes.group}" {where}'
    return errors.forbidden(about, attributes.name, why)


def user_of_token(users: Mapping[str, User], header: str | None) -> User | None:
    """The user behind an `Authorization` header, or None; every known token is compared, in constant time."""
    scheme, _, token = (header or "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        return None
    given = token.strip().encode()
    found: User | None = None
    for known, user in users.items():
        if hmac.compare_digest(known.encode(), given):
            found = user
    return found
