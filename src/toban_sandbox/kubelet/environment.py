"""What a container needs from ConfigMaps and Secrets: its environment variables.

Used by the pods' runs before a container is created; what is missing is told in the kubelet's own words.
"""

import base64
from typing import Any

from toban_sandbox.kube import store as stores

Json = dict[str, Any]


class ConfigError(Exception):
    """The container cannot be created yet; the message is what the pod's status shows."""


def variables(store: stores.ObjectStore, pod: Json, container: Json) -> dict[str, str]:
    """The container's environment; ConfigError when something it refers to is missing."""
    namespace = pod["metadata"]["namespace"]
    found: dict[str, str] = {}
    for source in container.get("envFrom") or ():
        found |= _whole(store, namespace, source)
    for variable in container.get("env") or ():
        value = _single(store, pod, variable)
        if value is not None:
            found[variable["name"]] = value
    return found


def _whole(store: stores.ObjectStore, namespace: str, source: Json) -> dict[str, str]:
    prefix = source.get("prefix", "")
    for field, resource, word in (("configMapRef", "configmaps", "configmap"), ("secretRef", "secrets", "secret")):
        reference = source.get(field)
        if reference is None:
            continue
        obj = store.get(resource, namespace, reference.get("name", ""))
        if obj is not None:
            return {prefix + key: value for key, value in _plain(resource, obj).items()}
        if not reference.get("optional"):
            raise ConfigError(f'{word} "{reference.get("name", "")}" not found')
    return {}


def _single(store: stores.ObjectStore, pod: Json, variable: Json) -> str | None:
    source = variable.get("valueFrom")
    if not source:
        return str(variable.get("value", ""))
    if source.get("fieldRef"):
        return _field(pod, source["fieldRef"].get("fieldPath", ""))
    if source.get("configMapKeyRef"):
        return _key(store, pod, source["configMapKeyRef"], resource="configmaps")
    if source.get("secretKeyRef"):
        return _key(store, pod, source["secretKeyRef"], resource="secrets")
    return ""


def _key(store: stores.ObjectStore, pod: Json, reference: Json, *, resource: str) -> str | None:
    namespace, name, key = pod["metadata"]["namespace"], reference.get("name", ""), reference.get("key", "")
    kind = "ConfigMap" if resource == "configmaps" else "Secret"
    obj = store.get(resource, namespace, name)
    if obj is None:
        if reference.get("optional"):
            return None
        raise ConfigError(f'{kind.lower()} "{name}" not found')
    values = _plain(resource, obj)
    if key not in values:
        if reference.get("optional"):
            return None
        raise ConfigError(f"couldn't find key {key} in {kind} {namespace}/{name}")
    return values[key]


def _plain(resource: str, obj: Json) -> dict[str, str]:
    data = obj.get("data") or {}
    if resource == "configmaps":
        return {key: str(value) for key, value in data.items()}
    return {key: base64.b64decode(str(value)).decode(errors="replace") for key, value in data.items()}


def _field(pod: Json, path: str) -> str:
    status = pod.get("status") or {}
    known = {
        "metadata.name": pod["metadata"]["name"],
        "metadata.namespace": pod["metadata"]["namespace"],
        "metadata.uid": pod["metadata"]["uid"],
        "spec.nodeName": pod["spec"].get("nodeName", ""),
        "spec.serviceAccountName": pod["spec"].get("serviceAccountName", ""),
        "status.podIP": status.get("podIP", ""),
        "status.hostIP": status.get("hostIP", ""),
    }
    return str(known.get(path, ""))
