"""What the API server fills in where a client says nothing, kind by kind.

Called by the store on every write, so that all readers find complete objects. It changes the object in hand and is the
same when done twice. It refuses nothing: see `validation`.
"""

import base64
from collections.abc import Callable
from typing import Any

Json = dict[str, Any]

DEFAULT_GRACE_S = 30
ACCESS_VOLUME = "kube-api-access-"
ROOT_CA = "kube-root-ca.crt"
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_CLUSTER_WIDE_TYPES = {"ClusterIP", "NodePort", "LoadBalancer"}


def fill(kind: str, obj: Json) -> None:
    """Fill in the defaults of one object in place."""
    filler = _FILLERS.get(kind)
    if filler is not None:
        filler(obj)


def _put(target: Json, **defaults: Any) -> None:
    for name, value in defaults.items():
        if target.get(name) is None:
            target[name] = value


def _deployment(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    _put(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)
    if spec.get("strategy") is None:
        spec["strategy"] = {}
    strategy = spec["strategy"]
    _put(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _put(strategy, rollingUpdate={})
        _put(strategy["rollingUpdate"], maxSurge="25%", maxUnavailable="25%")
    _template(spec)


def _replicaset(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    _put(spec, replicas=1)
    _template(spec)
    if spec.get("selector") is None and (spec.get("template") or {}).get("metadata", {}).get("labels"):
        spec["selector"] = {"matchLabels": dict(spec["template"]["metadata"]["labels"])}


def _template(spec: Json) -> None:
    template = spec.get("template")
    if isinstance(template, dict):
        _put(template, metadata={})
        if isinstance(template.get("spec"), dict):
            _pod_spec(template["spec"])


def _pod(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    _pod_spec(spec)
    _put(spec, enableServiceLinks=True, priority=0, preemptionPolicy="PreemptLowerPriority")
    _put(spec, serviceAccountName=spec.get("serviceAccount") or "default")
    _put(spec, serviceAccount=spec["serviceAccountName"])
    if spec.get("tolerations") is None:
        keys = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
        spec["tolerations"] = [
            {"effect": "NoExecute", "key": key, "operator": "Exists", "tolerationSeconds": 300} for key in keys
        ]
    for container in spec.get("containers") or ():
        limits = (container.get("resources") or {}).get("limits") or {}
        if limits:
            _put(container["resources"], requests={})
            _put(container["resources"]["requests"], **{key: value for key, value in limits.items() if value})
    obj.setdefault("status", {"phase": "Pending", "qosClass": qos_class(spec)})


def _pod_spec(spec: Json) -> None:
    _put(
        spec,
        restartPolicy="Always",
        terminationGracePeriodSeconds=DEFAULT_GRACE_S,
        dnsPolicy="ClusterFirst",
        schedulerName="default-scheduler",
        securityContext={},
    )
    for name in ("containers", "initContainers"):
        for container in spec.get(name) or ():
            if isinstance(container, dict):
                _container(container)
    for volume in spec.get("volumes") or ():
        _volume(volume)


def _container(container: Json) -> None:
    tail = str(container.get("image", "")).rpartition("/")[2]
    latest = tail.endswith(":latest") or ":" not in tail
    _put(
        container,
        imagePullPolicy="Always" if latest else "IfNotPresent",
        resources={},
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
    )
    for port in container.get("ports") or ():
        _put(port, protocol="TCP")
    for variable in container.get("env") or ():
        reference = (variable.get("valueFrom") or {}).get("fieldRef")
        if reference:
            _put(reference, apiVersion="v1")
    for name in _PROBES:
        if isinstance(container.get(name), dict):
            _probe(container[name])


def _probe(probe: Json) -> None:
    _put(probe, timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
    if isinstance(probe.get("httpGet"), dict):
        _put(probe["httpGet"], path="/", scheme="HTTP")


def _volume(volume: Json) -> None:
    for source in ("configMap", "secret", "projected", "downwardAPI"):
        if isinstance(volume.get(source), dict):
            _put(volume[source], defaultMode=420)
    if len(volume) == 1 and "name" in volume:
        volume["emptyDir"] = {}


def _service(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    _put(spec, type="ClusterIP", sessionAffinity="None")
    for port in spec.get("ports") or ():
        _put(port, protocol="TCP", targetPort=port.get("port"))
    if spec["type"] in _CLUSTER_WIDE_TYPES:
        _put(spec, ipFamilies=["IPv4"], ipFamilyPolicy="SingleStack", internalTrafficPolicy="Cluster")
    if spec["type"] in {"NodePort", "LoadBalancer"}:
        _put(spec, externalTrafficPolicy="Cluster")
    if spec["type"] == "LoadBalancer":
        _put(spec, allocateLoadBalancerNodePorts=True)
    obj.setdefault("status", {"loadBalancer": {}})


def _secret(obj: Json) -> None:
    _put(obj, type="Opaque")
    plain = obj.pop("stringData", None)
    if plain:
        encoded = {key: base64.b64encode(str(value).encode()).decode() for key, value in plain.items()}
        obj["data"] = (obj.get("data") or {}) | encoded


def _namespace(obj: Json) -> None:
    meta = obj["metadata"]
    if meta.get("labels") is None:
        meta["labels"] = {}
    if meta.get("name"):
        meta["labels"].setdefault("kubernetes.io/metadata.name", meta["name"])
    if "deletionTimestamp" not in meta:
        _put(obj, spec={})
        _put(obj["spec"], finalizers=["kubernetes"])
        obj.setdefault("status", {"phase": "Active"})


def _event(obj: Json) -> None:
    _put(obj, type="Normal", reportingComponent="", reportingInstance="")


def _endpointslice(obj: Json) -> None:
    for port in obj.get("ports") or ():
        _put(port, name="", protocol="TCP")


_FILLERS: dict[str, Callable[[Json], None]] = {
    "Deployment": _deployment,
    "ReplicaSet": _replicaset,
    "Pod": _pod,
    "Service": _service,
    "Secret": _secret,
    "Namespace": _namespace,
    "Event": _event,
    "EndpointSlice": _endpointslice,
}


def mount_token(pod: Json, suffix: str) -> None:
    """Give a new pod the volume with its service account's token, in place, as admission does."""
    spec = pod["spec"]
    volumes = spec.get("volumes") or []
    if spec.get("automountServiceAccountToken") is False or any(
        str(volume.get("name")).startswith(ACCESS_VOLUME) for volume in volumes
    ):
        return
    name = f"{ACCESS_VOLUME}{suffix}"
    items = [{"key": "ca.crt", "path": "ca.crt"}]
    field = {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}, "path": "namespace"}
    sources = [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"items": items, "name": ROOT_CA}},
        {"downwardAPI": {"items": [field]}},
    ]
    spec["volumes"] = [*volumes, {"name": name, "projected": {"defaultMode": 420, "sources": sources}}]
    mount = {"mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "name": name, "readOnly": True}
    for group in ("containers", "initContainers"):
        for container in spec.get(group) or ():
            container["volumeMounts"] = [*(container.get("volumeMounts") or []), dict(mount)]


def qos_class(spec: Json) -> str:
    """The quality-of-service class that a pod's requests and limits give it."""
    resources = [container.get("resources") or {} for container in spec.get("containers") or ()]
    named = [{**(one.get("limits") or {}), **(one.get("requests") or {})} for one in resources]
    if not any(set(one) & {"cpu", "memory"} for one in named):
        return "BestEffort"
    for one in resources:
        limits, requests = one.get("limits") or {}, one.get("requests") or {}
        if not {"cpu", "memory"} <= set(limits):
            return "Burstable"
        if any(requests.get(key, limits[key]) != limits[key] for key in ("cpu", "memory")):
            return "Burstable"
    return "Guaranteed"
