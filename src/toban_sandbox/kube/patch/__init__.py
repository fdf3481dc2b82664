"""The four ways to change an object by a patch; `apply_patch` is the door for the three that need no ownership."""

from typing import Any

from toban_sandbox.kube import errors
from toban_sandbox.kube.patch import json_patch, merge, schema, strategic

Json = dict[str, Any]

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
CONTENT_TYPES = (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH)


def apply_patch(content_type: str, obj: Json, patch: Any, *, kind: str) -> Json:
    """The object as the patch leaves it; the object itself stays as it is. ApiError 400 or 422 when it cannot be."""
    if content_type == JSON_PATCH:
        patched = json_patch.apply(obj, patch)
    elif not isinstance(patch, dict):
        raise errors.bad_request("error decoding patch: json: cannot unmarshal into a map of fields")
    elif content_type == MERGE_PATCH:
        patched = merge.apply(obj, patch)
    else:
        patched = strategic.apply(obj, patch, schema.of_kind(kind))
    if not isinstance(patched, dict):
        raise errors.rejected_patch()
    return patched
