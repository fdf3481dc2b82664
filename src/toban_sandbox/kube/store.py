"""All objects of the cluster as plain JSON, with one counter of changes, optimistic locking and a replayable log.

Used by the API, the controllers, the kubelet and worlds. It fills in defaults and validates
nothing (see `validation`). Stored objects are never changed in place: what it hands out may be kept, never written to.
"""

import asyncio
import logging
import random
import uuid
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from toban_sandbox import clock as clocks
from toban_sandbox.kube import addresses, admission, defaults, errors, kinds, objects

Json = dict[str, Any]
Names = list[str]

ADDED, MODIFIED, DELETED = "ADDED", "MODIFIED", "DELETED"
LOG_LENGTH = 2048
WATCH_BACKLOG = 4096
SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"

_KEPT = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "generateName")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Change:
    """One write: `obj` as it is now (for DELETED: as it last was) and `old` as it was before, None when it was not."""

    revision: int
    type: str
    resource: str
    obj: Json
    old: Json | None


class Watch:
    """The changes of one resource after a moment, without end; `close()` when done."""

    def __init__(self, store: "ObjectStore", resource: str, replay: list[Change]) -> None:
        self._store = store
        self._resource = resource
        self._waiting: deque[Change] = deque(replay)
        self._overflowed = False
        self._wake = asyncio.Event()

    def push(self, change: Change) -> None:
        if len(self._waiting) >= WATCH_BACKLOG:
            self._overflowed = True
        else:
            self._waiting.append(change)
        self._wake.set()

    async def next(self, timeout_s: float | None = None) -> Change | None:
        """The next change, or None after `timeout_s` real seconds; ApiError 410 when it fell too far behind."""
        if not self._waiting and not self._overflowed:
            self._wake.clear()
            try:
                await asyncio.wait_for(self._wake.wait(), timeout_s)
            except TimeoutError:
                return None
        if self._waiting:
            return self._waiting.popleft()
        if self._overflowed:
            raise errors.expired(0, self._store.revision)
        return None

    def close(self) -> None:
        self._store.forget(self._resource, self)


class ObjectStore:
    """Every object of the simulated cluster."""

    def __init__(self, clock: clocks.Clock, *, seed: int = 0, first_revision: int = 1) -> None:
        self.clock = clock
        self._revision = first_revision
        self._random = random.Random(seed)  # noqa: S311 -- names of objects, repeatable on purpose
        self._objects: dict[str, dict[tuple[str, str], Json]] = {}
        self._log: dict[str, deque[Change]] = {}
        self._forgotten: dict[str, int] = {}
        self._watches: dict[str, set[Watch]] = {}
        self._subscribers: list[Callable[[Change], None]] = []
        self._undelivered: deque[Change] = deque()
        self._delivering = False

    @property
    def revision(self) -> int:
        """The resourceVersion of the last change."""
        return self._revision

    def get(self, resource: str, namespace: str | None, name: str) -> Json | None:
        return self._objects.get(resource, {}).get((namespace or "", name))

    def list(self, resource: str, namespace: str | None = None) -> list[Json]:
        """Objects of one resource, in all namespaces when `namespace` is None, ordered by namespace and name."""
        found = self._objects.get(resource, {})
        return [found[key] for key in sorted(found) if namespace is None or key[0] == namespace]

    def count(self, resource: str) -> int:
        return len(self._objects.get(resource, {}))

    def each(self, resource: str) -> Iterator[Json]:
        """Objects of one resource in no particular order; cheaper than `list`."""
        return iter(tuple(self._objects.get(resource, {}).values()))

    def create(self, resource: str, obj: Json) -> Json:
        """Store a new object; fills name (from generateName), uid, resourceVersion, creationTimestamp and generation.

        Raises ApiError 409 AlreadyExists, and 403 when its namespace has no room for it.
        """
        new = self.prepare(resource, obj)
        key = self._key(new)
        if self.get(resource, *key) is not None:
            raise errors.already_exists(kinds.stored(resource).about, key[1])
        admission.check_create(self, kinds.stored(resource), new)
        return self._put(ADDED, resource, new, None)

    def prepare(self, resource: str, obj: Json) -> Json:
        """What `create` would store, without storing it."""
        kind = kinds.stored(resource)
        new: Json = {"apiVersion": kind.group_version, "kind": kind.kind}
        new |= {key: objects.copy(value) for key, value in obj.items() if key not in {"apiVersion", "kind"}}
        meta = new.setdefault("metadata", {})
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = self._generated(resource, meta)
        meta["uid"] = str(uuid.uuid4())
        meta["creationTimestamp"] = objects.timestamp(self.clock.now())
        for unset in ("resourceVersion", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"):
            meta.pop(unset, None)
        if kind.generation:
            meta["generation"] = 1
        self._complete(kind, new)
        admission.complete(self, kind, new)
        if kind.kind == "Pod":
            defaults.mount_token(new, self.suffix())
        return new

    def update(self, resource: str, obj: Json, *, subresource: str | None = None) -> Json:
        """Replace an object (its status only by `subresource="status"`); a change of nothing stores nothing.

        Raises ApiError 404, and 409 when metadata.resourceVersion is set and is not the stored one.
        """
        old, new = self.merged(resource, obj, subresource=subresource)
        if _same(old, new):
            return old
        if _may_go(new):
            return self._remove(resource, new)
        return self._put(MODIFIED, resource, new, old)

    def merged(self, resource: str, obj: Json, *, subresource: str | None = None) -> tuple[Json, Json]:
        """The stored object, and what `update` would put in its place (the same object when nothing changes)."""
        kind = kinds.stored(resource)
        name = objects.name_of(obj)
        old = self.get(resource, objects.namespace_of(obj), name)
        if old is None:
            raise errors.not_found(kind.about, name)
        _check_preconditions(kind.about, old, obj["metadata"])
        new = _status_only(old, obj) if subresource == "status" else _without_status(kind, old, obj)
        _keep_identity(kind, old, new)
        if subresource is None:
            self._complete(kind, new)
        if kind.generation and subresource is None and _content(new) != _content(old):
            new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
        return (old, old) if _same(old, new) else (old, new)

    def mark_deleting(self, resource: str, obj: Json, *, grace_s: int, finalizers: Names | None = None) -> Json:
        """Mark an object that goes only later: when its finalizers are gone and its time is over."""
        old = self.get(resource, objects.namespace_of(obj), objects.name_of(obj))
        if old is None:
            raise errors.not_found(kinds.stored(resource).about, objects.name_of(obj))
        new = old | {"metadata": dict(old["metadata"])}
        meta = new["metadata"]
        due = self.clock.now().timestamp() + grace_s
        meta["deletionTimestamp"] = objects.timestamp(_from_unix(due))
        meta["deletionGracePeriodSeconds"] = grace_s
        if meta.get("generation") and "deletionTimestamp" not in old["metadata"]:
            meta["generation"] += 1
        if finalizers is not None:
            meta["finalizers"] = finalizers
        return self._put(MODIFIED, resource, new, old)

    def delete(self, resource: str, namespace: str | None, name: str) -> Json:
        """Remove an object at once, whatever its finalizers; ApiError 404 when it is not there."""
        old = self.get(resource, namespace, name)
        if old is None:
            raise errors.not_found(kinds.stored(resource).about, name)
        return self._remove(resource, old)

    def watch(self, resource: str, since: int | None = None) -> Watch:
        """Changes after the revision `since` (None: from now on); ApiError 410 when the log no longer reaches back."""
        replay: list[Change] = []
        if since is not None and since < self._revision:
            oldest = self._forgotten.get(resource, 0)
            if since < oldest:
                raise errors.expired(since, oldest)
            replay = [change for change in self._log.get(resource, ()) if change.revision > since]
        watch = Watch(self, resource, replay)
        self._watches.setdefault(resource, set()).add(watch)
        return watch

    def forget(self, resource: str, watch: Watch) -> None:
        self._watches.get(resource, set()).discard(watch)

    def watching(self, resource: str) -> int:
        """How many watches there are on a resource."""
        return len(self._watches.get(resource, ()))

    def compact(self) -> None:
        """Forget every past change, as a real cluster does every few minutes; older watches get 410."""
        for resource in self._log:
            self._log[resource].clear()
            self._forgotten[resource] = self._revision

    def subscribe(self, callback: Callable[[str, str, Json], None]) -> None:
        """Call back with (event type, resource, object) on every change, in order, before the writer goes on."""
        self._subscribers.append(lambda change: callback(change.type, change.resource, change.obj))

    def subscribe_changes(self, callback: Callable[[Change], None]) -> None:
        """The same with the whole change, the object before included."""
        self._subscribers.append(callback)

    def suffix(self, length: int = 5) -> str:
        """Letters for the end of a generated name."""
        return "".join(self._random.choices(SUFFIX_LETTERS, k=length))

    def _complete(self, kind: kinds.Kind, new: Json) -> None:
        defaults.fill(kind.kind, new)
        if kind.kind == "Service":
            key = self._key(new)
            addresses.assign(new, (one for one in self.each("services") if self._key(one) != key))

    def _generated(self, resource: str, meta: Json) -> str:
        prefix = str(meta["generateName"])[:58]
        while True:
            name = prefix + self.suffix()
            if self.get(resource, meta.get("namespace"), name) is None:
                return name

    def _key(self, obj: Json) -> tuple[str, str]:
        return obj["metadata"].get("namespace") or "", obj["metadata"].get("name") or ""

    def _put(self, event: str, resource: str, new: Json, old: Json | None) -> Json:
        self._revision += 1
        new["metadata"]["resourceVersion"] = str(self._revision)
        self._objects.setdefault(resource, {})[self._key(new)] = new
        self._publish(Change(self._revision, event, resource, new, old))
        return new

    def _remove(self, resource: str, obj: Json) -> Json:
        self._revision += 1
        old = self._objects[resource].pop(self._key(obj))
        gone = obj | {"metadata": obj["metadata"] | {"resourceVersion": str(self._revision)}}
        self._publish(Change(self._revision, DELETED, resource, gone, old))
        return gone

    def _publish(self, change: Change) -> None:
        log = self._log.setdefault(change.resource, deque())
        if len(log) >= LOG_LENGTH:
            self._forgotten[change.resource] = log.popleft().revision
        log.append(change)
        for watch in tuple(self._watches.get(change.resource, ())):
            watch.push(change)
        self._undelivered.append(change)
        if not self._delivering:
            self._deliver()

    def _deliver(self) -> None:
        # A subscriber may write too; what it writes waits its turn, so that everybody sees one order.
        self._delivering = True
        try:
            while self._undelivered:
                change = self._undelivered.popleft()
                for subscriber in self._subscribers:
                    _call(subscriber, change)
        finally:
            self._delivering = False


def _call(subscriber: Callable[[Change], None], change: Change) -> None:
    try:
        subscriber(change)
    except Exception:  # noqa: BLE001 -- the border to code that is not ours
        # One broken listener must not fail another client's write.
        _log.exception("a listener failed on %s of %s", change.type, change.resource)


def _from_unix(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _check_preconditions(about: errors.About, old: Json, wanted: Json) -> None:
    uid = wanted.get("uid")
    if uid and uid != old["metadata"]["uid"]:
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {old['metadata']['uid']}"
        raise errors.conflict(about, old["metadata"]["name"], why)
    version = wanted.get("resourceVersion")
    if version and version != old["metadata"]["resourceVersion"]:
        raise errors.stale(about, old["metadata"]["name"])


def _status_only(old: Json, obj: Json) -> Json:
    new = old | {"metadata": dict(old["metadata"]), "status": objects.copy(obj.get("status") or {})}
    if "managedFields" in obj["metadata"]:
        new["metadata"]["managedFields"] = objects.copy(obj["metadata"]["managedFields"])
    return new


def _without_status(kind: kinds.Kind, old: Json, obj: Json) -> Json:
    new: Json = {"apiVersion": kind.group_version, "kind": kind.kind}
    new |= {key: objects.copy(value) for key, value in obj.items() if key not in {"apiVersion", "kind"}}
    if kind.subresource("status"):
        new.pop("status", None)
        if "status" in old:
            new["status"] = old["status"]
    return new


def _keep_identity(kind: kinds.Kind, old: Json, new: Json) -> None:
    new["apiVersion"], new["kind"] = kind.group_version, kind.kind
    meta = new["metadata"]
    for field in _KEPT:
        meta.pop(field, None)
        if field in old["metadata"]:
            meta[field] = old["metadata"][field]
    meta["resourceVersion"] = old["metadata"]["resourceVersion"]


def _content(obj: Json) -> Json:
    return {key: value for key, value in obj.items() if key not in {"metadata", "status"}}


def _comparable(obj: Json) -> Json:
    meta = obj["metadata"]
    if "managedFields" not in meta:
        return obj
    fields = [{key: value for key, value in entry.items() if key != "time"} for entry in meta["managedFields"] or ()]
    return obj | {"metadata": meta | {"managedFields": fields}}


def _same(old: Json, new: Json) -> bool:
    return old is new or _comparable(old) == _comparable(new)


def _may_go(obj: Json) -> bool:
    meta = obj["metadata"]
    if not meta.get("deletionTimestamp") or meta.get("finalizers"):
        return False
    if (obj.get("spec") or {}).get("finalizers"):
        return False
    return not meta.get("deletionGracePeriodSeconds")
