"""The history of templates that StatefulSets and DaemonSets keep as ControllerRevisions."""

from typing import Any

from toban_sandbox.controllers import rollout
from toban_sandbox.kube import deletion, kinds, objects
from toban_sandbox.kube import store as stores

Json = dict[str, Any]

HASH_LABEL = "controller-revision-hash"


def of_owner(store: stores.ObjectStore, owner: Json) -> list[Json]:
    """The revisions of one object, oldest first."""
    found = []
    for one in store.list("controllerrevisions", owner["metadata"]["namespace"]):
        above = objects.controller_of(one)
        if above is not None and above["uid"] == owner["metadata"]["uid"]:
            found.append(one)
    return sorted(found, key=lambda one: (one["revision"], objects.name_of(one)))


def current(store: stores.ObjectStore, owner: Json) -> Json:
    """The revision of the object's template as it is now, made or moved to the end of the history if need be."""
    known = of_owner(store, owner)
    template = owner["spec"]["template"]
    latest = known[-1]["revision"] if known else 0
    same = next((one for one in known if template_of(one) == template), None)
    if same is None:
        return _create(store, owner, latest + 1)
    if same["revision"] < latest:
        return store.update("controllerrevisions", same | {"revision": latest + 1})
    return same


def template_of(revision: Json) -> Json:
    """The pod template that a revision keeps."""
    template = dict(revision["data"]["spec"]["template"])
    template.pop("$patch", None)
    return template


def short_mark(revision: Json) -> str:
    """The hash by which a daemon's pods name the revision they were made from."""
    return objects.labels(revision).get(HASH_LABEL, "")


def _create(store: stores.ObjectStore, owner: Json, number: int) -> Json:
    template = owner["spec"]["template"]
    mark = rollout.template_hash(template, 0)
    labels = {**((template.get("metadata") or {}).get("labels") or {}), HASH_LABEL: mark}
    meta: Json = {
        "name": f"{objects.name_of(owner)}-{mark}",
        "namespace": owner["metadata"]["namespace"],
        "labels": labels,
        "ownerReferences": [objects.owner_reference(owner)],
    }
    cause = objects.annotations(owner)
    if cause:
        meta["annotations"] = dict(cause)
    kept = {"spec": {"template": {**objects.copy(template), "$patch": "replace"}}}
    return store.create("controllerrevisions", {"metadata": meta, "data": kept, "revision": number})


def forget(store: stores.ObjectStore, owner: Json, *, in_use: set[str]) -> None:
    """Delete the oldest revisions beyond the object's limit; those in use stay."""
    limit = int(owner["spec"].get("revisionHistoryLimit", 10))
    idle = [one for one in of_owner(store, owner) if objects.name_of(one) not in in_use]
    for one in idle[: max(0, len(idle) - limit)]:
        deletion.delete(store, kinds.stored("controllerrevisions"), one, deletion.Options())
