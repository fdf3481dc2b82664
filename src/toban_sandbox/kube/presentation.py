"""How stored objects are shown to a client: API version of the path, lists, tables, metadata only.

Used by reading, writing and watching. Nothing here changes an object.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from toban_sandbox.kube import autoscaling, kinds, tables

Json = dict[str, Any]

PLAIN, TABLE, PARTIAL = "", "Table", "PartialObjectMetadata"
_EVENTS_GROUP = "events.k8s.io"
_EVENT_NAMES = {
    "involvedObject": "regarding",
    "message": "note",
    "reportingComponent": "reportingController",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
}
_CORE_EVENT_NAMES = {new: old for old, new in _EVENT_NAMES.items()}


@dataclass(frozen=True)
class View:
    """What a client wants to see: the kind of the path, the form it accepts, and the rest of a table's question."""

    kind: kinds.Kind
    form: str
    include: str
    now: datetime

    def one(self, obj: Json) -> Json:
        """One object as the client wants it."""
        shown = external(self.kind, obj)
        if self.form == TABLE:
            metadata = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
            return tables.table(self.kind.kind, [obj], metadata=metadata, now=self.now, include=self.include)
        return tables.partial(shown) if self.form == PARTIAL else shown

    def several(self, items: Sequence[Json], metadata: Json) -> Json:
        """A list as the client wants it."""
        if self.form == TABLE:
            return tables.table(self.kind.kind, items, metadata=metadata, now=self.now, include=self.include)
        if self.form == PARTIAL:
            partial = [tables.partial(obj) for obj in items]
            return {
                "kind": "PartialObjectMetadataList",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": metadata,
                "items": partial,
            }
        shown = [_unlabelled(external(self.kind, obj)) for obj in items]
        return {
            "kind": f"{self.kind.kind}List",
            "apiVersion": self.kind.group_version,
            "metadata": metadata,
            "items": shown,
        }

    def event(self, obj: Json, *, first: bool) -> Json:
        """The object of a watch event; only a table's first event carries the columns."""
        if self.form == TABLE:
            metadata = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
            return tables.table(
                self.kind.kind, [obj], metadata=metadata, now=self.now, include=self.include, headers=first
            )
        return self.one(obj)


def form_of(accept: str) -> str:
    """The first form in an `Accept` header that can be served as JSON."""
    for part in accept.split(","):
        media, *parameters = [piece.strip() for piece in part.split(";")]
        if media not in {"application/json", "*/*", "application/*", ""}:
            continue
        wanted = {key: value for key, _, value in (one.partition("=") for one in parameters)}
        form = wanted.get("as", PLAIN)
        if form in {PARTIAL, f"{PARTIAL}List"}:
            return PARTIAL
        if form == TABLE and wanted.get("v", "v1") == "v1":
            return TABLE
        if form == PLAIN:
            return PLAIN
    return PLAIN


def external(kind: kinds.Kind, obj: Json) -> Json:
    """A stored object as this kind's group and version shows it."""
    if kind.kind == autoscaling.KIND and kind.version == "v1":
        return autoscaling.as_v1(obj)
    if kind.group != _EVENTS_GROUP:
        return obj
    shown = {_EVENT_NAMES.get(key, key): value for key, value in obj.items()}
    return shown | {"apiVersion": kind.group_version}


def internal(kind: kinds.Kind, obj: Json) -> Json:
    """A client's object as it is stored."""
    if kind.kind == autoscaling.KIND and kind.version == "v1":
        return autoscaling.from_v1(obj)
    if kind.group != _EVENTS_GROUP:
        return obj
    stored = {_CORE_EVENT_NAMES.get(key, key): value for key, value in obj.items()}
    return stored | {"apiVersion": kinds.stored(kind.stored_as).group_version}


def _unlabelled(obj: Json) -> Json:
    return {key: value for key, value in obj.items() if key not in {"apiVersion", "kind"}}
