"""The roles and bindings that a cluster starts with: Kubernetes' own, and those of the sandbox's operator and reader.

Pure data, stored by `upkeep`. What the reader may see is made from the table of kinds, so that new kinds are readable.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from toban_sandbox.kube import auth, kinds
from toban_sandbox.kube.rbac.authorizer import MASTERS

Json = dict[str, Any]

GROUP = "rbac.authorization.k8s.io"
AGGREGATE = f"{GROUP}/aggregate-to-"
READER, OPERATOR = "sandbox:reader", "sandbox:operator"
AUTHENTICATED, UNAUTHENTICATED = "system:authenticated", "system:unauthenticated"
_BOOTSTRAPPED = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_UPDATED = {f"{GROUP}/autoupdate": "true"}
_PUBLIC_PATHS = ["/healthz", "/livez", "/readyz", "/version", "/version/"]
_DISCOVERY_PATHS = ["/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*", *_PUBLIC_PATHS]
_READ = ["get", "list", "watch"]
_WRITE = ["create", "delete", "deletecollection", "patch", "update"]
_WORKLOADS = ["daemonsets", "deployments", "deployments/scale", "replicasets", "replicasets/scale", "statefulsets"]
_WORKLOADS += ["statefulsets/scale"]
_CORE_VIEW = [
    *("bindings", "configmaps", "endpoints", "events", "limitranges", "namespaces", "namespaces/status"),
    *("persistentvolumeclaims", "persistentvolumeclaims/status", "pods", "pods/log", "pods/status"),
    *("replicationcontrollers", "resourcequotas", "resourcequotas/status", "serviceaccounts", "services"),
    "services/status",
]
_CORE_EDIT = [
    *("configmaps", "endpoints", "persistentvolumeclaims", "pods", "secrets", "serviceaccounts", "services"),
    *("pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "services/proxy"),
]
_AUTOSCALING, _BATCH, _NETWORKING = "autoscaling", "batch", "networking.k8s.io"
_REVIEWS = ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]
_OPERATED_CORE = ["pods", "pods/eviction", "configmaps", "services", "events"]
_OPERATED_APPS = ["deployments", "deployments/scale", "replicasets", "replicasets/scale"]
_OPERATED_VERBS = ["create", "update", "patch", "delete"]


def rule(verbs: Iterable[str], groups: Iterable[str], resources: Iterable[str], **more: list[str]) -> Json:
    """One rule about resources."""
    return {"apiGroups": list(groups), "resources": list(resources), "verbs": list(verbs), **more}


def paths(verbs: Iterable[str], urls: Iterable[str]) -> Json:
    """One rule about paths that are no resources."""
    return {"nonResourceURLs": list(urls), "verbs": list(verbs)}


def cluster_roles() -> Iterator[Json]:
    """Every ClusterRole of a new cluster."""
    yield _role("cluster-admin", [rule("*", "*", "*"), paths("*", "*")])
    for name, above in (("admin", ""), ("edit", "admin"), ("view", "edit")):
        yield _role(name, [], to=above, collects=name)
    yield _role("system:aggregate-to-admin", _admin_rules(), to="admin")
    yield _role("system:aggregate-to-edit", _edit_rules(), to="edit")
    yield _role("system:aggregate-to-view", _view_rules(), to="view")
    own = rule(["create"], ["authentication.k8s.io"], ["selfsubjectreviews"])
    yield _role("system:basic-user", [own, rule(["create"], ["authorization.k8s.io"], _REVIEWS)])
    yield _role("system:discovery", [paths(["get"], _DISCOVERY_PATHS)])
    yield _role("system:public-info-viewer", [paths(["get"], _PUBLIC_PATHS)])
    yield _role("system:monitoring", [paths(["get"], ["/healthz", "/healthz/*", "/livez", "/metrics", "/readyz"])])
    for name, rules in _COMPONENTS.items():
        yield _role(name, rules)
    yield _role(READER, [*_readable(), paths(["get"], ["*"])], own=True)
    yield _role(OPERATOR, _operator_rules(), own=True)


def cluster_bindings() -> Iterator[Json]:
    """Every ClusterRoleBinding of a new cluster."""
    for role, groups in (
        ("cluster-admin", [MASTERS]),
        ("system:basic-user", [AUTHENTICATED]),
        ("system:discovery", [AUTHENTICATED]),
        ("system:public-info-viewer", [AUTHENTICATED, UNAUTHENTICATED]),
        (READER, [auth.group_of(auth.READER), auth.group_of(auth.OPERATOR)]),
    ):
        yield _binding(role, [_subject("Group", group) for group in groups])
    for name in ("system:kube-controller-manager", "system:kube-scheduler"):
        yield _binding(name, [_subject("User", name)])


def operator_binding(namespace: str) -> Json:
    """What lets operators work in one namespace."""
    binding = _binding(OPERATOR, [_subject("Group", auth.group_of(auth.OPERATOR))])
    return {"kind": "RoleBinding", "metadata": {"name": OPERATOR, "namespace": namespace}} | {
        key: value for key, value in binding.items() if key not in {"kind", "metadata"}
    }


def _role(name: str, rules: list[Json], *, to: str = "", collects: str = "", own: bool = False) -> Json:
    labels = {} if own else dict(_BOOTSTRAPPED)
    if to:
        labels[AGGREGATE + to] = "true"
    meta: Json = {"name": name} | ({} if own else {"labels": labels, "annotations": dict(_UPDATED)})
    role: Json = {"apiVersion": f"{GROUP}/v1", "kind": "ClusterRole", "metadata": meta, "rules": rules}
    if collects:
        selector = {"matchLabels": {AGGREGATE + collects: "true"}}
        role["aggregationRule"] = {"clusterRoleSelectors": [selector]}
    return role


def _binding(role: str, subjects: list[Json]) -> Json:
    return {
        "apiVersion": f"{GROUP}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": role, "labels": dict(_BOOTSTRAPPED), "annotations": dict(_UPDATED)},
        "roleRef": {"apiGroup": GROUP, "kind": "ClusterRole", "name": role},
        "subjects": subjects,
    }


def _subject(kind: str, name: str) -> Json:
    return {"apiGroup": GROUP, "kind": kind, "name": name}


def _readable() -> Iterator[Json]:
    """Reading of everything but secrets."""
    by_group: dict[str, list[str]] = {"metrics.k8s.io": ["nodes", "pods"]}
    for kind in kinds.KINDS:
        if kind.create_only or (kind.group, kind.resource) == ("", "secrets"):
            continue
        names = by_group.setdefault(kind.group, [])
        read = [f"{kind.resource}/{one.name}" for one in kind.subresources if one.is_plain_read]
        names += [name for name in (kind.resource, *read) if name not in names]
    for group, names in by_group.items():
        yield rule(_READ, [group], names)


def _operator_rules() -> list[Json]:
    return [
        rule(_OPERATED_VERBS, [""], _OPERATED_CORE),
        rule(_OPERATED_VERBS, ["events.k8s.io"], ["events"]),
        rule(_OPERATED_VERBS, ["apps"], _OPERATED_APPS),
    ]


def _admin_rules() -> list[Json]:
    return [
        rule(["create"], ["authorization.k8s.io"], ["localsubjectaccessreviews"]),
        rule([*_WRITE, *_READ], [GROUP], ["rolebindings", "roles"]),
    ]


def _edit_rules() -> list[Json]:
    return [
        rule(["get", "list", "watch"], [""], ["pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "secrets"]),
        rule(["impersonate"], [""], ["serviceaccounts"]),
        rule(_WRITE, [""], _CORE_EDIT),
        rule(["create"], [""], ["pods/eviction", "serviceaccounts/token"]),
        rule(_WRITE, ["apps"], _WORKLOADS),
        rule(_WRITE, [_AUTOSCALING], ["horizontalpodautoscalers"]),
        rule(_WRITE, [_BATCH], ["cronjobs", "jobs"]),
        rule(_WRITE, ["policy"], ["poddisruptionbudgets"]),
        rule(_WRITE, [_NETWORKING], ["ingresses", "networkpolicies"]),
        rule([*_WRITE, *_READ], ["coordination.k8s.io"], ["leases"]),
    ]


def _view_rules() -> list[Json]:
    return [
        rule(_READ, [""], _CORE_VIEW),
        rule(_READ, ["discovery.k8s.io"], ["endpointslices"]),
        rule(_READ, ["apps"], ["controllerrevisions", *_WORKLOADS]),
        rule(_READ, [_AUTOSCALING], ["horizontalpodautoscalers"]),
        rule(_READ, [_BATCH], ["cronjobs", "jobs"]),
        rule(_READ, ["policy"], ["poddisruptionbudgets"]),
        rule(_READ, [_NETWORKING], ["ingresses", "networkpolicies"]),
        rule(_READ, ["metrics.k8s.io"], ["pods"]),
    ]


_EVENTS = rule(["create", "patch", "update"], ["", "events.k8s.io"], ["events"])
_LEASES = rule([*_WRITE, *_READ], ["coordination.k8s.io"], ["leases"])
_COMPONENTS: dict[str, list[Json]] = {
    "system:kube-controller-manager": [_EVENTS, _LEASES, rule(_READ, "*", "*"), rule(_WRITE, "*", "*")],
    "system:kube-scheduler": [
        _EVENTS,
        _LEASES,
        rule(["delete", *_READ], [""], ["pods"]),
        rule(["create"], [""], ["bindings", "pods/binding"]),
        rule(["patch", "update"], [""], ["pods/status"]),
        rule(_READ, [""], ["nodes", "namespaces", "services", "persistentvolumeclaims", "persistentvolumes"]),
        rule(_READ, ["apps"], ["replicasets", "statefulsets"]),
        rule(_READ, ["policy"], ["poddisruptionbudgets"]),
        rule(_READ, ["storage.k8s.io"], ["csinodes", "storageclasses"]),
    ],
    "system:node": [
        _EVENTS,
        _LEASES,
        rule(["create", "delete", *_READ], [""], ["pods"]),
        rule(["patch", "update"], [""], ["nodes", "nodes/status", "pods/status"]),
        rule(
            _READ, [""], ["configmaps", "nodes", "persistentvolumeclaims", "persistentvolumes", "secrets", "services"]
        ),
        rule(["create"], [""], ["pods/eviction", "serviceaccounts/token"]),
    ],
    "system:node-proxier": [
        _EVENTS,
        rule(_READ, [""], ["endpoints", "nodes", "services"]),
        rule(_READ, ["discovery.k8s.io"], ["endpointslices"]),
    ],
    "system:kube-dns": [rule(["list", "watch"], [""], ["endpoints", "services"])],
    "system:auth-delegator": [
        rule(["create"], ["authentication.k8s.io"], ["tokenreviews"]),
        rule(["create"], ["authorization.k8s.io"], ["subjectaccessreviews"]),
    ],
    "system:persistent-volume-provisioner": [
        _EVENTS,
        rule(["create", "delete", *_READ], [""], ["persistentvolumes"]),
        rule(["update", *_READ], [""], ["persistentvolumeclaims"]),
        rule(_READ, ["storage.k8s.io"], ["storageclasses"]),
    ],
}
