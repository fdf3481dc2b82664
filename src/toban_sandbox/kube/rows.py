"""One row of a table for each kind: the cells in the order of `tables`' columns."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from toban_sandbox.kube import objects, selectors

Json = dict[str, Any]

NONE = "<none>"
UNKNOWN = "<unknown>"
_SHOWN_ENDPOINTS = 3
_MINUTE, _HOUR, _DAY, _YEAR = (60, "m"), (3600, "h"), (86400, "d"), (365 * 86400, "y")
_SECOND, _NOTHING = (1, "s"), (0, "")
# Up to how many seconds which units are shown, as kubectl does.
_DURATIONS = (
    (2 * 60, _SECOND, _NOTHING),
    (10 * 60, _MINUTE, _SECOND),
    (3 * 3600, _MINUTE, _NOTHING),
    (8 * 3600, _HOUR, _MINUTE),
    (48 * 3600, _HOUR, _NOTHING),
    (8 * 86400, _DAY, _HOUR),
    (2 * _YEAR[0], _DAY, _NOTHING),
    (8 * _YEAR[0], _YEAR, _DAY),
    (float("inf"), _YEAR, _NOTHING),
)


def age(text: str | None, now: datetime) -> str:
    """How long ago, in kubectl's short form."""
    if not text:
        return UNKNOWN
    return duration(int((now - objects.parse_time(text)).total_seconds()))


def duration(seconds: int) -> str:
    """Seconds in kubectl's short form, such as `45s`, `3m20s` and `2d4h`."""
    if seconds < 0:
        return "0s" if seconds >= -1 else "<invalid>"
    (large, large_unit), small = next((big, little) for limit, big, little in _DURATIONS if seconds < limit)
    rest = seconds % large // small[0] if small[0] else 0
    return f"{seconds // large}{large_unit}{rest}{small[1]}" if rest else f"{seconds // large}{large_unit}"


def born(obj: Json, now: datetime) -> str:
    """The age of an object."""
    return age(obj["metadata"].get("creationTimestamp"), now)


def plain(obj: Json, now: datetime) -> list[Any]:
    return [objects.name_of(obj), born(obj, now)]


def pod(obj: Json, now: datetime) -> list[Any]:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    beside = {one["name"] for one in spec.get("initContainers") or () if one.get("restartPolicy") == "Always"}
    sidecars = [one for one in status.get("initContainerStatuses") or () if one["name"] in beside]
    statuses = [*(status.get("containerStatuses") or []), *sidecars]
    ready = sum(1 for one in statuses if one.get("ready"))
    restarts, last = _restarts(statuses)
    since = f" ({age(last, now)} ago)" if last else ""
    gates = spec.get("readinessGates")
    return [
        objects.name_of(obj),
        f"{ready}/{len(spec.get('containers') or ()) + len(beside)}",
        pod_status(obj),
        f"{restarts}{since}",
        born(obj, now),
        status.get("podIP") or NONE,
        spec.get("nodeName") or NONE,
        status.get("nominatedNodeName") or NONE,
        f"0/{len(gates)}" if gates else NONE,
    ]


def pod_status(obj: Json) -> str:
    """The one word that kubectl shows for a pod's state."""
    status = obj.get("status") or {}
    word = str(status.get("reason") or status.get("phase") or "Unknown")
    word = _init_word(obj) or _containers_word(status, word)
    if objects.is_terminating(obj) and word not in {"Completed", "Error"} | {status.get("reason")}:
        return "Unknown" if status.get("reason") == "NodeLost" else "Terminating"
    return word


def _init_word(obj: Json) -> str:
    initialised = (obj.get("status") or {}).get("initContainerStatuses") or []
    given = (obj.get("spec") or {}).get("initContainers") or ()
    beside = {one["name"] for one in given if one.get("restartPolicy") == "Always"}
    over = (obj.get("status") or {}).get("phase") in {"Succeeded", "Failed"}
    for index, one in enumerate(initialised):
        state = one.get("state") or {}
        ended = state.get("terminated")
        if ended is not None and ended.get("exitCode") == 0:
            continue
        if one["name"] in beside and (over or (one.get("started") and state.get("running") is not None)):
            continue
        if ended is not None:
            return f"Init:{ended.get('reason') or 'ExitCode:' + str(ended.get('exitCode'))}"
        reason = (state.get("waiting") or {}).get("reason")
        if reason and reason != "PodInitializing":
            return f"Init:{reason}"
        return f"Init:{index}/{len((obj.get('spec') or {}).get('initContainers') or ())}"
    return ""


def _containers_word(status: Json, word: str) -> str:
    running = False
    for one in reversed(status.get("containerStatuses") or []):
        state = one.get("state") or {}
        ended = state.get("terminated")
        if (state.get("waiting") or {}).get("reason"):
            word = state["waiting"]["reason"]
        elif ended is not None:
            word = ended.get("reason") or f"ExitCode:{ended.get('exitCode')}"
        elif one.get("ready") and state.get("running") is not None:
            running = True
    if word == "Completed" and running:
        return "Running" if objects.is_true({"status": status}, "Ready") else "NotReady"
    return word


def _restarts(statuses: Iterable[Json]) -> tuple[int, str]:
    total, last = 0, ""
    for one in statuses:
        total += int(one.get("restartCount") or 0)
        ended = (one.get("lastState") or {}).get("terminated") or {}
        last = max(last, ended.get("finishedAt") or "")
    return total, last if total else ""


def containers(spec: Json) -> list[Any]:
    """The cells of names, images and selector of a workload's specification."""
    containers = ((spec.get("template") or {}).get("spec") or {}).get("containers") or []
    names = ",".join(str(one.get("name")) for one in containers)
    images = ",".join(str(one.get("image")) for one in containers)
    return [names, images, selectors.text_of(spec.get("selector")) or NONE]


def deployment(obj: Json, now: datetime) -> list[Any]:
    spec, status = obj["spec"], obj.get("status") or {}
    return [
        objects.name_of(obj),
        f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 1)}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        born(obj, now),
        *containers(spec),
    ]


def replicaset(obj: Json, now: datetime) -> list[Any]:
    spec, status = obj["spec"], obj.get("status") or {}
    counts = [spec.get("replicas", 1), status.get("replicas", 0), status.get("readyReplicas", 0)]
    return [objects.name_of(obj), *counts, born(obj, now), *containers(spec)]


def service(obj: Json, now: datetime) -> list[Any]:
    spec = obj["spec"]
    selector = ",".join(f"{key}={value}" for key, value in sorted((spec.get("selector") or {}).items()))
    external = {"ExternalName": spec.get("externalName"), "LoadBalancer": "<pending>"}.get(spec.get("type"), NONE)
    return [
        objects.name_of(obj),
        spec.get("type"),
        spec.get("clusterIP") or NONE,
        ",".join(spec["externalIPs"]) if spec.get("externalIPs") else external,
        ",".join(_service_port(port) for port in spec.get("ports") or ()) or NONE,
        born(obj, now),
        selector or NONE,
    ]


def _service_port(port: Json) -> str:
    outside = f":{port['nodePort']}" if port.get("nodePort") else ""
    return f"{port.get('port')}{outside}/{port.get('protocol', 'TCP')}"


def node(obj: Json, now: datetime) -> list[Any]:
    status, spec = obj.get("status") or {}, obj.get("spec") or {}
    ready = objects.condition(obj, "Ready")
    word = "Unknown" if ready is None else {"True": "Ready", "False": "NotReady"}.get(ready["status"], "NotReady")
    prefix = "node-role.kubernetes.io/"
    roles = sorted(label.removeprefix(prefix) for label in objects.labels(obj) if label.startswith(prefix))
    addresses = {one.get("type"): one.get("address") for one in status.get("addresses") or ()}
    info = status.get("nodeInfo") or {}
    return [
        objects.name_of(obj),
        f"{word},SchedulingDisabled" if spec.get("unschedulable") else word,
        ",".join(roles) or NONE,
        born(obj, now),
        info.get("kubeletVersion", ""),
        addresses.get("InternalIP") or NONE,
        addresses.get("ExternalIP") or NONE,
        info.get("osImage") or UNKNOWN,
        info.get("kernelVersion") or UNKNOWN,
        info.get("containerRuntimeVersion") or UNKNOWN,
    ]


def namespace(obj: Json, now: datetime) -> list[Any]:
    return [objects.name_of(obj), (obj.get("status") or {}).get("phase", "Active"), born(obj, now)]


def configmap(obj: Json, now: datetime) -> list[Any]:
    return [objects.name_of(obj), len(obj.get("data") or {}) + len(obj.get("binaryData") or {}), born(obj, now)]


def secret(obj: Json, now: datetime) -> list[Any]:
    return [objects.name_of(obj), obj.get("type"), len(obj.get("data") or {}), born(obj, now)]


def event(obj: Json, now: datetime) -> list[Any]:
    about = obj.get("involvedObject") or {}
    source = obj.get("source") or {}
    series = obj.get("series") or {}
    first = obj.get("firstTimestamp") or obj.get("eventTime")
    last = series.get("lastObservedTime") or obj.get("lastTimestamp") or first
    count = series.get("count") or obj.get("count") or 1
    kind = str(about.get("kind") or "").lower()
    name = about.get("name")
    component = source.get("component") or obj.get("reportingComponent") or ""
    return [
        age(last, now),
        obj.get("type"),
        obj.get("reason"),
        f"{kind}/{name}" if name else kind,
        about.get("fieldPath", ""),
        f"{component}, {source['host']}" if source.get("host") else component,
        str(obj.get("message", "")).strip(),
        age(first, now),
        count,
        objects.name_of(obj),
    ]


def endpointslice(obj: Json, now: datetime) -> list[Any]:
    ports = [str(port.get("port")) for port in obj.get("ports") or ()]
    found = [address for one in obj.get("endpoints") or () for address in one.get("addresses") or ()]
    more = f" + {len(found) - _SHOWN_ENDPOINTS} more..." if len(found) > _SHOWN_ENDPOINTS else ""
    shown = ",".join(found[:_SHOWN_ENDPOINTS]) + more if found else "<unset>"
    return [objects.name_of(obj), obj.get("addressType"), ",".join(ports) or "<unset>", shown, born(obj, now)]


def lease(obj: Json, now: datetime) -> list[Any]:
    return [objects.name_of(obj), (obj.get("spec") or {}).get("holderIdentity") or "", born(obj, now)]
