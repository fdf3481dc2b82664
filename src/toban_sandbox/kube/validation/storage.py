"""Volumes, claims and storage classes: what they must say, and what never changes once it is said."""

from collections.abc import Iterator
from typing import Any

from toban_sandbox.kube import errors, objects, quantity
from toban_sandbox.kube.validation import causes

Json = dict[str, Any]
Causes = Iterator[errors.Cause]

_MODES = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"]
_RECLAIM = ["Delete", "Recycle", "Retain"]
_BINDING = ["Immediate", "WaitForFirstConsumer"]
_SOURCES = {
    *("awsElasticBlockStore", "azureDisk", "azureFile", "cephfs", "cinder", "csi", "fc", "flexVolume", "flocker"),
    *("gcePersistentDisk", "glusterfs", "hostPath", "iscsi", "local", "nfs", "photonPersistentDisk", "portworxVolume"),
    *("quobyte", "rbd", "scaleIO", "storageos", "vsphereVolume"),
}
_FIXED_CLAIM = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
)


def check_claim(obj: Json) -> Causes:
    """What is wrong with a PersistentVolumeClaim."""
    spec = obj.get("spec") or {}
    modes = spec.get("accessModes") or []
    if not modes:
        yield causes.required("spec.accessModes", "at least 1 access mode is required")
    for mode in modes:
        if mode not in _MODES:
            yield causes.unsupported("spec.accessModes", mode, _MODES)
    asked = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if asked is None:
        yield causes.required("spec.resources[storage]")
    elif quantity.parse(asked) <= 0:
        yield causes.invalid("spec.resources[storage]", asked, "must be greater than zero")


def check_claim_update(new: Json, old: Json) -> Causes:
    """Nearly everything of a claim is fixed, and it never shrinks."""
    before, after = _fixed_claim(old), _fixed_claim(new)
    if not before.get("volumeName"):
        before.pop("volumeName", None)
        after.pop("volumeName", None)
    if before.get("storageClassName") is None:
        after.pop("storageClassName", None)
        before.pop("storageClassName", None)
    if before != after:
        yield causes.forbidden("spec", _FIXED_CLAIM)
    capacity = ((old.get("status") or {}).get("capacity") or {}).get("storage", "0")
    asked, was = _asked(new), _asked(old)
    if quantity.parse(asked) < quantity.parse(was) and quantity.parse(asked) < quantity.parse(capacity):
        yield causes.forbidden("spec.resources.requests.storage", "field can not be less than status.capacity")


def _fixed_claim(obj: Json) -> Json:
    spec: Json = objects.copy(obj.get("spec") or {})
    spec.pop("volumeAttributesClassName", None)
    ((spec.get("resources") or {}).get("requests") or {}).pop("storage", None)
    return spec


def _asked(obj: Json) -> str:
    requests = ((obj.get("spec") or {}).get("resources") or {}).get("requests") or {}
    return str(requests.get("storage", "0"))


def check_volume(obj: Json) -> Causes:
    """What is wrong with a PersistentVolume."""
    spec = obj.get("spec") or {}
    if not spec.get("accessModes"):
        yield causes.required("spec.accessModes")
    if not (spec.get("capacity") or {}).get("storage"):
        yield causes.required("spec.capacity")
    if spec.get("persistentVolumeReclaimPolicy") not in _RECLAIM:
        yield causes.unsupported(
            "spec.persistentVolumeReclaimPolicy", spec.get("persistentVolumeReclaimPolicy"), _RECLAIM
        )
    found = sorted(_SOURCES & set(spec))
    if not found:
        yield causes.required("spec", "must specify a volume type")
    elif len(found) > 1:
        yield causes.forbidden(f"spec.{found[1]}", "may not specify more than 1 volume type")
    if "local" in found and not spec.get("nodeAffinity"):
        yield causes.required("spec.nodeAffinity", "Local volume requires node affinity")


def check_volume_update(new: Json, old: Json) -> Causes:
    """The source of a volume is fixed."""
    after, before = new.get("spec") or {}, old.get("spec") or {}
    if any(after.get(source) != before.get(source) for source in _SOURCES):
        text = "spec.persistentvolumesource is immutable after creation"
        yield causes.forbidden("spec.persistentvolumesource", text)
    if before.get("nodeAffinity") and after.get("nodeAffinity") != before["nodeAffinity"]:
        yield causes.invalid("spec.nodeAffinity", after.get("nodeAffinity"), "field is immutable")


def check_class(obj: Json) -> Causes:
    """What is wrong with a StorageClass."""
    if not obj.get("provisioner"):
        yield causes.required("provisioner")
    if obj.get("reclaimPolicy") not in {"Delete", "Retain"}:
        yield causes.unsupported("reclaimPolicy", obj.get("reclaimPolicy"), ["Delete", "Retain"])
    if obj.get("volumeBindingMode") not in _BINDING:
        yield causes.unsupported("volumeBindingMode", obj.get("volumeBindingMode"), _BINDING)


def check_class_update(new: Json, old: Json) -> Causes:
    """What a StorageClass stands for never changes."""
    for field in ("parameters", "provisioner"):
        if new.get(field) != old.get(field):
            yield causes.forbidden(field, f"updates to {field} are forbidden.")
    for field in ("reclaimPolicy", "volumeBindingMode"):
        if new.get(field) != old.get(field):
            yield causes.invalid(field, new.get(field), "field is immutable")
