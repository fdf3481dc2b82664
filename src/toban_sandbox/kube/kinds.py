"""The one table of resource kinds: what exists, where it lives, and what can be done with it.

Routing, discovery, the OpenAPI document, the store and the tables all read it; a new kind starts with a line here.
"""

from dataclasses import dataclass, field

from toban_sandbox.kube import errors

ALL_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
READ_VERBS = ("get", "list", "watch")
STATUS_VERBS = ("get", "patch", "update")


@dataclass(frozen=True)
class Subresource:
    """A path below an object; `kind` and `group_version` are what its bodies carry when not the parent's."""

    name: str
    verbs: tuple[str, ...]
    kind: str = ""
    group_version: str = ""

    @property
    def is_plain_read(self) -> bool:
        """Whether a GET only shows something; one that opens a stream into a container does more."""
        return "get" in self.verbs and self.name not in STREAMS


STREAMS = frozenset({"exec", "attach", "portforward", "proxy"})
STATUS = Subresource("status", STATUS_VERBS)
SCALE = Subresource("scale", STATUS_VERBS, "Scale", "autoscaling/v1")


@dataclass(frozen=True)
class Kind:
    """One resource in one API group and version.

    `storage` is the resource whose objects it shows, for kinds that two groups serve. `generation` says whether a
    change of the specification counts up `metadata.generation`; `create_only` kinds are reviews that are answered and
    never stored.
    """

    group: str
    version: str
    kind: str
    resource: str
    singular: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ALL_VERBS
    subresources: tuple[Subresource, ...] = ()
    generation: bool = False
    storage: str = ""
    create_only: bool = False
    about: errors.About = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "about", errors.About(self.resource, self.group, self.kind))

    @property
    def group_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def stored_as(self) -> str:
        return self.storage or self.resource

    def subresource(self, name: str) -> Subresource | None:
        return next((one for one in self.subresources if one.name == name), None)


POD_SUBRESOURCES = (
    STATUS,
    Subresource("log", ("get",)),
    Subresource("eviction", ("create",), "Eviction", "policy/v1"),
    Subresource("binding", ("create",), "Binding"),
    Subresource("exec", ("create", "get"), "PodExecOptions"),
    Subresource("attach", ("create", "get"), "PodAttachOptions"),
    Subresource("portforward", ("create", "get"), "PodPortForwardOptions"),
)

KINDS: tuple[Kind, ...] = (
    Kind("", "v1", "ConfigMap", "configmaps", "configmap", short_names=("cm",)),
    Kind("", "v1", "Event", "events", "event", short_names=("ev",)),
    Kind(
        "",
        "v1",
        "Namespace",
        "namespaces",
        "namespace",
        namespaced=False,
        short_names=("ns",),
        verbs=("create", "delete", "get", "list", "patch", "update", "watch"),
        subresources=(STATUS, Subresource("finalize", ("update",))),
    ),
    Kind("", "v1", "Node", "nodes", "node", namespaced=False, short_names=("no",), subresources=(STATUS,)),
    Kind(
        "",
        "v1",
        "Pod",
        "pods",
        "pod",
        short_names=("po",),
        categories=("all",),
        subresources=POD_SUBRESOURCES,
        generation=True,
    ),
    Kind("", "v1", "Endpoints", "endpoints", "endpoints", short_names=("ep",)),
    Kind("", "v1", "LimitRange", "limitranges", "limitrange", short_names=("limits",)),
    Kind(
        "",
        "v1",
        "PersistentVolume",
        "persistentvolumes",
        "persistentvolume",
        namespaced=False,
        short_names=("pv",),
        subresources=(STATUS,),
    ),
    Kind(
        "",
        "v1",
        "PersistentVolumeClaim",
        "persistentvolumeclaims",
        "persistentvolumeclaim",
        short_names=("pvc",),
        subresources=(STATUS,),
    ),
    Kind("", "v1", "ResourceQuota", "resourcequotas", "resourcequota", short_names=("quota",), subresources=(STATUS,)),
    Kind("", "v1", "Secret", "secrets", "secret"),
    Kind(
        "",
        "v1",
        "ServiceAccount",
        "serviceaccounts",
        "serviceaccount",
        short_names=("sa",),
        subresources=(Subresource("token", ("create",), "TokenRequest", "authentication.k8s.io/v1"),),
    ),
    Kind(
        "",
        "v1",
        "Service",
        "services",
        "service",
        short_names=("svc",),
        categories=("all",),
        subresources=(STATUS,),
    ),
    Kind(
        "apps",
        "v1",
        "Deployment",
        "deployments",
        "deployment",
        short_names=("deploy",),
        categories=("all",),
        subresources=(STATUS, SCALE),
        generation=True,
    ),
    Kind(
        "apps",
        "v1",
        "ReplicaSet",
        "replicasets",
        "replicaset",
        short_names=("rs",),
        categories=("all",),
        subresources=(STATUS, SCALE),
        generation=True,
    ),
    Kind("apps", "v1", "ControllerRevision", "controllerrevisions", "controllerrevision"),
    Kind(
        "apps",
        "v1",
        "DaemonSet",
        "daemonsets",
        "daemonset",
        short_names=("ds",),
        categories=("all",),
        subresources=(STATUS,),
        generation=True,
    ),
    Kind(
        "apps",
        "v1",
        "StatefulSet",
        "statefulsets",
        "statefulset",
        short_names=("sts",),
        categories=("all",),
        subresources=(STATUS, SCALE),
        generation=True,
    ),
    *(
        Kind(
            "autoscaling",
            version,
            "HorizontalPodAutoscaler",
            "horizontalpodautoscalers",
            "horizontalpodautoscaler",
            short_names=("hpa",),
            categories=("all",),
            subresources=(STATUS,),
        )
        for version in ("v2", "v1")
    ),
    Kind(
        "batch",
        "v1",
        "CronJob",
        "cronjobs",
        "cronjob",
        short_names=("cj",),
        categories=("all",),
        subresources=(STATUS,),
        generation=True,
    ),
    Kind("batch", "v1", "Job", "jobs", "job", categories=("all",), subresources=(STATUS,), generation=True),
    Kind(
        "networking.k8s.io",
        "v1",
        "Ingress",
        "ingresses",
        "ingress",
        short_names=("ing",),
        subresources=(STATUS,),
        generation=True,
    ),
    Kind(
        "networking.k8s.io", "v1", "IngressClass", "ingressclasses", "ingressclass", namespaced=False, generation=True
    ),
    Kind(
        "networking.k8s.io",
        "v1",
        "NetworkPolicy",
        "networkpolicies",
        "networkpolicy",
        short_names=("netpol",),
        generation=True,
    ),
    Kind(
        "policy",
        "v1",
        "PodDisruptionBudget",
        "poddisruptionbudgets",
        "poddisruptionbudget",
        short_names=("pdb",),
        subresources=(STATUS,),
        generation=True,
    ),
    Kind(
        "scheduling.k8s.io",
        "v1",
        "PriorityClass",
        "priorityclasses",
        "priorityclass",
        namespaced=False,
        short_names=("pc",),
        generation=True,
    ),
    Kind(
        "storage.k8s.io", "v1", "StorageClass", "storageclasses", "storageclass", namespaced=False, short_names=("sc",)
    ),
    Kind("events.k8s.io", "v1", "Event", "events", "event", short_names=("ev",), storage="events"),
    Kind("coordination.k8s.io", "v1", "Lease", "leases", "lease"),
    Kind("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", "endpointslice", generation=True),
    Kind(
        "",
        "v1",
        "ReplicationController",
        "replicationcontrollers",
        "replicationcontroller",
        short_names=("rc",),
        categories=("all",),
        verbs=READ_VERBS,
    ),
    Kind(
        "certificates.k8s.io",
        "v1",
        "CertificateSigningRequest",
        "certificatesigningrequests",
        "certificatesigningrequest",
        namespaced=False,
        short_names=("csr",),
        subresources=(STATUS, Subresource("approval", STATUS_VERBS)),
    ),
    Kind(
        "apiextensions.k8s.io",
        "v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        "customresourcedefinition",
        namespaced=False,
        short_names=("crd", "crds"),
        verbs=READ_VERBS,
    ),
    Kind(
        "metrics.k8s.io",
        "v1beta1",
        "NodeMetrics",
        "nodes",
        "",
        namespaced=False,
        verbs=("get", "list"),
        storage="nodes",
    ),
    Kind("metrics.k8s.io", "v1beta1", "PodMetrics", "pods", "", verbs=("get", "list"), storage="pods"),
    Kind("rbac.authorization.k8s.io", "v1", "Role", "roles", "role"),
    Kind("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings", "rolebinding"),
    Kind("rbac.authorization.k8s.io", "v1", "ClusterRole", "clusterroles", "clusterrole", namespaced=False),
    Kind(
        "rbac.authorization.k8s.io",
        "v1",
        "ClusterRoleBinding",
        "clusterrolebindings",
        "clusterrolebinding",
        namespaced=False,
    ),
    Kind(
        "authorization.k8s.io",
        "v1",
        "LocalSubjectAccessReview",
        "localsubjectaccessreviews",
        "localsubjectaccessreview",
        verbs=("create",),
        create_only=True,
    ),
    Kind(
        "authorization.k8s.io",
        "v1",
        "SubjectAccessReview",
        "subjectaccessreviews",
        "subjectaccessreview",
        namespaced=False,
        verbs=("create",),
        create_only=True,
    ),
    Kind(
        "authorization.k8s.io",
        "v1",
        "SelfSubjectAccessReview",
        "selfsubjectaccessreviews",
        "selfsubjectaccessreview",
        namespaced=False,
        verbs=("create",),
        create_only=True,
    ),
    Kind(
        "authorization.k8s.io",
        "v1",
        "SelfSubjectRulesReview",
        "selfsubjectrulesreviews",
        "selfsubjectrulesreview",
        namespaced=False,
        verbs=("create",),
        create_only=True,
    ),
    Kind(
        "authentication.k8s.io",
        "v1",
        "SelfSubjectReview",
        "selfsubjectreviews",
        "selfsubjectreview",
        namespaced=False,
        verbs=("create",),
        create_only=True,
    ),
)

_BY_PATH = {(kind.group, kind.version, kind.resource): kind for kind in KINDS}
_BY_STORAGE: dict[str, Kind] = {}
_BY_OBJECT: dict[tuple[str, str], Kind] = {}
for _kind in KINDS:
    _BY_STORAGE.setdefault(_kind.stored_as, _kind)
    _BY_OBJECT[_kind.group_version, _kind.kind] = _kind


def at_path(group: str, version: str, resource: str) -> Kind | None:
    """The kind served at a path, or None."""
    return _BY_PATH.get((group, version, resource))


def stored(resource: str) -> Kind:
    """The kind whose objects the store keeps under this plural name; KeyError when there is none."""
    return _BY_STORAGE[resource]


def of_object(api_version: str, kind: str) -> Kind | None:
    """The kind that an object's own `apiVersion` and `kind` name, or None."""
    return _BY_OBJECT.get((api_version, kind))


def groups() -> dict[str, list[str]]:
    """Every API group but the core one with its versions, in the table's order."""
    found: dict[str, list[str]] = {}
    for kind in KINDS:
        if kind.group and kind.version not in found.setdefault(kind.group, []):
            found[kind.group].append(kind.version)
    return found


def of_group(group: str, version: str) -> list[Kind]:
    """Every kind of one group and version."""
    return [kind for kind in KINDS if (kind.group, kind.version) == (group, version)]
