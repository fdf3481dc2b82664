"""ConfigMaps and Secrets: keys, size, and those that were sealed."""

import base64
import binascii
from collections.abc import Iterator
from typing import Any

from toban_sandbox.kube import errors
from toban_sandbox.kube.validation import causes, names

Json = dict[str, Any]
Causes = Iterator[errors.Cause]

LARGEST_BYTES = 1024 * 1024


def check_configmap(obj: Json) -> Causes:
    """What is wrong with a ConfigMap."""
    yield from _check_keys(obj)
    size = sum(len(str(value)) for group in ("data", "binaryData") for value in (obj.get(group) or {}).values())
    if size > LARGEST_BYTES:
        yield errors.Cause("", f"Too long: may not be more than {LARGEST_BYTES} bytes", "FieldValueTooLong")


def check_secret(obj: Json) -> Causes:
    """What is wrong with a Secret."""
    yield from _check_keys(obj)
    for key, value in (obj.get("data") or {}).items():
        try:
            base64.b64decode(str(value or ""), validate=True)
        except binascii.Error:
            yield causes.invalid(f"data[{key}]", "<redacted>", "illegal base64 data")


def check_immutable(new: Json, old: Json) -> Causes:
    """What was sealed stays as it is."""
    if not old.get("immutable"):
        return
    if not new.get("immutable"):
        yield causes.forbidden("immutable", "field is immutable when `immutable` is set")
    for field in ("data", "binaryData"):
        if new.get(field) != old.get(field):
            yield causes.forbidden(field, "field is immutable when `immutable` is set")


def _check_keys(obj: Json) -> Causes:
    for key in obj.get("data") or {}:
        if fault := names.config_key_fault(key):
            yield causes.invalid(f"data[{key}]", key, fault)
