"""Garbage collection: what nobody owns any more goes; owners that wait for their dependents are let go."""

from collections.abc import Iterator
from typing import Any

from toban_sandbox.controllers import loop
from toban_sandbox.kube import deletion, kinds, objects
from toban_sandbox.kube import store as stores

Json = dict[str, Any]
Place = tuple[str, str, str]  # resource, namespace, name


class GarbageCollector(loop.Controller):
    """Follows `ownerReferences` of every resource."""

    resources = tuple(sorted({kind.stored_as for kind in kinds.KINDS if not kind.create_only} - {"events"}))

    def __init__(self, store: stores.ObjectStore) -> None:
        super().__init__(store)
        self._dependents: dict[str, set[Place]] = {}
        self._uids: set[str] = set()

    def observe(self, change: stores.Change) -> None:
        place = (change.resource, *loop.key_of(change.obj))
        uid = change.obj["metadata"]["uid"]
        for owner in _owner_uids(change.old):
            self._dependents.get(owner, set()).discard(place)
        if change.type == stores.DELETED:
            self._uids.discard(uid)
            for dependent in self._dependents.pop(uid, set()):
                self.queue.add(dependent)
            self._wake_waiting_owners(change.obj)
            return
        self._uids.add(uid)
        owners = _owner_uids(change.obj)
        for owner in owners:
            self._dependents.setdefault(owner, set()).add(place)
        waits = set(change.obj["metadata"].get("finalizers") or ()) & {deletion.FOREGROUND, deletion.ORPHAN}
        if owners or (waits and objects.is_terminating(change.obj)):
            self.queue.add(place)

    def sync(self, key: Place) -> None:
        resource, namespace, name = key
        obj = self.store.get(resource, namespace, name)
        if obj is None:
            return
        finalizers = obj["metadata"].get("finalizers") or []
        if objects.is_terminating(obj):
            if deletion.ORPHAN in finalizers:
                self._orphan(resource, obj)
            elif deletion.FOREGROUND in finalizers:
                self._delete_dependents_first(resource, obj)
            return
        self._collect(resource, obj)

    def _collect(self, resource: str, obj: Json) -> None:
        references = obj["metadata"].get("ownerReferences") or []
        if not references:
            return
        gone = [one for one in references if one["uid"] not in self._uids]
        if not gone:
            return
        if len(gone) == len(references):
            policy = "Foreground" if deletion.FOREGROUND in (obj["metadata"].get("finalizers") or ()) else "Background"
            deletion.delete(self.store, kinds.stored(resource), obj, deletion.Options(policy=policy))
            return
        kept = [one for one in references if one not in gone]
        self.store.update(resource, obj | {"metadata": obj["metadata"] | {"ownerReferences": kept}})

    def _orphan(self, resource: str, owner: Json) -> None:
        uid = owner["metadata"]["uid"]
        for place, dependent in list(self._dependents_of(uid)):
            kept = [one for one in dependent["metadata"].get("ownerReferences") or () if one["uid"] != uid]
            self.store.update(place[0], dependent | {"metadata": dependent["metadata"] | {"ownerReferences": kept}})
        self._release(resource, owner, deletion.ORPHAN)

    def _delete_dependents_first(self, resource: str, owner: Json) -> None:
        waiting = False
        for place, dependent in list(self._dependents_of(owner["metadata"]["uid"])):
            if not objects.is_terminating(dependent):
                options = deletion.Options(policy="Foreground" if place[0] != "pods" else "Background")
                deletion.delete(self.store, kinds.stored(place[0]), dependent, options)
            blocks = any(
                one.get("blockOwnerDeletion")
                for one in dependent["metadata"].get("ownerReferences") or ()
                if one["uid"] == owner["metadata"]["uid"]
            )
            waiting = waiting or (blocks and self.store.get(*place) is not None)
        if not waiting:
            self._release(resource, owner, deletion.FOREGROUND)

    def _release(self, resource: str, owner: Json, finalizer: str) -> None:
        current = self.store.get(resource, *loop.key_of(owner))
        if current is None:
            return
        kept = [one for one in current["metadata"].get("finalizers") or () if one != finalizer]
        self.store.update(resource, current | {"metadata": current["metadata"] | {"finalizers": kept}})

    def _dependents_of(self, uid: str) -> Iterator[tuple[Place, Json]]:
        for place in sorted(self._dependents.get(uid, set())):
            obj = self.store.get(*place)
            if obj is not None:
                yield place, obj

    def _wake_waiting_owners(self, gone: Json) -> None:
        for reference in gone["metadata"].get("ownerReferences") or ():
            kind = kinds.of_object(reference.get("apiVersion", ""), reference.get("kind", ""))
            if kind is not None:
                namespace = gone["metadata"].get("namespace") or "" if kind.namespaced else ""
                owner = self.store.get(kind.stored_as, namespace, reference["name"])
                if owner is not None and objects.is_terminating(owner):
                    self.queue.add((kind.stored_as, namespace, reference["name"]))


def _owner_uids(obj: Json | None) -> list[str]:
    return [] if obj is None else [str(one["uid"]) for one in obj["metadata"].get("ownerReferences") or ()]
