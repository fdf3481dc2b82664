"""What the API says about itself: groups, versions, resources, and the server's version.

Answered out of the table of kinds alone; a new kind appears here by itself.
"""

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
