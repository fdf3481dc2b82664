"""What of an object is planned, hashed and shown to approvers: labels, annotations, spec and data. Pure; no I/O.

Used by the write actions. Status, managedFields, versions and Toban's own mark are bookkeeping and are left out.
"""

import copy
import difflib
from collections.abc import Mapping
from typing import Any

import yaml

from toban.kit import canonical

Json = dict[str, Any]

MARK = "toban.dev/action-id"
REVISION = "deployment.kubernetes.io/revision"
_BOOKKEEPING = frozenset({MARK, REVISION, "deployment.kubernetes.io/revision-history"})
_DATA = ("spec", "data", "binaryData", "immutable")
_CONTEXT_LINES = 3


def metadata(obj: Mapping[str, Any]) -> Json:
    return obj.get("metadata") or {}


def annotations(obj: Mapping[str, Any]) -> dict[str, str]:
    return metadata(obj).get("annotations") or {}


def mark(obj: Mapping[str, Any]) -> str:
    """The id of the last action of Toban's that wrote this object, or nothing."""
    return annotations(obj).get(MARK, "")


def spec_hash(obj: Mapping[str, Any]) -> str:
    """SHA-256 over spec and labels: what an approval holds on to; status may move on."""
    return canonical.digest({"spec": obj.get("spec"), "labels": metadata(obj).get("labels")})


def shown(obj: Mapping[str, Any]) -> Json:
    """The part of an object that a person plans with. Revision numbers are left out: a controller writes them later."""
    kept = {key: value for key, value in annotations(obj).items() if key not in _BOOKKEEPING}
    meta = {"labels": metadata(obj).get("labels"), "annotations": kept}
    found: Json = {"metadata": {key: value for key, value in meta.items() if value}}
    found |= {key: obj[key] for key in _DATA if obj.get(key) is not None}
    return {key: value for key, value in found.items() if value != {} or key != "metadata"}


def diff(live: Mapping[str, Any] | None, planned: Mapping[str, Any], *, title: str, origin: str) -> str:
    """A unified diff with three lines of context; `live` is None for an object that does not exist yet.

    `title` is `apps/v1 Deployment shop/cart`; `origin` says who worked out the plan.
    """
    before = f"live  {title}" + ("" if live is not None else " (does not exist)")
    lines = difflib.unified_diff(
        _lines(live), _lines(planned), before, f"planned ({origin})", lineterm="", n=_CONTEXT_LINES
    )
    return "\n".join(lines)


def changed(obj: Mapping[str, Any], *, template: Json, notes: Mapping[str, str | None]) -> Json:
    """A copy of a Deployment with another pod template; `notes` sets annotations, None takes one away."""
    new = copy.deepcopy(dict(obj))
    new["spec"]["template"] = copy.deepcopy(template)
    kept = {**annotations(obj), **notes}
    new["metadata"]["annotations"] = {key: value for key, value in kept.items() if value is not None}
    return new


def patch(planned: Mapping[str, Any], *, resource_version: str, action_id: str) -> list[Json]:
    """The JSON patch from the live Deployment to the planned one, marked, for exactly one version of it.

    Writing the resourceVersion makes the server answer 409 when the object has moved on; with that in place whole
    parts can be replaced without losing anybody's change.
    """
    marked = {**annotations(planned), MARK: action_id}
    return [
        {"op": "replace", "path": "/metadata/resourceVersion", "value": resource_version},
        {"op": "add", "path": "/metadata/annotations", "value": marked},
        {"op": "replace", "path": "/spec/template", "value": planned["spec"]["template"]},
    ]


class _Dumper(yaml.SafeDumper):
    """Long texts as blocks, so that a configuration file reads as one; no anchors."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the library's signature
        return True


def _text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    style = "|" if "\n" in value else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Dumper.add_representer(str, _text)


def _lines(obj: Mapping[str, Any] | None) -> list[str]:
    if obj is None:
        return []
    dumped: str = yaml.dump(shown(obj), Dumper=_Dumper, allow_unicode=True, default_flow_style=False, width=10_000)
    return dumped.splitlines()
