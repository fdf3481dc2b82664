"""The few sentences that all validation messages are made of."""

import json
from typing import Any

from toban_sandbox.kube import errors


def invalid(field: str, value: Any, why: str) -> errors.Cause:
    return errors.Cause(field, f"Invalid value: {shown(value)}: {why}", "FieldValueInvalid")


def required(field: str, why: str = "") -> errors.Cause:
    return errors.Cause(field, f"Required value: {why}" if why else "Required value", "FieldValueRequired")


def duplicate(field: str, value: Any) -> errors.Cause:
    return errors.Cause(field, f"Duplicate value: {shown(value)}", "FieldValueDuplicate")


def missing(field: str, value: Any) -> errors.Cause:
    return errors.Cause(field, f"Not found: {shown(value)}", "FieldValueNotFound")


def forbidden(field: str, why: str) -> errors.Cause:
    return errors.Cause(field, f"Forbidden: {why}", "FieldValueForbidden")


def unsupported(field: str, value: Any, supported: list[str]) -> errors.Cause:
    listed = ", ".join(json.dumps(one) for one in supported)
    text = f"Unsupported value: {shown(value)}: supported values: {listed}"
    return errors.Cause(field, text, "FieldValueNotSupported")


def shown(value: Any) -> str:
    """A value as messages show it."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
