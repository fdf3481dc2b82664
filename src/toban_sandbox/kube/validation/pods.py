"""Pods and pod templates: containers, images, ports, variables, volumes, resources, probes."""

from collections.abc import Iterator
from typing import Any

from toban_sandbox.kube import errors, objects, quantity
from toban_sandbox.kube.validation import causes, names

Json = dict[str, Any]
Causes = Iterator[errors.Cause]

LARGEST_PORT = 65535
_RESTART_POLICIES = ["Always", "OnFailure", "Never"]
_PULL_POLICIES = ["Always", "IfNotPresent", "Never"]
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_UPDATE_RULE = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def check(pod: Json) -> Causes:
    """What is wrong with a new pod."""
    yield from check_spec(pod.get("spec") or {}, "spec")


def check_update(new: Json, old: Json) -> Causes:
    """What a pod may not become: nearly everything of its specification is fixed."""
    if _frozen(new) != _frozen(old):
        yield causes.forbidden("spec", _UPDATE_RULE)
    for index, container in enumerate((new.get("spec") or {}).get("containers") or ()):
        if not container.get("image"):
            yield causes.required(f"spec.containers[{index}].image")


def _frozen(pod: Json) -> Json:
    spec: Json = objects.copy(pod.get("spec") or {})
    for changeable in ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds"):
        spec.pop(changeable, None)
    for container in objects.all_containers(spec):
        container.pop("image", None)
    return spec


def check_spec(spec: Json, field: str) -> Causes:
    """What is wrong with a pod's specification."""
    volumes = [str(volume.get("name", "")) for volume in spec.get("volumes") or ()]
    for index, name in enumerate(volumes):
        yield from _check_item_name(name, volumes[:index], f"{field}.volumes[{index}].name")
    if not spec.get("containers"):
        yield causes.required(f"{field}.containers")
    seen: list[str] = []
    for group in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(group) or ()):
            below = f"{field}.{group}[{index}]"
            yield from _check_item_name(str(container.get("name", "")), seen, f"{below}.name")
            seen.append(str(container.get("name", "")))
            yield from _check_container(container, below, volumes)
    if spec.get("restartPolicy") not in _RESTART_POLICIES:
        yield causes.unsupported(f"{field}.restartPolicy", spec.get("restartPolicy"), _RESTART_POLICIES)
    grace = spec.get("terminationGracePeriodSeconds") or 0
    if grace < 0:
        yield causes.invalid(f"{field}.terminationGracePeriodSeconds", grace, "must be greater than or equal to 0")


def _check_item_name(name: str, before: list[str], field: str) -> Causes:
    if not name:
        yield causes.required(field)
    elif fault := names.label_fault(name):
        yield causes.invalid(field, name, fault)
    elif name in before:
        yield causes.duplicate(field, name)


def _check_container(container: Json, field: str, volumes: list[str]) -> Causes:
    image = container.get("image")
    if not image:
        yield causes.required(f"{field}.image")
    elif image != image.strip():
        yield causes.invalid(f"{field}.image", image, "must not have leading or trailing whitespace")
    if container.get("imagePullPolicy") not in _PULL_POLICIES:
        yield causes.unsupported(f"{field}.imagePullPolicy", container.get("imagePullPolicy"), _PULL_POLICIES)
    yield from _check_ports(container.get("ports") or [], f"{field}.ports")
    yield from _check_env(container, field)
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        if mount.get("name") not in volumes:
            yield causes.missing(f"{field}.volumeMounts[{index}].name", mount.get("name"))
        if not mount.get("mountPath"):
            yield causes.required(f"{field}.volumeMounts[{index}].mountPath")
    yield from _check_resources(container.get("resources") or {}, f"{field}.resources")
    for name in _PROBES:
        if container.get(name):
            yield from _check_probe(container[name], f"{field}.{name}")


def _check_ports(ports: list[Json], field: str) -> Causes:
    seen: list[str] = []
    for index, port in enumerate(ports):
        number = port.get("containerPort")
        if number is None:
            yield causes.required(f"{field}[{index}].containerPort")
        elif not 0 < number <= LARGEST_PORT:
            yield causes.invalid(f"{field}[{index}].containerPort", number, "must be between 1 and 65535, inclusive")
        if port.get("name"):
            if port["name"] in seen:
                yield causes.duplicate(f"{field}[{index}].name", port["name"])
            seen.append(port["name"])


def _check_env(container: Json, field: str) -> Causes:
    for index, variable in enumerate(container.get("env") or ()):
        below = f"{field}.env[{index}]"
        name = str(variable.get("name", ""))
        if not name:
            yield causes.required(f"{below}.name")
        elif fault := names.variable_fault(name):
            yield causes.invalid(f"{below}.name", name, fault)
        source = variable.get("valueFrom")
        if source is not None:
            yield from _check_source(source, below, has_value=bool(variable.get("value")))


def _check_source(source: Json, field: str, *, has_value: bool) -> Causes:
    if not source:
        yield causes.invalid(
            f"{field}.valueFrom",
            "",
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
        )
    elif has_value:
        yield causes.invalid(f"{field}.valueFrom", "", "may not be specified when `value` is not empty")
    for kind in ("configMapKeyRef", "secretKeyRef"):
        reference = source.get(kind)
        if isinstance(reference, dict) and not reference.get("key"):
            yield causes.required(f"{field}.valueFrom.{kind}.key")


def _check_resources(resources: Json, field: str) -> Causes:
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for group, found in (("limits", limits), ("requests", requests)):
        for name, value in found.items():
            if quantity.parse(value) < 0:
                yield causes.invalid(f"{field}.{group}[{name}]", value, "must be greater than or equal to 0")
    for name, value in requests.items():
        if name in limits and quantity.parse(value) > quantity.parse(limits[name]):
            why = f"must be less than or equal to {name} limit of {limits[name]}"
            yield causes.invalid(f"{field}.requests", value, why)


def _check_probe(probe: Json, field: str) -> Causes:
    handlers = [name for name in ("httpGet", "exec", "tcpSocket", "grpc") if probe.get(name) is not None]
    if not handlers:
        yield causes.required(field, "must specify a handler type")
    elif len(handlers) > 1:
        yield causes.forbidden(f"{field}.{handlers[1]}", "may not specify more than 1 handler type")
    if handlers and handlers[0] in {"httpGet", "tcpSocket"} and probe[handlers[0]].get("port") is None:
        yield causes.required(f"{field}.{handlers[0]}.port")
    for name in ("periodSeconds", "timeoutSeconds", "failureThreshold", "successThreshold", "initialDelaySeconds"):
        if (probe.get(name) or 0) < 0:
            yield causes.invalid(f"{field}.{name}", probe[name], "must be greater than or equal to 0")
