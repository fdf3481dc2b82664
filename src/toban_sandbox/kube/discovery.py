"""What the API says about itself: groups, versions, resources, the server's version, and the OpenAPI v3 documents.

Answered out of the table of kinds alone; a new kind appears here by itself.
"""

import hashlib
from typing import Any

from toban_sandbox.kube import kinds

Json = dict[str, Any]

VERSION: Json = {
    "major": "1",
    "minor": "36",
    "emulationMajor": "1",
    "emulationMinor": "36",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "35",
    "gitVersion": "v1.36.2",
    "gitCommit": "0000000000000000000000000000000000000000",
    "gitTreeState": "clean",
    "buildDate": "2026-10-14T00:00:00Z",
    "goVersion": "go1.26.4",
    "compiler": "gc",
    "platform": "linux/amd64",
}
_AGGREGATED = "apidiscovery.k8s.io"
_ACTIONS = {"get": "get", "put": "put", "patch": "patch", "delete": "delete"}
_QUERY = ("dryRun", "fieldManager", "fieldValidation", "force", "pretty")


def aggregated(accept: str) -> str | None:
    """The version of aggregated discovery that a client accepts, or None."""
    for part in accept.split(","):
        if f"g={_AGGREGATED}" in part and "as=APIGroupDiscoveryList" in part and "json" in part:
            for version in ("v2", "v2beta1"):
                if f"v={version}" in part:
                    return version
    return None


def aggregated_list(version: str, *, core: bool) -> Json:
    """All resources of the core group, or of all others, in one document."""
    names = {"": ["v1"]} if core else kinds.groups()
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"{_AGGREGATED}/{version}",
        "metadata": {},
        "items": [_aggregated_group(group, versions) for group, versions in names.items()],
    }


def _aggregated_group(group: str, versions: list[str]) -> Json:
    shown = []
    for version in versions:
        resources = [_aggregated_resource(kind) for kind in kinds.of_group(group, version)]
        shown.append({"version": version, "resources": resources, "freshness": "Current"})
    return {"metadata": {"name": group, "creationTimestamp": None} if group else {}, "versions": shown}


def _aggregated_resource(kind: kinds.Kind) -> Json:
    found: Json = {
        "resource": kind.resource,
        "responseKind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": list(kind.verbs),
    }
    if kind.short_names:
        found["shortNames"] = list(kind.short_names)
    if kind.categories:
        found["categories"] = list(kind.categories)
    if kind.subresources:
        found["subresources"] = [_aggregated_subresource(kind, one) for one in kind.subresources]
    return found


def _aggregated_subresource(kind: kinds.Kind, one: kinds.Subresource) -> Json:
    group, _, version = (one.group_version or kind.group_version).rpartition("/")
    response = {"group": group, "version": version, "kind": one.kind or kind.kind}
    return {"subresource": one.name, "responseKind": response, "verbs": list(one.verbs)}


def api_versions(address: str) -> Json:
    """`/api`."""
    return {
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
    }


def group_list() -> Json:
    """`/apis`."""
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(name) for name in kinds.groups()]}


def group(name: str) -> Json | None:
    """`/apis/GROUP`, or None when there is no such group."""
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name)} if name in kinds.groups() else None


def _group(name: str) -> Json:
    versions = [{"groupVersion": f"{name}/{one}", "version": one} for one in kinds.groups()[name]]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def resource_list(group_name: str, version: str) -> Json | None:
    """`/api/v1` and `/apis/GROUP/VERSION`, or None when there is no such version."""
    found = kinds.of_group(group_name, version)
    if not found:
        return None
    resources = []
    for kind in found:
        resources.append(_resource(kind))
        resources += [_subresource(kind, one) for one in kind.subresources]
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": found[0].group_version,
        "resources": sorted(resources, key=lambda one: str(one["name"])),
    }


def _resource(kind: kinds.Kind) -> Json:
    found: Json = {
        "name": kind.resource,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": list(kind.verbs),
    }
    if kind.short_names:
        found["shortNames"] = list(kind.short_names)
    if kind.categories:
        found["categories"] = list(kind.categories)
    return found


def _subresource(kind: kinds.Kind, one: kinds.Subresource) -> Json:
    found: Json = {
        "name": f"{kind.resource}/{one.name}",
        "singularName": "",
        "namespaced": kind.namespaced,
        "kind": one.kind or kind.kind,
        "verbs": list(one.verbs),
    }
    if one.group_version:
        found["group"], _, found["version"] = one.group_version.rpartition("/")
    return found


def openapi_index() -> Json:
    """`/openapi/v3`: where the documents of each group and version are."""
    paths = {}
    for name, versions in ({"": ["v1"]} | kinds.groups()).items():
        for version in versions:
            root = _root(name, version)
            mark = hashlib.sha256(repr(kinds.of_group(name, version)).encode()).hexdigest()[:32].upper()
            paths[root] = {"serverRelativeURL": f"/openapi/v3/{root}?hash={mark}"}
    return {"paths": paths}


def openapi_document(root: str) -> Json | None:
    """`/openapi/v3/ROOT`: the paths of one group and version, enough for clients to know what each accepts."""
    parts = root.split("/")
    group_name, version = ("", parts[-1]) if parts[0] == "api" else (parts[1] if len(parts) > 1 else "", parts[-1])
    found = kinds.of_group(group_name, version)
    if not found or _root(group_name, version) != root:
        return None
    paths: Json = {}
    schemas: Json = {}
    for kind in found:
        paths |= _openapi_paths(kind, f"/{root}")
        schemas[_schema_name(kind)] = {"type": "object", "x-kubernetes-group-version-kind": [_gvk(kind)]}
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": VERSION["gitVersion"]},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _root(group_name: str, version: str) -> str:
    return f"apis/{group_name}/{version}" if group_name else f"api/{version}"


def _schema_name(kind: kinds.Kind) -> str:
    return f"io.k8s.api.{(kind.group or 'core').split('.')[0]}.{kind.version}.{kind.kind}"


def _gvk(kind: kinds.Kind) -> Json:
    return {"group": kind.group, "version": kind.version, "kind": kind.kind}


def _openapi_paths(kind: kinds.Kind, root: str) -> Json:
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
