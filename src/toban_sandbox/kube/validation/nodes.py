"""Nodes: their taints."""

from collections.abc import Iterator
from typing import Any

from toban_sandbox.kube import errors
from toban_sandbox.kube.validation import causes, names

Json = dict[str, Any]

_EFFECTS = ["NoSchedule", "PreferNoSchedule", "NoExecute"]


def check(obj: Json) -> Iterator[errors.Cause]:
    """What is wrong with a Node."""
    for index, taint in enumerate((obj.get("spec") or {}).get("taints") or ()):
        field = f"spec.taints[{index}]"
        key = taint.get("key")
        if not key:
            yield causes.required(f"{field}.key")
        elif fault := names.key_fault(key):
            yield causes.invalid(f"{field}.key", key, fault)
        if taint.get("effect") not in _EFFECTS:
            yield causes.unsupported(f"{field}.effect", taint.get("effect", ""), _EFFECTS)
