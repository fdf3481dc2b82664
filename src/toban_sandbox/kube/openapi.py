"""The OpenAPI v3 documents: paths and schemas of each group and version, as `kubectl explain` and `apply` read them.

Made from the table of kinds and the models' own descriptions when first asked for, and kept as the bytes of the answer.
"""

import functools
import hashlib
import json
import re
from typing import Any

from toban_sandbox.kube import discovery, kinds, shapes

Json = dict[str, Any]

V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
EMPTY_V2 = b"\x0a\x032.0"  # a Swagger document of version 2.0 that describes nothing: everything is told by v3
_ACTIONS = {"get": "get", "put": "put", "patch": "patch", "delete": "delete"}
_QUERY = ("dryRun", "fieldManager", "fieldValidation", "force", "pretty")
_SCALARS: dict[str, Json] = {
    "str": {"type": "string"},
    "int": {"type": "integer", "format": "int32"},
    "bool": {"type": "boolean"},
    "float": {"type": "number", "format": "double"},
    "Quantity": {"type": "string"},
    "Time": {"type": "string", "format": "date-time"},
    "MicroTime": {"type": "string", "format": "date-time"},
    "IntOrString": {"type": "string", "format": "int-or-string"},
}
_PARAMETER = re.compile(r"^\s*\* \*\*(\w+)\*\* ``(.*?)`` - ")
_META = "io.k8s.apimachinery.pkg.apis.meta.v1"


def index() -> Json:
    """`/openapi/v3`: where the documents of each group and version are."""
    paths = {}
    for name, versions in ({"": ["v1"]} | kinds.groups()).items():
        for version in versions:
            root = _root(name, version)
            mark = hashlib.sha256(repr(kinds.of_group(name, version)).encode()).hexdigest()[:32].upper()
            paths[root] = {"serverRelativeURL": f"/openapi/v3/{root}?hash={mark}"}
    return {"paths": paths}


@functools.cache
def document(root: str) -> bytes | None:
    """`/openapi/v3/ROOT` as JSON; None when there is no such group and version."""
    parts = root.split("/")
    group_name, version = ("", parts[-1]) if parts[0] == "api" else (parts[1] if len(parts) > 1 else "", parts[-1])
    found = kinds.of_group(group_name, version)
    if not found or _root(group_name, version) != root:
        return None
    paths: Json = {}
    schemas: Json = {}
    for kind in found:
        paths |= _paths(kind, f"/{root}")
        _add_kind(schemas, kind)
    shown = {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": discovery.VERSION["gitVersion"]},
        "paths": paths,
        "components": {"schemas": schemas},
    }
    return json.dumps(shown, separators=(",", ":")).encode()


def _root(group_name: str, version: str) -> str:
    return f"apis/{group_name}/{version}" if group_name else f"api/{version}"


def _paths(kind: kinds.Kind, root: str) -> Json:
    space = "/namespaces/{namespace}" if kind.namespaced else ""
    collection = f"{root}{space}/{kind.resource}"
    paths: Json = {collection: {"get": _operation(kind, "list"), "post": _operation(kind, "post")}}
    if not kind.create_only:
        paths[f"{collection}/{{name}}"] = {method: _operation(kind, action) for method, action in _ACTIONS.items()}
    return paths


def _operation(kind: kinds.Kind, action: str) -> Json:
    writes = action not in {"get", "list"}
    parameters = [
        {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
        for name in (_QUERY if writes else ("pretty",))
    ]
    return {
        "operationId": f"{action}{kind.kind}",
        "parameters": parameters,
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": _gvk(kind),
    }


def _gvk(kind: kinds.Kind) -> Json:
    return {"group": kind.group, "version": kind.version, "kind": kind.kind}


def _add_kind(schemas: Json, kind: kinds.Kind) -> None:
    module = shapes.module_of(kind)
    if module is None or shapes.model(module, kind.kind) is None:
        schemas[f"io.k8s.api.{(kind.group or 'core').split('.')[0]}.{kind.version}.{kind.kind}"] = {
            "type": "object",
            "x-kubernetes-group-version-kind": [_gvk(kind)],
        }
        return
    _add_model(schemas, module, kind.kind)
    schemas[_name(module, kind.kind)]["x-kubernetes-group-version-kind"] = [_gvk(kind)]


def _name(module: str, model: str) -> str:
    if module == "meta_v1":
        return f"{_META}.{model}"
    group, _, version = module.rpartition("_")
    return f"io.k8s.api.{group}.{version}.{model}"


def _add_model(schemas: Json, module: str, name: str) -> None:
    """The schema of a model and of every model that it holds."""
    key = _name(module, name)
    if key in schemas:
        return
    about, of_fields, required = _described(module, name)
    properties: Json = {}
    schema = schemas[key] = {"type": "object", "description": about, "properties": properties}
    if required:
        schema["required"] = required
    for field, form in shapes.fields_of(module, name).items():
        held = _held(schemas, form)
        if form.container == "List":
            held = {"type": "array", "items": held}
        elif form.container == "Dict":
            held = {"type": "object", "additionalProperties": held}
        properties[field] = held | {"description": of_fields.get(field, "")}


def _held(schemas: Json, form: shapes.Form) -> Json:
    if form.name in _SCALARS:
        return dict(_SCALARS[form.name])
    if shapes.model(form.module, form.name) is None:
        return {"type": "object"}
    _add_model(schemas, form.module, form.name)
    return {"allOf": [{"$ref": f"#/components/schemas/{_name(form.module, form.name)}"}], "default": {}}


def _described(module: str, name: str) -> tuple[str, dict[str, str], list[str]]:
    """What a model's own words say: about itself, about each field, and which fields must be there."""
    found = shapes.model(module, name)
    text = (found.__doc__ if found is not None else "") or ""
    about, _, rest = text.partition("**parameters**")
    fields: dict[str, list[str]] = {}
    required = []
    lines: list[str] = []
    for line in rest.splitlines():
        start = _PARAMETER.match(line)
        if start:
            lines = fields[start.group(1)] = [line[start.end() :]]
            if not start.group(2).startswith("Optional["):
                required.append(start.group(1))
        elif line.strip():
            lines.append(line.strip())
    return " ".join(about.split()), {field: " ".join(words) for field, words in fields.items()}, required
