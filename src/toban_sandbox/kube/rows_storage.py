"""Rows of the tables of volumes, claims, classes, quotas, ingresses and endpoints, as `kubectl get` shows them."""

from datetime import datetime
from typing import Any

from toban_sandbox.kube import objects, rows

Json = dict[str, Any]

_MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
_UNSET = "<unset>"
_SHOWN = 3
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"


def _modes(found: list[str] | None) -> str:
    wanted = set(found or ())
    return ",".join(short for mode, short in _MODES.items() if mode in wanted)


def _phase(obj: Json) -> str:
    return "Terminating" if objects.is_terminating(obj) else str((obj.get("status") or {}).get("phase", ""))


def volume(obj: Json, now: datetime) -> list[Any]:
    spec, status = obj["spec"], obj.get("status") or {}
    claim = spec.get("claimRef")
    return [
        objects.name_of(obj),
        (spec.get("capacity") or {}).get("storage", ""),
        _modes(spec.get("accessModes")),
        spec.get("persistentVolumeReclaimPolicy", ""),
        _phase(obj),
        f"{claim.get('namespace')}/{claim.get('name')}" if claim else "",
        spec.get("storageClassName", ""),
        spec.get("volumeAttributesClassName") or _UNSET,
        status.get("reason", ""),
        rows.born(obj, now),
        spec.get("volumeMode") or _UNSET,
    ]


def claim(obj: Json, now: datetime) -> list[Any]:
    spec, status = obj["spec"], obj.get("status") or {}
    bound = bool(spec.get("volumeName"))
    return [
        objects.name_of(obj),
        _phase(obj),
        spec.get("volumeName", ""),
        (status.get("capacity") or {}).get("storage", "") if bound else "",
        _modes(status.get("accessModes")) if bound else "",
        spec.get("storageClassName", ""),
        spec.get("volumeAttributesClassName") or _UNSET,
        rows.born(obj, now),
        spec.get("volumeMode") or _UNSET,
    ]


def storage_class(obj: Json, now: datetime) -> list[Any]:
    default = objects.annotations(obj).get(DEFAULT_CLASS) == "true"
    return [
        f"{objects.name_of(obj)} (default)" if default else objects.name_of(obj),
        obj.get("provisioner"),
        obj.get("reclaimPolicy", "Delete"),
        obj.get("volumeBindingMode", "Immediate"),
        bool(obj.get("allowVolumeExpansion")),
        rows.born(obj, now),
    ]


def quota(obj: Json, now: datetime) -> list[Any]:
    status = obj.get("status") or {}
    hard, used = status.get("hard") or {}, status.get("used") or {}
    asked: list[str] = []
    limited: list[str] = []
    for name in sorted(hard):
        (limited if name.startswith("limits.") else asked).append(f"{name}: {used.get(name, '0')}/{hard[name]}")
    return [objects.name_of(obj), ", ".join(asked), ", ".join(limited), rows.born(obj, now)]


def dated(obj: Json, _now: datetime) -> list[Any]:
    """Kinds without columns of their own show when they were made."""
    return [objects.name_of(obj), obj["metadata"].get("creationTimestamp", "")]


def ingress(obj: Json, now: datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    hosts = [str(rule["host"]) for rule in spec.get("rules") or () if rule.get("host")]
    more = f" + {len(hosts) - _SHOWN} more..." if len(hosts) > _SHOWN else ""
    balanced = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or []
    return [
        objects.name_of(obj),
        spec.get("ingressClassName") or rows.NONE,
        ",".join(hosts[:_SHOWN]) + more if hosts else "*",
        ",".join(str(one.get("ip") or one.get("hostname")) for one in balanced),
        "80, 443" if spec.get("tls") else "80",
        rows.born(obj, now),
    ]


def ingress_class(obj: Json, now: datetime) -> list[Any]:
    spec = obj.get("spec") or {}
    found = spec.get("parameters")
    shown = rows.NONE
    if found:
        group = f".{found['apiGroup']}" if found.get("apiGroup") else ""
        shown = f"{found.get('kind')}{group}/{found.get('name')}"
    return [objects.name_of(obj), spec.get("controller"), shown, rows.born(obj, now)]


def endpoints(obj: Json, now: datetime) -> list[Any]:
    found = []
    for subset in obj.get("subsets") or ():
        ports = subset.get("ports") or [{}]
        for port in ports:
            tail = f":{port['port']}" if port.get("port") else ""
            found += [f"{one['ip']}{tail}" for one in subset.get("addresses") or ()]
    more = f" + {len(found) - _SHOWN} more..." if len(found) > _SHOWN else ""
    return [objects.name_of(obj), ",".join(found[:_SHOWN]) + more or rows.NONE, rows.born(obj, now)]
