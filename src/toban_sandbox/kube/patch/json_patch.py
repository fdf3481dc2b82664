"""JSON patch (RFC 6902) with JSON pointers (RFC 6901)."""

from collections.abc import Callable
from typing import Any

from toban_sandbox.kube import errors, objects

Tokens = list[str]
_PAST_THE_LAST = "-"


def apply(target: Any, patch: Any) -> Any:
    """The target after all operations; ApiError 400 for a patch that is none, 422 for one that does not fit."""
    if not isinstance(patch, list):
        raise errors.bad_request("error decoding patch: json: cannot unmarshal object into a list of operations")
    document = objects.copy(target)
    for operation in patch:
        document = _operate(document, operation)
    return document


def _operate(document: Any, operation: Any) -> Any:
    word = operation.get("op") if isinstance(operation, dict) else None
    if not isinstance(word, str) or word not in _OPERATIONS:
        raise errors.bad_request(f"error decoding patch: unexpected operation {operation!r}")
    return _OPERATIONS[word](document, operation)


def _add(document: Any, operation: dict[str, Any]) -> Any:
    return _insert(document, _pointer(operation, "path"), objects.copy(_value(operation)))


def _remove(document: Any, operation: dict[str, Any]) -> Any:
    return _take(document, _pointer(operation, "path"))[0]


def _replace(document: Any, operation: dict[str, Any]) -> Any:
    tokens = _pointer(operation, "path")
    if not tokens:
        return objects.copy(_value(operation))
    parent, key = _locate(document, tokens)
    parent[key] = objects.copy(_value(operation))
    return document


def _move(document: Any, operation: dict[str, Any]) -> Any:
    source, target = _pointer(operation, "from"), _pointer(operation, "path")
    if len(target) > len(source) and target[: len(source)] == source:
        raise errors.rejected_patch()
    document, value = _take(document, source)
    return _insert(document, target, value)


def _copy(document: Any, operation: dict[str, Any]) -> Any:
    value = _read(document, _pointer(operation, "from"))
    return _insert(document, _pointer(operation, "path"), objects.copy(value))


def _test(document: Any, operation: dict[str, Any]) -> Any:
    wanted = operation.get("value")
    found = _read(document, _pointer(operation, "path"))
    if found != wanted or isinstance(found, bool) != isinstance(wanted, bool):
        raise errors.rejected_patch()
    return document


_OPERATIONS: dict[str, Callable[[Any, dict[str, Any]], Any]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy,
    "test": _test,
}


def _value(operation: dict[str, Any]) -> Any:
    if "value" not in operation:
        raise errors.rejected_patch()
    return operation["value"]


def _pointer(operation: dict[str, Any], field: str) -> Tokens:
    text = operation.get(field)
    if not isinstance(text, str) or (text and not text.startswith("/")):
        raise errors.rejected_patch()
    return [token.replace("~1", "/").replace("~0", "~") for token in text.split("/")[1:]]


def _index(items: list[Any], step: str, *, end: bool = False) -> int:
    if end and step == _PAST_THE_LAST:
        return len(items)
    if not step.isascii() or not step.isdigit() or (step != "0" and step.startswith("0")):
        raise errors.rejected_patch()
    if int(step) >= len(items) + end:
        raise errors.rejected_patch()
    return int(step)


def _step(value: Any, token: str) -> Any:
    if isinstance(value, list):
        return value[_index(value, token)]
    if isinstance(value, dict) and token in value:
        return value[token]
    raise errors.rejected_patch()


def _read(document: Any, tokens: Tokens) -> Any:
    for token in tokens:
        document = _step(document, token)
    return document


def _locate(document: Any, tokens: Tokens) -> tuple[Any, Any]:
    parent = _read(document, tokens[:-1])
    _step(parent, tokens[-1])
    return parent, _index(parent, tokens[-1]) if isinstance(parent, list) else tokens[-1]


def _take(document: Any, tokens: Tokens) -> tuple[Any, Any]:
    if not tokens:
        return None, document
    parent, key = _locate(document, tokens)
    return document, parent.pop(key)


def _insert(document: Any, tokens: Tokens, value: Any) -> Any:
    if not tokens:
        return value
    parent = _read(document, tokens[:-1])
    if isinstance(parent, list):
        parent.insert(_index(parent, tokens[-1], end=True), value)
    elif isinstance(parent, dict):
        parent[tokens[-1]] = value
    else:
        raise errors.rejected_patch()
    return document
