"""Services: ports, type, and the address that never changes."""

from collections.abc import Iterator
from typing import Any

from toban_sandbox.kube import errors
from toban_sandbox.kube.validation import causes, pods

Json = dict[str, Any]
Causes = Iterator[errors.Cause]

_TYPES = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]


def check(obj: Json) -> Causes:
    """What is wrong with a Service."""
    spec = obj.get("spec") or {}
    ports = spec.get("ports") or []
    if spec.get("type") not in _TYPES:
        yield causes.unsupported("spec.type", spec.get("type"), _TYPES)
    if not ports and spec.get("type") != "ExternalName" and spec.get("clusterIP") != "None":
        yield causes.required("spec.ports")
    if spec.get("type") == "ExternalName" and not spec.get("externalName"):
        yield causes.required("spec.externalName")
    seen: list[tuple[Any, Any]] = []
    for index, port in enumerate(ports):
        field = f"spec.ports[{index}]"
        number = port.get("port")
        if number is None or not 0 < number <= pods.LARGEST_PORT:
            yield causes.invalid(f"{field}.port", number or 0, "must be between 1 and 65535, inclusive")
        if len(ports) > 1 and not port.get("name"):
            yield causes.required(f"{field}.name")
        key = (port.get("protocol"), number)
        if key in seen:
            yield causes.duplicate(field, {"port": number, "protocol": port.get("protocol")})
        seen.append(key)


def check_update(new: Json, old: Json) -> Causes:
    """The cluster address of a Service never changes once it has one."""
    before, after = (old.get("spec") or {}).get("clusterIP"), (new.get("spec") or {}).get("clusterIP")
    if before and after != before and (new.get("spec") or {}).get("type") != "ExternalName":
        yield causes.invalid("spec.clusterIPs[0]", [after], "may not change once set")
