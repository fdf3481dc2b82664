"""Keeps a cluster's roles in order: the first ones, collected ones, and what operators get in each new namespace."""

from typing import Any

from toban_sandbox.kube import auth, errors, objects, selectors
from toban_sandbox.kube import store as stores
from toban_sandbox.kube.rbac import policy

Json = dict[str, Any]


def seed(store: stores.ObjectStore) -> None:
    """Store the roles and bindings of a new cluster, and go on keeping them as the cluster changes."""
    for role in policy.cluster_roles():
        _ensure(store, "clusterroles", role)
    for binding in policy.cluster_bindings():
        _ensure(store, "clusterrolebindings", binding)
    for namespace in store.list("namespaces"):
        _let_operators_in(store, namespace)
    for _ in range(2):  # edit collects from view, and admin from edit
        _collect(store)
    store.subscribe_changes(lambda change: _observe(store, change))


def _observe(store: stores.ObjectStore, change: stores.Change) -> None:
    if change.resource == "namespaces" and change.type == stores.ADDED:
        _let_operators_in(store, change.obj)
    elif change.resource == "clusterroles":
        _collect(store)


def _ensure(store: stores.ObjectStore, resource: str, obj: Json) -> None:
    if store.get(resource, objects.namespace_of(obj), objects.name_of(obj)) is None:
        store.create(resource, obj)


def _let_operators_in(store: stores.ObjectStore, namespace: Json) -> None:
    name = objects.name_of(namespace)
    if name == auth.PROTECTED_NAMESPACE or objects.is_terminating(namespace):
        return
    try:
        _ensure(store, "rolebindings", policy.operator_binding(name))
    except errors.ApiError:
        # The namespace has gone again; nobody needs to work in it.
        return


def _collect(store: stores.ObjectStore) -> None:
    """Give roles that collect others' rules what those hold now."""
    for role in store.list("clusterroles"):
        wanted = (role.get("aggregationRule") or {}).get("clusterRoleSelectors")
        if not wanted:
            continue
        found: list[Json] = []
        for one in store.list("clusterroles"):
            if one is not role and _chosen(one, wanted):
                found += [rule for rule in one.get("rules") or () if rule not in found]
        if found != (role.get("rules") or []):
            store.update("clusterroles", role | {"rules": found})


def _chosen(role: Json, wanted: list[Json]) -> bool:
    return any(selectors.matches_labels(selectors.of_object(one), objects.labels(role)) for one in wanted)
