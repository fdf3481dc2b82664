"""What the API server fills in where a client says nothing, kind by kind.

Called by the store on every write, so that all readers find complete objects. It changes the object in hand and is the
same when done twice. It refuses nothing: see `validation`.
"""

import base64
from collections.abc import Callable
from typing import Any

from toban_sandbox.kube import defaults_storage, defaults_workloads
from toban_sandbox.kube.defaults_pods import pod_spec, put, template

Json = dict[str, Any]

ACCESS_VOLUME = "kube-api-access-"
ROOT_CA = "kube-root-ca.crt"
_ACCESS_GROUP = "rbac.authorization.k8s.io"
_CLUSTER_WIDE_TYPES = {"ClusterIP", "NodePort", "LoadBalancer"}


def fill(kind: str, obj: Json) -> None:
    """Fill in the defaults of one object in place."""
    filler = _FILLERS.get(kind)
    if filler is not None:
        filler(obj)


def _deployment(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    put(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)
    if spec.get("strategy") is None:
        spec["strategy"] = {}
    strategy = spec["strategy"]
    put(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        put(strategy, rollingUpdate={})
        put(strategy["rollingUpdate"], maxSurge="25%", maxUnavailable="25%")
    template(spec)


def _replicaset(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    put(spec, replicas=1)
    template(spec)
    if spec.get("selector") is None and (spec.get("template") or {}).get("metadata", {}).get("labels"):
        spec["selector"] = {"matchLabels": dict(spec["template"]["metadata"]["labels"])}


def _pod(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    pod_spec(spec)
    put(spec, enableServiceLinks=True, priority=0, preemptionPolicy="PreemptLowerPriority")
    put(spec, serviceAccountName=spec.get("serviceAccount") or "default")
    put(spec, serviceAccount=spec["serviceAccountName"])
    _tolerate_short_failures(spec)
    for container in spec.get("containers") or ():
        limits = (container.get("resources") or {}).get("limits") or {}
        if limits:
            put(container["resources"], requests={})
            put(container["resources"]["requests"], **{key: value for key, value in limits.items() if value})
    obj.setdefault("status", {"phase": "Pending", "qosClass": qos_class(spec)})


def _tolerate_short_failures(spec: Json) -> None:
    """A pod stays on a lost node for five minutes unless it says otherwise."""
    given = spec.get("tolerations") or []
    for key in ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"):
        covered = any(
            one.get("key") in {key, None, ""} and one.get("effect") in {"NoExecute", None, ""} for one in given
        )
        if not covered:
            given = [*given, {"effect": "NoExecute", "key": key, "operator": "Exists", "tolerationSeconds": 300}]
    spec["tolerations"] = given


def _service(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    put(spec, type="ClusterIP", sessionAffinity="None")
    for port in spec.get("ports") or ():
        put(port, protocol="TCP", targetPort=port.get("port"))
    if spec["type"] in _CLUSTER_WIDE_TYPES:
        put(spec, ipFamilies=["IPv4"], ipFamilyPolicy="SingleStack", internalTrafficPolicy="Cluster")
    if spec["type"] in {"NodePort", "LoadBalancer"}:
        put(spec, externalTrafficPolicy="Cluster")
    if spec["type"] == "LoadBalancer":
        put(spec, allocateLoadBalancerNodePorts=True)
    obj.setdefault("status", {"loadBalancer": {}})


def _secret(obj: Json) -> None:
    put(obj, type="Opaque")
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
        put(obj, spec={}, status={})
        put(obj["spec"], finalizers=["kubernetes"])
        put(obj["status"], phase="Active")
        obj.setdefault("status", {"phase": "Active"})


def _event(obj: Json) -> None:
    put(obj, type="Normal", reportingComponent="", reportingInstance="")


def _endpointslice(obj: Json) -> None:
    for port in obj.get("ports") or ():
        put(port, name="", protocol="TCP")


def _role_binding(obj: Json) -> None:
    put(obj.setdefault("roleRef", {}), apiGroup=_ACCESS_GROUP)
    for subject in obj.get("subjects") or ():
        if subject.get("kind") in {"User", "Group"}:
            put(subject, apiGroup=_ACCESS_GROUP)


_FILLERS: dict[str, Callable[[Json], None]] = {
    "Deployment": _deployment,
    "ReplicaSet": _replicaset,
    "Pod": _pod,
    "Service": _service,
    "Secret": _secret,
    "Namespace": _namespace,
    "RoleBinding": _role_binding,
    "ClusterRoleBinding": _role_binding,
    "Event": _event,
    "EndpointSlice": _endpointslice,
    **defaults_workloads.FILLERS,
    **defaults_storage.FILLERS,
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
