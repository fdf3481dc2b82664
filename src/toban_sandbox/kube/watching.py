"""Watches: the stream of changes that a client's selectors choose, with replay, initial events and bookmarks."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

from toban_sandbox.kube import errors, presentation, reading, requests, selectors
from toban_sandbox.kube import store as stores

Json = dict[str, Any]
Matches = Callable[[Json], bool]

BOOKMARK_EVERY_S = 30.0
LONGEST_S = 1800.0
INITIAL_END = "k8s.io/initial-events-end"


class Stream:
    """One watch as the bytes of its answer: one JSON document a line."""

    def __init__(self, store: stores.ObjectStore, request: requests.ResourceRequest, view: presentation.View) -> None:
        self._store = store
        self._request = request
        self._view = view
        self._first = True
        labels = selectors.parse_labels(request.query.get("labelSelector", ""))
        fields = selectors.parse_fields(request.query.get("fieldSelector", ""), request.kind.stored_as)
        self._matches = selectors.matcher(labels, fields)
        self._initial, self._since = self._start()

    def _start(self) -> tuple[list[Json], int | None]:
        """Objects to send first, and the revision to go on from."""
        since = reading.asked_revision(self._store, self._request)
        if self._request.flag("sendInitialEvents") or not since:
            return reading.chosen(self._store, self._request), self._store.revision
        return [], since

    async def lines(self, clock_s: Callable[[], float]) -> AsyncIterator[bytes]:
        """The stream until its time is over; `clock_s` tells real seconds."""
        try:
            watch = self._store.watch(self._request.kind.stored_as, self._since)
        except errors.ApiError as refused:
            yield _line("ERROR", refused.status())
            return
        try:
            for obj in self._initial:
                yield self._event(stores.ADDED, obj)
            if self._request.flag("sendInitialEvents"):
                yield self._bookmark(annotations={INITIAL_END: "true"})
            async for line in self._changes(watch, clock_s):
                yield line
        finally:
            watch.close()

    async def _changes(self, watch: stores.Watch, clock_s: Callable[[], float]) -> AsyncIterator[bytes]:
        ends = clock_s() + min(self._request.number("timeoutSeconds") or LONGEST_S, LONGEST_S)
        bookmarks = self._request.flag("allowWatchBookmarks")
        while (left := ends - clock_s()) > 0:
            try:
                change = await watch.next(min(left, BOOKMARK_EVERY_S))
            except errors.ApiError as refused:
                yield _line("ERROR", refused.status())
                return
            if change is not None:
                line = self._change(change)
                if line:
                    yield line
            elif bookmarks:
                yield self._bookmark()

    def _change(self, change: stores.Change) -> bytes:
        if self._request.namespace and change.obj["metadata"].get("namespace") != self._request.namespace:
            return b""
        event = seen_as(change, self._matches)
        return self._event(event, change.obj) if event else b""

    def _event(self, event: str, obj: Json) -> bytes:
        view = replace(self._view, now=self._store.clock.now())
        shown = view.event(obj, first=self._first)
        self._first = False
        return _line(event, shown)

    def _bookmark(self, annotations: dict[str, str] | None = None) -> bytes:
        kind = self._request.kind
        metadata: Json = {"resourceVersion": str(self._store.revision), "creationTimestamp": None}
        if annotations:
            metadata["annotations"] = annotations
        bare: Json = {"kind": kind.kind, "apiVersion": kind.group_version, "metadata": metadata}
        if self._view.form == presentation.TABLE:
            bare = _empty_table(bare)
        elif self._view.form == presentation.PARTIAL:
            bare |= {"kind": presentation.PARTIAL, "apiVersion": "meta.k8s.io/v1"}
        return _line("BOOKMARK", bare)


def seen_as(change: stores.Change, matches: Matches) -> str:
    """The event a watcher sees: an object that comes into its selection is ADDED, one that leaves it DELETED."""
    before = change.old is not None and matches(change.old)
    now = change.type != stores.DELETED and matches(change.obj)
    if now:
        return stores.MODIFIED if before else stores.ADDED
    return stores.DELETED if before else ""


def _empty_table(bare: Json) -> Json:
    row = {"cells": [], "object": bare | {"kind": presentation.PARTIAL, "apiVersion": "meta.k8s.io/v1"}}
    metadata = {"resourceVersion": bare["metadata"]["resourceVersion"]}
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": [],
        "rows": [row],
    }


def _line(event: str, obj: Json) -> bytes:
    return json.dumps({"type": event, "object": obj}, separators=(",", ":")).encode() + b"\n"
