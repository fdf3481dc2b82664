"""JSON merge patch (RFC 7386)."""

from typing import Any

from toban_sandbox.kube import objects


def apply(target: Any, patch: Any) -> Any:
    """The target with the patch merged in: null removes, maps merge, everything else replaces."""
    if not isinstance(patch, dict):
        return objects.copy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = apply(result.get(key), value)
    return result
