"""Who asks and whether they may: users by bearer token, and the one function that answers every permission question.

Used by the API for each request and by the self-access reviews. The rules are three fixed roles; nothing here reads
objects of the cluster.
"""

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from toban_sandbox.kube import errors

READ_VERBS = frozenset({"get", "list", "watch"})
WRITE_VERBS = frozenset({"create", "update", "patch", "delete"})
ADMIN, OPERATOR, READER = "admin", "operator", "reader"
PROTECTED_NAMESPACE = "kube-system"


@dataclass(frozen=True)
class User:
    """Somebody the API knows; `role` is `admin`, `operator` or `reader`."""

    name: str
    role: str
    groups: tuple[str, ...] = ()

    @property
    def all_groups(self) -> tuple[str, ...]:
        masters = ("system:masters",) if self.role == ADMIN else ()
        return (*self.groups, *masters, "system:authenticated")


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


@dataclass(frozen=True)
class Rule:
    """Verbs allowed on resources of API groups; `*` is all. `resources` may name `parent/subresource`."""

    verbs: frozenset[str]
    groups: frozenset[str]
    resources: frozenset[str]
    except_resources: frozenset[str] = frozenset()
    except_namespaces: frozenset[str] = frozenset()

    def allows(self, wanted: Attributes) -> bool:
        full = f"{wanted.resource}/{wanted.subresource}" if wanted.subresource else wanted.resource
        if wanted.resource in self.except_resources or wanted.namespace in self.except_namespaces:
            return False
        return _covers(self.verbs, wanted.verb) and _covers(self.groups, wanted.group) and _covers(self.resources, full)


_ALL = frozenset({"*"})
_REVIEWS = Rule(
    frozenset({"create"}),
    frozenset({"authorization.k8s.io", "authentication.k8s.io"}),
    frozenset({"selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews"}),
)
_READ = Rule(READ_VERBS, _ALL, _ALL, except_resources=frozenset({"secrets"}))
_OPERATE_CORE = Rule(
    WRITE_VERBS,
    frozenset({"", "events.k8s.io"}),
    frozenset({"pods", "pods/eviction", "configmaps", "services", "events"}),
    except_namespaces=frozenset({PROTECTED_NAMESPACE}),
)
_OPERATE_APPS = Rule(
    WRITE_VERBS,
    frozenset({"apps"}),
    frozenset({"deployments", "deployments/scale", "replicasets", "replicasets/scale"}),
    except_namespaces=frozenset({PROTECTED_NAMESPACE}),
)
RULES: dict[str, tuple[Rule, ...]] = {
    ADMIN: (Rule(_ALL, _ALL, _ALL),),
    OPERATOR: (_READ, _OPERATE_CORE, _OPERATE_APPS, _REVIEWS),
    READER: (_READ, _REVIEWS),
}


def authorize(user: User, attributes: Attributes) -> bool:
    """Whether this user may do this."""
    if attributes.path:
        return attributes.verb == "get" or user.role == ADMIN
    return any(rule.allows(attributes) for rule in RULES.get(user.role, ()))


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


def rules_of(user: User) -> Iterable[Rule]:
    """The rules of a user's role, for the rules review."""
    return RULES.get(user.role, ())


def _covers(allowed: frozenset[str], wanted: str) -> bool:
    return "*" in allowed or wanted in allowed
