"""Volumes of a pod before its containers start: what is missing or cannot be mounted, in the kubelet's own words."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from toban_sandbox.kube import defaults, objects
from toban_sandbox.kube import store as stores

Json = dict[str, Any]

_MOUNT, _ATTACH = "FailedMount", "FailedAttachVolume"
# The directories that every node has; host paths that ask for more are not there.
_HOST_FOLDERS = (
    *("/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/opt", "/proc", "/root", "/run", "/srv", "/sys"),
    *("/tmp", "/usr", "/var"),  # noqa: S108 -- names of folders on the simulated nodes
)
_HOST_FILES = (
    "/etc/hostname",
    "/etc/hosts",
    "/etc/localtime",
    "/etc/machine-id",
    "/etc/os-release",
    "/etc/resolv.conf",
)
_SOCKETS = ("/run/containerd/containerd.sock", "/var/run/containerd/containerd.sock")


class Fault(NamedTuple):
    """One volume that is not there yet; `reason` is the event's."""

    reason: str
    text: str


def faults(store: stores.ObjectStore, pod: Json) -> Iterator[Fault]:
    """What keeps a pod's volumes from being mounted."""
    namespace = pod["metadata"]["namespace"]
    for volume in pod["spec"].get("volumes") or ():
        for why in _source_faults(store, namespace, volume):
            yield Fault(_MOUNT, f'MountVolume.SetUp failed for volume "{volume["name"]}" : {why}')
        if volume.get("hostPath"):
            why = _host_fault(volume["hostPath"])
            if why:
                yield Fault(_MOUNT, f'MountVolume.SetUp failed for volume "{volume["name"]}" : {why}')
        if volume.get("persistentVolumeClaim"):
            yield from _claim_faults(store, pod, str(volume["persistentVolumeClaim"].get("claimName", "")))


def _source_faults(store: stores.ObjectStore, namespace: str, volume: Json) -> Iterator[str]:
    parts = [volume, *((volume.get("projected") or {}).get("sources") or ())]
    for part in parts:
        for field, resource, word in (("configMap", "configmaps", "configmap"), ("secret", "secrets", "secret")):
            source = part.get(field)
            if source is None or source.get("optional"):
                continue
            name = str(source.get("secretName") or source.get("name", ""))
            if name == defaults.ROOT_CA:
                continue
            obj = store.get(resource, namespace, name)
            if obj is None:
                yield f'{word} "{name}" not found'
                continue
            known = {**(obj.get("data") or {}), **(obj.get("binaryData") or {})}
            key_word = "config key" if field == "configMap" else "secret key"
            for item in source.get("items") or ():
                if item.get("key") not in known:
                    yield f"{word} references non-existent {key_word}: {item.get('key')}"


def _host_fault(source: Json) -> str:
    path, kind = str(source.get("path", "")), source.get("type") or ""
    folder = "/" + path.strip("/").partition("/")[0]
    deep = path.strip("/").count("/") > 0
    if kind == "Directory" and (
        folder not in _HOST_FOLDERS or (deep and not path.startswith(("/var", "/etc", "/run")))
    ):
        return f"hostPath type check failed: {path} is not a directory"
    if kind == "File" and path not in _HOST_FILES:
        return f"hostPath type check failed: {path} is not a file"
    if kind == "Socket" and path not in _SOCKETS:
        return f"hostPath type check failed: {path} is not a socket file"
    return ""


def _claim_faults(store: stores.ObjectStore, pod: Json, name: str) -> Iterator[Fault]:
    namespace = pod["metadata"]["namespace"]
    claim = store.get("persistentvolumeclaims", namespace, name)
    if claim is None:
        about = f"Unable to attach or mount volumes: error processing PVC {namespace}/{name}: failed to fetch PVC from"
        yield Fault(_MOUNT, f'{about} API server: persistentvolumeclaims "{name}" not found')
        return
    volume = store.get("persistentvolumes", None, claim["spec"].get("volumeName") or "")
    if volume is None or not volume["spec"].get("csi"):
        return
    modes = set(volume["spec"].get("accessModes") or ())
    if modes & {"ReadWriteMany", "ReadOnlyMany"}:
        return
    users = [
        objects.name_of(other)
        for other in store.list("pods", namespace)
        if other["metadata"]["uid"] != pod["metadata"]["uid"]
        and other["spec"].get("nodeName") not in {None, "", pod["spec"].get("nodeName")}
        and not objects.is_finished(other)
        and (other.get("status") or {}).get("podIP")
        and any(
            (one.get("persistentVolumeClaim") or {}).get("claimName") == name
            for one in other["spec"].get("volumes") or ()
        )
    ]
    if users:
        listed = ", ".join(users)
        about = f'Multi-Attach error for volume "{objects.name_of(volume)}" Volume is already used by pod(s) {listed}'
        yield Fault(_ATTACH, about)
