"""Two pod templates compared: which fields differ, and what each needs. Called by `changes`; it judges nothing."""

from collections.abc import Iterator, Mapping
from typing import Any

from toban.analysis.kubernetes.cluster import Object, at
from toban.kit import text

LIMIT = 20
HIDDEN = "…"
_RESTARTED = "kubectl.kubernetes.io/restartedAt"
_KEYS = ("name", "containerPort", "mountPath", "ip", "key", "topologyKey")


def differences(before: Object, after: Object) -> list[dict[str, Any]]:
    """At most 20 changed fields as {path, before, after}, sorted by path.

    Values of environment variables read `…`: people put secrets there.
    """
    old, new = dict(_leaves(before)), dict(_leaves(after))
    changed = [path for path in sorted(old.keys() | new.keys()) if old.get(path) != new.get(path)]
    return [{"path": path, "before": _shown(path, old), "after": _shown(path, new)} for path in changed[:LIMIT]]


def is_restart(changes: list[dict[str, Any]]) -> bool:
    """Whether nothing but the mark of a restart changed."""
    return bool(changes) and all(change["path"].endswith(_RESTARTED) for change in changes)


def images(template: Object) -> dict[str, str]:
    """Image by container."""
    return {str(spec.get("name")): str(spec.get("image", "")) for spec in _containers(template)}


def memory_limits(template: Object) -> dict[str, str]:
    """Memory limit as written by container; empty where there is none."""
    return {
        str(spec.get("name")): str(at(spec, "resources", "limits").get("memory", "")) for spec in _containers(template)
    }


def references(template: Object) -> list[str]:
    """ConfigMaps and Secrets that must exist, as `ConfigMap/app` or `ConfigMap/app#KEY`, sorted."""
    return sorted(set(_environment_references(template)) | set(_volume_references(template)))


def variables(template: Object) -> list[str]:
    """Names of the environment variables that are set one by one, sorted."""
    return sorted({str(entry.get("name")) for spec in _containers(template) for entry in spec.get("env") or []})


def _containers(template: Object) -> list[Object]:
    spec = at(template, "spec")
    return [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]


def _environment_references(template: Object) -> Iterator[str]:
    for spec in _containers(template):
        for entry in spec.get("envFrom") or []:
            yield from _named(at(entry, "configMapRef"), "ConfigMap")
            yield from _named(at(entry, "secretRef"), "Secret")
        for entry in spec.get("env") or []:
            yield from _named(at(entry, "valueFrom", "configMapKeyRef"), "ConfigMap")
            yield from _named(at(entry, "valueFrom", "secretKeyRef"), "Secret")


def _volume_references(template: Object) -> Iterator[str]:
    for volume in at(template, "spec").get("volumes") or []:
        yield from _named(at(volume, "configMap"), "ConfigMap")
        secret = at(volume, "secret")
        yield from _named({**secret, "name": secret.get("secretName")}, "Secret")


def _named(reference: Object, kind: str) -> Iterator[str]:
    if reference.get("name") and not reference.get("optional"):
        yield f"{kind}/{reference['name']}"
        if reference.get("key"):
            yield f"{kind}/{reference['name']}#{reference['key']}"


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """(path, plain value) pairs; entries of lists are named by what Kubernetes merges them by."""
    if isinstance(value, Mapping):
        for key in value:
            if path != "metadata.labels" or key != "pod-template-hash":
                yield from _leaves(value[key], f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _leaves(entry, f"{path}[{_place(entry, index)}]")
    else:
        yield path, value


def _place(entry: Any, index: int) -> str:
    for key in _KEYS:
        if isinstance(entry, Mapping) and entry.get(key) is not None:
            return f"{key}={entry[key]}"
    return str(index)


def _shown(path: str, leaves: Mapping[str, Any]) -> Any:
    if path not in leaves:
        return None
    if ".env[" in path and path.endswith(".value"):
        return HIDDEN
    value = leaves[path]
    return text.quoted(value, 200) if isinstance(value, str) else value
