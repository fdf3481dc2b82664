"""Server-side apply, and the book-keeping of ownership for every other kind of write.

Called by the write handlers with the object as stored and the object as wanted; the result still has to be validated.
"""

from typing import Any

from toban_sandbox.kube import errors, objects
from toban_sandbox.kube.patch import ownership
from toban_sandbox.kube.patch import schema as schemas

Json = dict[str, Any]


def apply(live: Json | None, wanted: Json, manager: ownership.Manager, *, force: bool, time: str) -> Json:
    """The object after an apply; ApiError 409 when it would change fields of others and `force` is off."""
    schema = schemas.of_kind(str(wanted["kind"]))
    base = live if live is not None else _bare(wanted)
    before = ownership.leaves(base, schema)
    configured = frozenset(ownership.leaves(wanted, schema))
    entries = ownership.read(base)
    mine = next((entry for entry in entries if entry.manager == manager), ownership.Entry(manager))
    others = [entry for entry in entries if entry.manager != manager]

    merged = _merge(base, _stripped(wanted), schema)
    dropped = mine.paths - configured - frozenset().union(*(entry.paths for entry in others))
    merged = _prune(merged, dropped, schema, protected=_prefixes(configured, others))
    after = ownership.leaves(merged, schema)
    written, removed = ownership.changed(before, after)
    if not force:
        _refuse_conflicts(others, written & configured)
    left = [entry.without(written | removed) for entry in others]
    left.append(ownership.Entry(manager, configured, _kept_time(mine, configured, written, time)))
    merged["metadata"]["managedFields"] = ownership.write(left)
    return merged


def record_update(live: Json | None, new: Json, manager: ownership.Manager, *, time: str) -> Json:
    """The new object with `managedFields` that say what this update has changed."""
    schema = schemas.of_kind(str(new["kind"]))
    if live is not None and _rewrites_ownership(live, new):
        return new
    entries = ownership.read(live) if live is not None else []
    before = ownership.leaves(live, schema) if live is not None else {}
    written, removed = ownership.changed(before, ownership.leaves(new, schema))
    if not written and not removed:
        managed = live["metadata"].get("managedFields") if live is not None else None
        return _with_managed(new, managed)
    mine = next((entry for entry in entries if entry.manager == manager), ownership.Entry(manager))
    kept = [entry.without(written | removed) for entry in entries if entry.manager != manager]
    paths = (mine.paths | written) - removed
    kept.append(ownership.Entry(manager, paths, time if written or removed & mine.paths else mine.time or time))
    return _with_managed(new, ownership.write(kept))


def _rewrites_ownership(live: Json, new: Json) -> bool:
    # kubectl hands its own fields over from client-side to server-side apply by writing managedFields itself.
    given = new["metadata"].get("managedFields")
    return given is not None and given != live["metadata"].get("managedFields") and given != [{}]


def _with_managed(obj: Json, managed: Any) -> Json:
    meta = dict(obj["metadata"])
    meta.pop("managedFields", None)
    if managed:
        meta["managedFields"] = managed
    return obj | {"metadata": meta}


def _bare(wanted: Json) -> Json:
    return {"apiVersion": wanted["apiVersion"], "kind": wanted["kind"], "metadata": {}}


def _stripped(wanted: Json) -> Json:
    meta = {
        key: value for key, value in wanted["metadata"].items() if key not in {"managedFields", "creationTimestamp"}
    }
    return wanted | {"metadata": meta}


def _kept_time(
    mine: ownership.Entry, configured: frozenset[ownership.Path], written: set[ownership.Path], now: str
) -> str:
    return now if written or configured != mine.paths or not mine.time else mine.time


def _merge(live: Any, wanted: Any, schema: schemas.Schema) -> Any:
    if isinstance(wanted, dict) and isinstance(live, dict) and not schema.atomic:
        merged = {key: objects.copy(value) for key, value in live.items() if key not in wanted}
        for key, value in wanted.items():
            if value is not None:
                merged[key] = _merge(live.get(key), value, schema.child(key))
        return merged
    if isinstance(wanted, list) and isinstance(live, list) and schema.list_type != "atomic":
        return _merge_items(live, wanted, schema)
    return objects.copy(wanted)


def _merge_items(live: list[Any], wanted: list[Any], schema: schemas.Schema) -> list[Any]:
    if schema.list_type == "set":
        return live + [item for item in wanted if item not in live]
    given = {ownership.item_element(item, schema): item for item in wanted}
    merged = []
    for item in live:
        other = given.pop(ownership.item_element(item, schema), None)
        merged.append(objects.copy(item) if other is None else _merge(item, other, schema.items))
    return merged + [objects.copy(item) for item in given.values()]


def _prefixes(configured: frozenset[ownership.Path], others: list[ownership.Entry]) -> set[ownership.Path]:
    """Everything that holds something still owned and so must stay."""
    owned = configured.union(*(entry.paths for entry in others))
    return {path[:depth] for path in owned for depth in range(1, len(path) + 1)}


def _prune(
    obj: Json, dropped: frozenset[ownership.Path], schema: schemas.Schema, *, protected: set[ownership.Path]
) -> Json:
    # Whole items first: an item that has lost its keys could not be found any more.
    for path in sorted(dropped, key=len):
        if path not in protected:
            _delete(obj, path, schema)
    return obj


def _delete(value: Any, path: ownership.Path, schema: schemas.Schema) -> None:
    element, rest = path[0], path[1:]
    if isinstance(value, dict) and element.startswith("f:"):
        name = element[2:]
        if not rest:
            value.pop(name, None)
        elif name in value:
            _delete(value[name], rest, schema.child(name))
            if value[name] in ({}, []):
                del value[name]
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if element == _element(item, schema):
                if rest:
                    _delete(item, rest, schema.items)
                else:
                    del value[index]
                return


def _element(item: Any, schema: schemas.Schema) -> str:
    if schema.list_type == "map":
        return ownership.item_element(item, schema)
    return next(iter(ownership.leaves({"x": [item]}, _SET)))[-1]


_SET = schemas.Schema(fields={"x": schemas.Schema(list_type="set")})


def _refuse_conflicts(others: list[ownership.Entry], written: set[ownership.Path]) -> None:
    causes, managers = [], []
    for entry in sorted(others, key=lambda one: one.manager.name):
        taken = sorted(entry.paths & written)
        if taken:
            described = entry.manager.described()
            managers.append(described)
            causes += [
                errors.Cause(ownership.shown(path), f"conflict with {described}", "FieldManagerConflict")
                for path in taken
            ]
    if causes:
        raise errors.apply_conflict(causes, managers)
