"""How lists and maps of the known kinds merge: by which keys, as sets, or as a whole.

Facts of Kubernetes' public API description, used by strategic merge patch and server-side apply. A field that is not
named here is a map that merges key by key, or a list that is replaced as a whole.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

ListType = Literal["atomic", "map", "set"]


@dataclass(frozen=True)
class Schema:
    """One field: `keys` tell the items of a `map` list apart for server-side apply, `merge_key` for strategic merge.

    `atomic` maps have one owner as a whole; `retain_keys` marks maps whose strategic patches clear what they leave out.
    """

    fields: Mapping[str, "Schema"] = field(default_factory=dict)
    list_type: ListType = "atomic"
    keys: tuple[str, ...] = ()
    merge_key: str = ""
    merges_primitives: bool = False
    item: "Schema | None" = None
    atomic: bool = False
    retain_keys: bool = False

    def child(self, name: str) -> "Schema":
        return self.fields.get(name, UNKNOWN)

    @property
    def items(self) -> "Schema":
        return self.item or UNKNOWN


UNKNOWN = Schema()
_ATOMIC = Schema(atomic=True)
KEY_DEFAULTS = {"protocol": "TCP"}


def _struct(*, atomic: bool = False, retain_keys: bool = False, **fields: Schema) -> Schema:
    return Schema(fields=fields, atomic=atomic, retain_keys=retain_keys)


def _list(*keys: str, item: Schema = UNKNOWN, merge_key: str | None = None) -> Schema:
    chosen = keys[0] if merge_key is None else merge_key
    return Schema(list_type="map", keys=keys, merge_key=chosen, item=item)


def _set(*, merges: bool = False) -> Schema:
    return Schema(list_type="set", merges_primitives=merges)


_METADATA = _struct(ownerReferences=_list("uid"), finalizers=_set(merges=True))
_CONDITIONS = _list("type")
_ENV = _struct(
    valueFrom=_struct(
        configMapKeyRef=_ATOMIC,
        secretKeyRef=_ATOMIC,
        fieldRef=_ATOMIC,
        resourceFieldRef=_ATOMIC,
        fileKeyRef=_ATOMIC,
    )
)
_CONTAINER = _struct(
    env=_list("name", item=_ENV),
    ports=_list("containerPort", "protocol"),
    volumeMounts=_list("mountPath"),
    volumeDevices=_list("devicePath"),
    resources=_struct(claims=_list("name", merge_key="")),
)
_VOLUME = _struct(
    retain_keys=True,
    secret=_struct(),
    ephemeral=_struct(volumeClaimTemplate=_struct(spec=_struct(dataSource=_ATOMIC, selector=_ATOMIC))),
)
_POD_SPEC = _struct(
    containers=_list("name", item=_CONTAINER),
    initContainers=_list("name", item=_CONTAINER),
    ephemeralContainers=_list("name", item=_CONTAINER),
    volumes=_list("name", item=_VOLUME),
    imagePullSecrets=_list("name"),
    hostAliases=_list("ip"),
    nodeSelector=_ATOMIC,
    schedulingGates=_list("name"),
    resourceClaims=_list("name", item=_struct(retain_keys=True)),
    topologySpreadConstraints=_list("topologyKey", "whenUnsatisfiable", item=_struct(labelSelector=_ATOMIC)),
)
_TEMPLATE = _struct(metadata=_METADATA, spec=_POD_SPEC)
_WORKLOAD = _struct(selector=_ATOMIC, template=_TEMPLATE, strategy=_struct(retain_keys=True))
_STATUS = _struct(conditions=_CONDITIONS)

_KINDS: dict[str, Schema] = {
    "Pod": _struct(
        metadata=_METADATA,
        spec=_POD_SPEC,
        status=_struct(
            conditions=_CONDITIONS,
            podIPs=_list("ip"),
            resourceClaimStatuses=_list("name"),
        ),
    ),
    "Deployment": _struct(metadata=_METADATA, spec=_WORKLOAD, status=_STATUS),
    "ReplicaSet": _struct(metadata=_METADATA, spec=_WORKLOAD, status=_STATUS),
    "StatefulSet": _struct(metadata=_METADATA, spec=_WORKLOAD, status=_STATUS),
    "DaemonSet": _struct(metadata=_METADATA, spec=_WORKLOAD, status=_STATUS),
    "Job": _struct(metadata=_METADATA, spec=_WORKLOAD, status=_STATUS),
    "CronJob": _struct(metadata=_METADATA, spec=_struct(jobTemplate=_struct(metadata=_METADATA, spec=_WORKLOAD))),
    "Service": _struct(
        metadata=_METADATA,
        spec=_struct(ports=_list("port", "protocol"), selector=_ATOMIC),
        status=_struct(conditions=_CONDITIONS),
    ),
    "ServiceAccount": _struct(
        metadata=_METADATA, secrets=_list("name"), imagePullSecrets=Schema(list_type="atomic", merge_key="name")
    ),
    "Node": _struct(
        metadata=_METADATA,
        spec=_struct(podCIDRs=_set(merges=True)),
        status=_struct(conditions=_CONDITIONS, addresses=_list("type")),
    ),
    "Namespace": _struct(metadata=_METADATA, status=_STATUS),
    "PersistentVolumeClaim": _struct(
        metadata=_METADATA, spec=_struct(dataSource=_ATOMIC, selector=_ATOMIC), status=_STATUS
    ),
    "PersistentVolume": _struct(metadata=_METADATA, spec=_struct(nodeAffinity=_struct(required=_ATOMIC))),
    "PodDisruptionBudget": _struct(metadata=_METADATA, spec=_struct(selector=_ATOMIC), status=_STATUS),
    "NetworkPolicy": _struct(metadata=_METADATA, spec=_struct(podSelector=_ATOMIC)),
    "ResourceQuota": _struct(metadata=_METADATA, spec=_struct(scopeSelector=_ATOMIC)),
    "HorizontalPodAutoscaler": _struct(
        metadata=_METADATA, spec=_struct(scaleTargetRef=_ATOMIC), status=_struct(conditions=_CONDITIONS)
    ),
    "EndpointSlice": _struct(metadata=_METADATA),
    "Event": _struct(metadata=_METADATA, involvedObject=_ATOMIC, related=_ATOMIC),
}
_PLAIN = _struct(metadata=_METADATA)


def of_kind(kind: str) -> Schema:
    """The schema of a kind's objects; kinds without a line of their own merge their metadata only."""
    return _KINDS.get(kind, _PLAIN)
