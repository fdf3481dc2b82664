"""Answers every permission question from the bindings and roles in the store.

Used by the API and the access reviews. What it has worked out for a user is kept until a role or binding changes.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from toban_sandbox.kube import auth
from toban_sandbox.kube import store as stores
from toban_sandbox.kube.rbac import rules

Json = dict[str, Any]

MASTERS = "system:masters"
RESOURCES = frozenset({"roles", "clusterroles", "rolebindings", "clusterrolebindings"})
_REMEMBERED = 512


class Grant(NamedTuple):
    """One rule that a user holds, and the words that say by which binding."""

    rule: Json
    source: str


class Decision(NamedTuple):
    """Whether something is allowed, and why; a refusal gives a reason only when a role is missing."""

    allowed: bool
    reason: str


class Authorizer:
    """Who may do what, by the objects in a store."""

    def __init__(self, store: stores.ObjectStore) -> None:
        self._store = store
        self._known: dict[tuple[str, tuple[str, ...], str], list[Grant]] = {}
        store.subscribe_changes(self._observe)

    def decide(self, user: auth.User, wanted: auth.Attributes) -> Decision:
        """Whether this user may do this."""
        if MASTERS in user.all_groups:
            return Decision(allowed=True, reason="")
        for rule, source in self.grants(user, wanted.namespace):
            if rules.allows(rule, wanted):
                return Decision(allowed=True, reason=f"RBAC: allowed by {source}")
        return Decision(allowed=False, reason="")

    def allows(self, user: auth.User, wanted: auth.Attributes) -> bool:
        return self.decide(user, wanted).allowed

    def grants(self, user: auth.User, namespace: str) -> list[Grant]:
        """Every rule that a user holds in a namespace (by cluster-wide bindings only when it is empty)."""
        key = (user.name, user.all_groups, namespace)
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            found = self._known[key] = list(self._collect(user, namespace))
        return found

    def role_rules(self, reference: Json, namespace: str) -> list[Json] | None:
        """The rules of the role that a binding names; None when there is no such role."""
        if reference.get("kind") == "ClusterRole":
            role = self._store.get("clusterroles", None, str(reference.get("name")))
        else:
            role = self._store.get("roles", namespace, str(reference.get("name")))
        return None if role is None else list(role.get("rules") or ())

    def _collect(self, user: auth.User, namespace: str) -> Iterator[Grant]:
        bindings = self._store.list("clusterrolebindings")
        if namespace:
            bindings = [*bindings, *self._store.list("rolebindings", namespace)]
        for binding in bindings:
            place = binding["metadata"].get("namespace", "")
            subject = next((one for one in binding.get("subjects") or () if _is(one, user, place)), None)
            if subject is not None:
                reference = binding["roleRef"]
                source = _source(binding, reference, subject)
                yield from (Grant(rule, source) for rule in self.role_rules(reference, place) or ())

    def _observe(self, change: stores.Change) -> None:
        if change.resource in RESOURCES:
            self._known.clear()


def _is(subject: Json, user: auth.User, namespace: str) -> bool:
    match subject.get("kind"):
        case "User":
            return bool(subject.get("name") == user.name)
        case "Group":
            return subject.get("name") in user.all_groups
        case "ServiceAccount":
            place = subject.get("namespace") or namespace
            return user.name == auth.service_account_name(place, str(subject.get("name")))
        case _:
            return False


def _source(binding: Json, reference: Json, subject: Json) -> str:
    name = binding["metadata"]["name"]
    place = binding["metadata"].get("namespace")
    shown = f'RoleBinding "{name}/{place}"' if place else f'ClusterRoleBinding "{name}"'
    who = subject.get("name")
    if subject.get("kind") == "ServiceAccount":
        who = f"{who}/{subject.get('namespace') or place}"
    return f'{shown} of {reference.get("kind")} "{reference.get("name")}" to {subject.get("kind")} "{who}"'
