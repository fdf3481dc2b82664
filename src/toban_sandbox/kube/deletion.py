"""Deletes: at once, gracefully for pods, by finalizers where dependents have a say, and whole collections.

Called by `kube.api` and by the controllers; the garbage collector does what the finalizers ask for.
"""

from dataclasses import dataclass
from typing import Any

from toban_sandbox.kube import errors, kinds, objects, shapes
from toban_sandbox.kube import store as stores

Json = dict[str, Any]

FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
_POLICIES = {"Foreground": FOREGROUND, "Orphan": ORPHAN}
DEFAULT_GRACE_S = 30


@dataclass(frozen=True)
class Options:
    """What a client may say about a delete."""

    grace_s: int | None = None
    policy: str = ""
    uid: str = ""
    resource_version: str = ""
    dry_run: bool = False


def read_options(body: Any, query: dict[str, str], *, dry_run: bool) -> Options:
    """The options of a delete out of its body and query; ApiError 400 or 422."""
    given = shapes.check_options(body, "meta_v1", "DeleteOptions")
    grace = given.get("gracePeriodSeconds")
    if grace is None and query.get("gracePeriodSeconds", "").lstrip("-").isdigit():
        grace = int(query["gracePeriodSeconds"])
    policy = given.get("propagationPolicy") or query.get("propagationPolicy") or ""
    if given.get("orphanDependents") or query.get("orphanDependents") == "true":
        policy = "Orphan"
    if policy not in {"", "Background", *_POLICIES}:
        listed = '"Background", "Foreground", "Orphan"'
        cause = errors.Cause("propagationPolicy", f'Unsupported value: "{policy}": supported values: {listed}')
        raise errors.invalid(errors.About("deleteoptions", "meta.k8s.io", "DeleteOptions"), "", [cause])
    conditions = given.get("preconditions") or {}
    return Options(
        grace,
        policy,
        conditions.get("uid") or "",
        conditions.get("resourceVersion") or "",
        dry_run or "All" in (given.get("dryRun") or ()),
    )


def delete(store: stores.ObjectStore, kind: kinds.Kind, obj: Json, options: Options) -> tuple[Json, bool]:
    """Delete one object; returns it as it is now, and whether it is gone already. ApiError 409 by preconditions."""
    _check_preconditions(kind, obj, options)
    finalizers = _finalizers(obj, options)
    grace = _grace(kind, obj, options)
    lingers = bool(finalizers) or grace > 0 or bool((obj.get("spec") or {}).get("finalizers"))
    if options.dry_run:
        return obj, not lingers
    if not lingers:
        return store.delete(kind.stored_as, obj["metadata"].get("namespace"), obj["metadata"]["name"]), True
    if objects.is_terminating(obj) and not _hastens(obj, grace):
        return obj, False
    return store.mark_deleting(kind.stored_as, obj, grace_s=grace, finalizers=finalizers or None), False


def status(kind: kinds.Kind, obj: Json) -> Json:
    """The answer for an object that is gone."""
    details: Json = {"name": obj["metadata"]["name"]}
    if kind.group:
        details["group"] = kind.group
    details |= {"kind": kind.resource, "uid": obj["metadata"]["uid"]}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}


def _check_preconditions(kind: kinds.Kind, obj: Json, options: Options) -> None:
    meta = obj["metadata"]
    for field, name, wanted in (
        ("uid", "UID", options.uid),
        ("resourceVersion", "ResourceVersion", options.resource_version),
    ):
        if wanted and wanted != meta[field]:
            why = (
                f"the {name} in the precondition ({wanted}) does not match the {name} in record ({meta[field]}). "
                "The object might have been deleted and then recreated"
                if name == "UID"
                else f"the ResourceVersion in the precondition ({wanted}) does not match the ResourceVersion in record "
                f"({meta[field]}). The object might have been modified"
            )
            raise errors.conflict(kind.about, meta["name"], why)


def _finalizers(obj: Json, options: Options) -> list[str]:
    kept = [one for one in obj["metadata"].get("finalizers") or [] if one not in {FOREGROUND, ORPHAN}]
    before = set(obj["metadata"].get("finalizers") or ())
    asked = _POLICIES.get(options.policy)
    if asked:
        return [*kept, asked]
    # A background delete leaves an earlier wish of the object's own as it is.
    return [*kept, *sorted(before & {FOREGROUND, ORPHAN})] if not options.policy else kept


def _grace(kind: kinds.Kind, obj: Json, options: Options) -> int:
    """Seconds that a pod gets to stop; nothing else is given time."""
    if kind.kind != "Pod":
        return 0
    spec = obj.get("spec") or {}
    if not spec.get("nodeName") or objects.is_finished(obj):
        return 0
    if options.grace_s is not None:
        return max(0, int(options.grace_s))
    return int(spec.get("terminationGracePeriodSeconds", DEFAULT_GRACE_S))


def _hastens(obj: Json, grace: int) -> bool:
    return grace < int(obj["metadata"].get("deletionGracePeriodSeconds") or 0)
