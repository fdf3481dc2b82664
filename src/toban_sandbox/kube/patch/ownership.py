"""Which manager owns which fields: the `managedFields` of an object read, written and compared.

A path is a tuple of `fieldsV1` elements (`f:spec`, `k:{"name":"app"}`, `v:"x"`). Used by server-side apply and by every
other write; it decides nothing.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from toban_sandbox.kube.patch import schema as schemas

Json = dict[str, Any]
Path = tuple[str, ...]

APPLY, UPDATE = "Apply", "Update"
_ITEM = object()
_UNOWNED = {
    ("f:apiVersion",),
    ("f:kind",),
    *(("f:metadata", f"f:{name}") for name in (
        "name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "selfLink", "managedFields",
        "deletionTimestamp", "deletionGracePeriodSeconds",
    )),
}  # fmt: skip


@dataclass(frozen=True)
class Manager:
    """Who writes, how, and to which subresource."""

    name: str
    operation: str
    api_version: str
    subresource: str = ""

    def described(self) -> str:
        """The manager as refusals name it."""
        text = json.dumps(self.name)
        if self.subresource:
            text += f' with subresource "{self.subresource}"'
        return f"{text} using {self.api_version}" if self.operation == UPDATE else text


@dataclass(frozen=True)
class Entry:
    """One manager's fields and when it last wrote."""

    manager: Manager
    paths: frozenset[Path] = field(default_factory=frozenset)
    time: str = ""

    def without(self, paths: Iterable[Path]) -> "Entry":
        return replace(self, paths=self.paths - frozenset(paths))


def leaves(obj: Json, schema: schemas.Schema) -> dict[Path, Any]:
    """Every field that can be owned, with its value; list items that have keys count as fields themselves."""
    found = dict(_walk(obj, schema, ()))
    return {path: value for path, value in found.items() if path[:2] not in _UNOWNED and path[:1] not in _UNOWNED}


def _walk(value: Any, schema: schemas.Schema, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, dict) and value and not schema.atomic:
        for name, one in value.items():
            yield from _walk(one, schema.child(name), (*path, f"f:{name}"))
    elif isinstance(value, list) and value and schema.list_type == "map":
        for one in value:
            below = (*path, item_element(one, schema))
            yield below, _ITEM
            yield from _walk(one, schema.items, below)
    elif isinstance(value, list) and value and schema.list_type == "set":
        for one in value:
            yield (*path, "v:" + _dumps(one)), one
    elif path:
        yield path, value


def item_element(item: Any, schema: schemas.Schema) -> str:
    """The path element of a list item: the keys that tell it apart."""
    found = {key: item.get(key, schemas.KEY_DEFAULTS.get(key)) for key in schema.keys} if isinstance(item, dict) else {}
    return "k:" + _dumps({key: value for key, value in found.items() if value is not None})


def changed(old: dict[Path, Any], new: dict[Path, Any]) -> tuple[set[Path], set[Path]]:
    """Paths written (added or modified), and paths that are gone."""
    written = {path for path, value in new.items() if path not in old or not _equal(old[path], value)}
    return written, set(old) - set(new)


def _equal(one: Any, other: Any) -> bool:
    return one is other or (one == other and isinstance(one, bool) == isinstance(other, bool))


def read(obj: Json) -> list[Entry]:
    """The entries of an object's `managedFields`."""
    entries = []
    for raw in obj["metadata"].get("managedFields") or ():
        manager = Manager(
            raw.get("manager", ""), raw.get("operation", UPDATE), raw.get("apiVersion", ""), raw.get("subresource", "")
        )
        paths = frozenset(_parse(raw.get("fieldsV1") or {}, ()))
        entries.append(Entry(manager, paths, raw.get("time", "")))
    return entries


def _parse(node: Json, path: Path) -> Iterator[Path]:
    if path and (not node or "." in node):
        yield path
    for element, below in node.items():
        if element != ".":
            yield from _parse(below, (*path, element))


def write(entries: Iterable[Entry]) -> list[Json]:
    """The entries as `managedFields`, those that own nothing left out."""
    written = []
    for entry in sorted(entries, key=lambda one: (one.manager.operation != APPLY, one.time, one.manager.name)):
        if not entry.paths:
            continue
        raw: Json = {
            "apiVersion": entry.manager.api_version,
            "fieldsType": "FieldsV1",
            "fieldsV1": _tree(entry.paths),
            "manager": entry.manager.name,
            "operation": entry.manager.operation,
        }
        if entry.manager.subresource:
            raw["subresource"] = entry.manager.subresource
        raw["time"] = entry.time
        written.append(raw)
    return written


def _tree(paths: Iterable[Path]) -> Json:
    root: Json = {}
    ordered = sorted(paths)
    inner = {path[:depth] for path in ordered for depth in range(1, len(path))}
    for path in ordered:
        node = root
        for element in path:
            node = node.setdefault(element, {})
        if path in inner:
            node["."] = {}
    return root


def shown(path: Path) -> str:
    """A path as refusals show it, such as `.spec.containers[name="app"].image`."""
    text = ""
    for element in path:
        mark, _, rest = element.partition(":")
        if mark == "f":
            text += f".{rest}"
        elif mark == "k":
            text += "[" + ",".join(f"{key}={_dumps(value)}" for key, value in json.loads(rest).items()) + "]"
        else:
            text += f"[={rest}]"
    return text


def _dumps(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)
