"""A Kubernetes protobuf body as the JSON object it says: the envelope around it and the message inside."""

import base64
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from toban_sandbox.kube import kinds, shapes
from toban_sandbox.kube.protobuf import numbers, wire

Json = dict[str, Any]

MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
PREFIX = b"k8s\x00"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLION = 1_000_000
# Bodies that are no kind of their own: they stand in every group that has a use for them.
_OPTIONS = {
    "DeleteOptions": ("meta_v1", "DeleteOptions"),
    "Scale": ("autoscaling_v1", "Scale"),
    "Eviction": ("policy_v1", "Eviction"),
    "Binding": ("core_v1", "Binding"),
    "TokenRequest": ("authentication_v1", "TokenRequest"),
}


def decode(body: bytes) -> Json:
    """The object in a body; WireError when there is none or its kind is not known."""
    if not body.startswith(PREFIX):
        wanted = " ".join(str(one) for one in PREFIX)
        raise wire.WireError(f"provided data does not appear to be a protobuf message, expected prefix [{wanted}]")
    parts = _last(body[len(PREFIX) :])
    about = _last(_bytes(parts.get(1, b"")))
    api_version, name = _text(about.get(1, b"")), _text(about.get(2, b""))
    found = _message_of(api_version, name)
    if found is None:
        raise wire.WireError(f'no kind "{name}" is registered for version "{api_version}"')
    content = _message(_bytes(parts.get(2, b"")), numbers.of(*found))
    return {"apiVersion": api_version, "kind": name} | content


def _message_of(api_version: str, name: str) -> tuple[str, str] | None:
    if name in _OPTIONS:
        return _OPTIONS[name]
    kind = kinds.of_object(api_version, name)
    module = shapes.module_of(kind) if kind is not None else None
    if module is None or numbers.of(module, name) is None:
        return None
    return module, name


def _message(data: bytes, table: Mapping[int, numbers.Field] | None) -> Json:
    found: Json = {}
    for number, value in wire.fields(data):
        field = (table or {}).get(number)
        if field is None:
            continue
        if field.inlined is not None:
            found |= _message(_bytes(value), field.inlined)
        elif field.form is not None:
            _put(found, field, field.form, value)
    return found


def _put(found: Json, field: numbers.Field, form: shapes.Form, value: int | bytes) -> None:
    if form.container == "List":
        items = found.setdefault(field.name, [])
        if form.name == "int" and isinstance(value, bytes):
            items += wire.whole_numbers(value)
        else:
            items.append(_one(value, form))
    elif form.container == "Dict":
        entry = _last(_bytes(value))
        content = _special(field.special, entry.get(2, b"")) if field.special else _one(entry.get(2, b""), form)
        found.setdefault(field.name, {})[_text(entry.get(1, b""))] = content
    else:
        content = _special(field.special, value) if field.special else _one(value, form)
        if content or field.keeps_zero or isinstance(content, dict):
            found[field.name] = content


def _special(form: str, value: int | bytes) -> Any:
    if form == "bytes":
        return base64.b64encode(_bytes(value)).decode()
    return [_text(one) for number, one in wire.fields(_bytes(value)) if number == 1]


def _one(value: int | bytes, form: shapes.Form) -> Any:
    reader = _READERS.get(form.name)
    if reader is not None:
        return reader(value)
    return _message(_bytes(value), numbers.of(form.module, form.name))


def _last(data: bytes) -> dict[int, int | bytes]:
    """A small message's fields by number; of a repeated one the last."""
    return dict(wire.fields(data))


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise wire.WireError("wrong wireType = 0 for a field of bytes")
    return value


def _number(value: int | bytes) -> int:
    if isinstance(value, bytes):
        # An empty map entry leaves its value out.
        if not value:
            return 0
        raise wire.WireError("wrong wireType = 2 for a field of numbers")
    return value


def _text(value: int | bytes) -> str:
    try:
        return _bytes(value).decode()
    except UnicodeDecodeError:
        raise wire.WireError("string field contains invalid UTF-8") from None


def _quantity(value: int | bytes) -> str:
    return _text(_last(_bytes(value)).get(1, b"")) or "0"


def _moment(value: int | bytes) -> datetime | None:
    parts = _last(_bytes(value))
    if not parts:
        return None
    try:
        return _EPOCH + timedelta(seconds=_number(parts.get(1, 0)), microseconds=_number(parts.get(2, 0)) // 1000)
    except OverflowError:
        raise wire.WireError("a time is out of range") from None


def _time(value: int | bytes) -> str | None:
    moment = _moment(value)
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _micro_time(value: int | bytes) -> str | None:
    moment = _moment(value)
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _int_or_text(value: int | bytes) -> int | str:
    parts = _last(_bytes(value))
    return _text(parts.get(3, b"")) if parts.get(1) == 1 else _number(parts.get(2, 0))


def _raw_json(value: int | bytes) -> Any:
    raw = _bytes(_last(_bytes(value)).get(1, b""))
    try:
        return json.loads(raw) if raw else {}
    except (ValueError, RecursionError):
        raise wire.WireError("a field of JSON holds none") from None


_READERS: dict[str, Callable[[int | bytes], Any]] = {
    "str": _text,
    "int": _number,
    "bool": lambda value: bool(_number(value)),
    "Quantity": _quantity,
    "Time": _time,
    "MicroTime": _micro_time,
    "IntOrString": _int_or_text,
    "FieldsV1": _raw_json,
    "RawExtension": _raw_json,
}
