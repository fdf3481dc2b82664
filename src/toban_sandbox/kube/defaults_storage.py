"""What the API server fills in in volumes, claims, classes, limits, policies and priorities."""

from collections.abc import Callable
from typing import Any

from toban_sandbox.kube.defaults_pods import put

Json = dict[str, Any]

CLAIM_PROTECTION, VOLUME_PROTECTION = "kubernetes.io/pvc-protection", "kubernetes.io/pv-protection"


def _claim(obj: Json) -> None:
    put(obj, spec={}, status={})
    put(obj["spec"], volumeMode="Filesystem")
    put(obj["status"], phase="Pending")
    _protect(obj, CLAIM_PROTECTION)


def _volume(obj: Json) -> None:
    put(obj, spec={}, status={})
    put(obj["spec"], persistentVolumeReclaimPolicy="Retain", volumeMode="Filesystem")
    put(obj["status"], phase="Pending")
    _protect(obj, VOLUME_PROTECTION)


def _protect(obj: Json, finalizer: str) -> None:
    meta = obj["metadata"]
    if not meta.get("deletionTimestamp") and finalizer not in (meta.get("finalizers") or ()):
        meta["finalizers"] = [*(meta.get("finalizers") or []), finalizer]


def _storage_class(obj: Json) -> None:
    put(obj, reclaimPolicy="Delete", volumeBindingMode="Immediate")


def _limit_range(obj: Json) -> None:
    for item in (obj.get("spec") or {}).get("limits") or ():
        if item.get("type") != "Container":
            continue
        default = {**(item.get("max") or {}), **(item.get("default") or {})}
        request = {**(item.get("min") or {}), **default, **(item.get("defaultRequest") or {})}
        if default:
            item["default"] = default
        if request:
            item["defaultRequest"] = request


def _network_policy(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", *(["Egress"] if spec.get("egress") else [])]
    for way in ("ingress", "egress"):
        for rule in spec.get(way) or ():
            for port in rule.get("ports") or ():
                put(port, protocol="TCP")


def _priority_class(obj: Json) -> None:
    put(obj, preemptionPolicy="PreemptLowerPriority")


def _quota(obj: Json) -> None:
    put(obj, spec={}, status={})


def _balanced(obj: Json) -> None:
    put(obj, status={"loadBalancer": {}})


FILLERS: dict[str, Callable[[Json], None]] = {
    "PersistentVolumeClaim": _claim,
    "PersistentVolume": _volume,
    "StorageClass": _storage_class,
    "LimitRange": _limit_range,
    "NetworkPolicy": _network_policy,
    "PriorityClass": _priority_class,
    "ResourceQuota": _quota,
    "Ingress": _balanced,
}
