"""The shape of each kind: which fields exist and what they hold, as the public API description tells.

Read from lightkube's generated models, which list every field of every kind. The API checks bodies against it before
anything else; values are `validation`'s matter.
"""

import functools
import importlib
import json
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from toban_sandbox.kube import errors, kinds, quantity

Json = dict[str, Any]

_MODULES = {
    "": "core_v1",
    "apps": "apps_v1",
    "discovery.k8s.io": "discovery_v1",
    "events.k8s.io": "events_v1",
    "coordination.k8s.io": "coordination_v1",
    "authorization.k8s.io": "authorization_v1",
    "authentication.k8s.io": "authentication_v1",
    "batch": "batch_v1",
    "networking.k8s.io": "networking_v1",
    "policy": "policy_v1",
    "rbac.authorization.k8s.io": "rbac_v1",
    "certificates.k8s.io": "certificates_v1",
    "scheduling.k8s.io": "scheduling_v1",
    "storage.k8s.io": "storage_v1",
}
_VERSIONED = {"autoscaling"}
_WRAPPED = re.compile(r"(Optional|List|Dict)\[(?:str, )?(.+)\]\Z")
# The models do not say what their plain maps hold: it is text, but for these.
_QUANTITY_MAPS = {"limits", "requests", "capacity", "allocatable", "overhead", "hard", "used", "allocatedResources"}
_GO_NAMES = {"int": "int32", "str": "string", "bool": "bool", "float": "float64"}
_PYTHON_TYPES: dict[str, tuple[type, ...]] = {"int": (int,), "str": (str,), "bool": (bool,), "float": (int, float)}
QUANTITY_RULE = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"


class Form(NamedTuple):
    """What a field holds: `container` is `List`, `Dict` or nothing, `name` a scalar or a model out of `module`."""

    container: str
    module: str
    name: str


class WrongTypeError(ValueError):
    """A field holds what it cannot; the message is the server's own."""


def module_of(kind: kinds.Kind) -> str | None:
    """The module of models that describes a kind, or None."""
    return f"{kind.group}_{kind.version}" if kind.group in _VERSIONED else _MODULES.get(kind.group)


def unknown_fields(kind: kinds.Kind, obj: Json) -> list[str]:
    """Paths of fields that this kind does not have; ApiError 400 when a field holds the wrong type."""
    module = module_of(kind)
    if module is None or model(module, kind.kind) is None:
        return []
    try:
        return list(_check_model(obj, module, kind.kind, ""))
    except WrongTypeError as wrong:
        raise unhandled(kind, str(wrong)) from None


def check_options(body: Any, module: str, name: str) -> Json:
    """A body that is no stored object (delete options, a Scale …) as a map; ApiError 400 when it is not of its form."""
    given: Json = {} if body is None else body
    try:
        list(_check_model(given, module, name, ""))
    except WrongTypeError as wrong:
        message = f'{name} in version "v1" cannot be handled as a {name}: {wrong}'
        raise errors.bad_request(message) from None
    return given


def unhandled(kind: kinds.Kind, why: str) -> errors.ApiError:
    """The 400 for a body that cannot be read as an object of its kind."""
    return errors.bad_request(f'{kind.kind} in version "{kind.version}" cannot be handled as a {kind.kind}: {why}')


def drop(obj: Json, paths: list[str]) -> None:
    """Remove unknown fields in place."""
    for path in paths:
        value: Any = obj
        steps = re.findall(r"[^.\[\]]+|\[\d+\]", path)
        for step in steps[:-1]:
            value = value[int(step[1:-1])] if step.startswith("[") else value.get(step)
            if value is None:
                break
        if isinstance(value, dict):
            value.pop(steps[-1], None)


@functools.cache
def model(module: str, name: str) -> type[msgspec.Struct] | None:
    """The class that describes a model, or None."""
    loaded = importlib.import_module(f"lightkube.models.{module}")
    found = getattr(loaded, name, None)
    return found if isinstance(found, type) and issubclass(found, msgspec.Struct) else None


@functools.cache
def fields_of(module: str, name: str) -> dict[str, Form]:
    """What each field of a model holds, by its name on the wire; empty when there is no such model."""
    found = model(module, name)
    if found is None:
        return {}
    wire_names = zip(found.__struct_fields__, found.__struct_encode_fields__, strict=True)
    return {wire: _parsed(str(found.__annotations__[field]), module, wire) for field, wire in wire_names}


def _parsed(annotation: str, module: str, field: str) -> Form:
    container = ""
    while wrapped := _WRAPPED.match(annotation):
        if wrapped.group(1) != "Optional":
            container = wrapped.group(1)
        annotation = wrapped.group(2)
    if annotation == "dict":
        return Form("Dict", module, "Quantity" if field in _QUANTITY_MAPS else "str")
    if "." in annotation:
        module, _, annotation = annotation.rpartition(".")
    return Form(container, module, annotation)


def _check_model(value: Any, module: str, name: str, path: str) -> Iterator[str]:
    forms = fields_of(module, name)
    if not forms:
        return
    if not isinstance(value, dict):
        raise WrongTypeError(_wrong(value, f"{name}{_dotted(path)}", name))
    for field, one in value.items():
        below = f"{path}.{field}" if path else field
        form = forms.get(field)
        if form is None:
            yield below
        elif one is not None:
            yield from _check_field(one, form, below, owner=name)


def _check_field(value: Any, form: Form, path: str, *, owner: str) -> Iterator[str]:
    if form.container == "List":
        if not isinstance(value, list):
            raise WrongTypeError(_wrong(value, f"{owner}{_dotted(path)}", f"[]{_go_name(form)}"))
        for index, one in enumerate(value):
            yield from _check_one(one, form, f"{path}[{index}]", owner=owner)
    elif form.container == "Dict":
        if not isinstance(value, dict):
            raise WrongTypeError(_wrong(value, f"{owner}{_dotted(path)}", f"map[string]{_go_name(form)}"))
        for key, one in value.items():
            if one is not None:
                yield from _check_one(one, form, f"{path}.{key}", owner=owner)
    else:
        yield from _check_one(value, form, path, owner=owner)


def _check_one(value: Any, form: Form, path: str, *, owner: str) -> Iterator[str]:
    if form.name == "Quantity":
        if isinstance(value, (dict, list, bool)) or not quantity.is_quantity(value):
            raise WrongTypeError(QUANTITY_RULE)
    elif form.name in {"Time", "MicroTime", "datetime"}:
        _check_time(value)
    elif form.name == "IntOrString":
        if isinstance(value, bool) or not isinstance(value, (int, str)):
            raise WrongTypeError(_wrong(value, f"{owner}{_dotted(path)}", "intstr.IntOrString"))
    elif form.name in _PYTHON_TYPES:
        allowed = _PYTHON_TYPES[form.name]
        if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
            raise WrongTypeError(_wrong(value, f"{owner}{_dotted(path)}", _go_name(form)))
    else:
        yield from _check_model(value, form.module, form.name, path)


def _check_time(value: Any) -> None:
    try:
        found = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        text = json.dumps(value)
        raise WrongTypeError(f'parsing time {text} as "2006-01-02T15:04:05Z07:00": cannot parse {text} as "2006"')


def _go_name(form: Form) -> str:
    return _GO_NAMES.get(form.name, form.name)


def _dotted(path: str) -> str:
    return "." + re.sub(r"\[\d+\]", "", path) if path else ""


def _wrong(value: Any, field: str, wanted: str) -> str:
    names = {bool: "bool", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return f"json: cannot unmarshal {names.get(type(value), 'null')} into Go struct field {field} of type {wanted}"
