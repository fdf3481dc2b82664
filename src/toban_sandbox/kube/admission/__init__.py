"""What the API server decides out of other objects when one is written: limits, quotas, classes, service accounts.

The store completes new objects with `complete`; API and store let `check_create` and `check_update` refuse. Whether an
object is valid in itself is `validation`'s matter.
"""

from typing import Any

from toban_sandbox.kube import kinds
from toban_sandbox.kube.admission import accounts, limits, priorities, quotas, storage
from toban_sandbox.kube.admission.objects import Objects

Json = dict[str, Any]

__all__ = ["Objects", "check_create", "check_update", "complete"]


def complete(store: Objects, kind: kinds.Kind, obj: Json) -> None:
    """Fill in, in place, what other objects say about a new one."""
    if kind.kind == "Pod":
        limits.complete(store, obj)
        priorities.complete(store, obj)
        accounts.complete(store, obj)
    elif kind.kind == "PersistentVolumeClaim":
        storage.complete(store, obj)


def check_create(store: Objects, kind: kinds.Kind, obj: Json) -> None:
    """ApiError 403 when a new object is more than its namespace may have."""
    if kind.kind == "Pod":
        accounts.check(store, kind, obj)
        priorities.check(store, kind, obj)
    limits.check(store, kind, obj)
    quotas.check(store, kind, obj)


def check_update(store: Objects, kind: kinds.Kind, new: Json, old: Json) -> None:
    """ApiError 403 when an object may not become this because of others."""
    if kind.kind == "PersistentVolumeClaim":
        storage.check_resize(store, kind, new, old)
        limits.check(store, kind, new)
    if kind.kind in quotas.MEASURED_KINDS:
        quotas.check(store, kind, new, old)
