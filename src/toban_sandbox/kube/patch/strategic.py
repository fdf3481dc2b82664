"""Strategic merge patch: a merge patch that knows which lists merge by key, with its directives.

`$patch`, `$setElementOrder/…`, `$retainKeys` and `$deleteFromPrimitiveList/…` are understood at every depth.
"""

from typing import Any

from toban_sandbox.kube import errors, objects
from toban_sandbox.kube.patch import schema as schemas

Json = dict[str, Any]

DIRECTIVE = "$patch"
RETAIN = "$retainKeys"
ORDER = "$setElementOrder/"
REMOVE = "$deleteFromPrimitiveList/"


def apply(target: Json, patch: Json, schema: schemas.Schema) -> Json:
    """The target with the patch merged in; ApiError 400 for a directive that is none."""
    return _merge_map(target, patch, schema)


def _merge_map(target: Json, patch: Json, schema: schemas.Schema) -> Json:
    directive = patch.get(DIRECTIVE)
    if directive == "replace":
        return {key: objects.copy(value) for key, value in patch.items() if key != DIRECTIVE}
    if directive == "delete":
        return {}
    if directive is not None and directive != "merge":
        raise errors.bad_request(f"unable to parse directive {DIRECTIVE}: {directive}")
    result = _retained(target, patch)
    for key, value in patch.items():
        if key in {DIRECTIVE, RETAIN} or key.startswith(ORDER):
            continue
        if key.startswith(REMOVE):
            _remove_primitives(result, key.removeprefix(REMOVE), value)
        else:
            _merge_field(result, key, patch, schema.child(key))
    for key in patch:
        name = key.removeprefix(ORDER)
        if key != name and name not in patch and isinstance(result.get(name), list):
            field = schema.child(name)
            before = target.get(name) if isinstance(target.get(name), list) else []
            result[name] = _ordered(result[name], _listed(patch[key]), before or [], field.merge_key)
    return result


def _listed(order: Any) -> list[Any]:
    if not isinstance(order, list):
        raise errors.bad_request(f"{ORDER} does not hold a list")
    return order


def _retained(target: Json, patch: Json) -> Json:
    if RETAIN not in patch:
        return dict(target)
    if not isinstance(patch[RETAIN], list) or not all(isinstance(one, str) for one in patch[RETAIN]):
        raise errors.bad_request(f"{RETAIN} is not a list of names")
    kept = set(patch[RETAIN])
    extra = {key for key in patch if not key.startswith("$")} - kept
    if extra:
        raise errors.bad_request(f"$retainKeys does not list fields of the patch: {', '.join(sorted(extra))}")
    return {key: value for key, value in target.items() if key in kept}


def _remove_primitives(result: Json, name: str, values: Any) -> None:
    if isinstance(result.get(name), list) and isinstance(values, list):
        result[name] = [item for item in result[name] if item not in values]


def _merge_field(result: Json, key: str, patch: Json, schema: schemas.Schema) -> None:
    value, current = patch[key], result.get(key)
    if value is None:
        result.pop(key, None)
    elif isinstance(value, dict):
        result[key] = _merge_map(current if isinstance(current, dict) else {}, value, schema)
    elif isinstance(value, list):
        result[key] = _merge_list(current if isinstance(current, list) else [], value, patch.get(ORDER + key), schema)
    else:
        result[key] = value


def _merge_list(current: list[Any], patch: list[Any], order: Any, schema: schemas.Schema) -> list[Any]:
    if schema.merges_primitives:
        merged = current + [item for item in patch if item not in current]
        return _ordered(merged, order if isinstance(order, list) else patch, current, "")
    if not schema.merge_key:
        return [item for item in objects.copy(patch) if not _is_directive(item)]
    if any(isinstance(item, dict) and item.get(DIRECTIVE) == "replace" for item in patch):
        kept = [
            item for item in patch if isinstance(item, dict) and (item.get(DIRECTIVE) != "replace" or len(item) > 1)
        ]
        return [{key: value for key, value in objects.copy(item).items() if key != DIRECTIVE} for item in kept]
    merged = list(current)
    for item in patch:
        merged = _merge_item(merged, item, schema)
    return _ordered(merged, order if isinstance(order, list) else patch, current, schema.merge_key)


def _merge_item(merged: list[Any], item: Any, schema: schemas.Schema) -> list[Any]:
    key = schema.merge_key
    if not isinstance(item, dict) or key not in item:
        raise errors.bad_request(f"map: {item} does not contain declared merge key: {key}")
    if item.get(DIRECTIVE) == "delete":
        return [one for one in merged if one.get(key) != item[key]]
    found = False
    result = []
    for one in merged:
        if isinstance(one, dict) and one.get(key) == item[key]:
            found = True
            result.append(_merge_map(one, item, schema.items))
        else:
            result.append(one)
    # A new item is merged into nothing, so that directives inside it are carried out too.
    return result if found else [*result, _merge_map({}, item, schema.items)]


def _is_directive(item: Any) -> bool:
    return isinstance(item, dict) and DIRECTIVE in item


def _ordered(merged: list[Any], order: list[Any], server: list[Any], key: str) -> list[Any]:
    """The patch's items in the patch's order, the server's own kept where they stood between them."""
    wanted = [_identity(item, key) for item in order]
    known = [_identity(item, key) for item in server]
    patched = sorted((one for one in merged if _identity(one, key) in wanted), key=lambda one: _rank(one, wanted, key))
    others = [one for one in merged if _identity(one, key) not in wanted]
    result: list[Any] = []
    while patched and others:
        left, right = _rank(others[0], known, key), _rank(patched[0], known, key)
        both_known = left < len(known) and right < len(known)
        result.append(others.pop(0) if both_known and left < right else patched.pop(0))
    return result + others + patched


def _identity(item: Any, key: str) -> Any:
    return item.get(key) if key and isinstance(item, dict) else item


def _rank(item: Any, order: list[Any], key: str) -> int:
    identity = _identity(item, key)
    return order.index(identity) if identity in order else len(order)
