"""Server-side tables: the columns that `kubectl get` prints for each kind.

Used by the API when a client accepts `as=Table`. Rows are made from the objects alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from toban_sandbox.kube import objects, rows, rows_access, rows_storage, rows_workloads

Json = dict[str, Any]
Row = Callable[[Json, datetime], list[Any]]


@dataclass(frozen=True)
class Column:
    """One column; wide ones are shown by `-o wide` only."""

    name: str
    type: str = "string"
    wide: bool = False
    format: str = ""

    def definition(self) -> Json:
        return {
            "name": self.name,
            "type": self.type,
            "format": self.format,
            "description": self.name,
            "priority": int(self.wide),
        }


@dataclass(frozen=True)
class Layout:
    """The columns of one kind and how an object fills them."""

    columns: tuple[Column, ...]
    row: Row


def _columns(*names: str, wide: Sequence[str] = ()) -> tuple[Column, ...]:
    numbers = {"Desired", "Current", "Up-to-date", "Available", "Data", "Secrets", "Count", "Active", "Value"}
    plain = [
        Column(name, "integer" if name in numbers else "string", format="name" if name == "Name" else "")
        for name in names
    ]
    return (*plain, *(Column(name, wide=True) for name in wide))


_EVENT_TAIL = (
    Column("Message"),
    Column("First Seen", wide=True),
    Column("Count", "integer", wide=True),
    Column("Name", wide=True),
)
_LAYOUTS: dict[str, Layout] = {
    "Pod": Layout(
        _columns(
            "Name", "Ready", "Status", "Restarts", "Age", wide=("IP", "Node", "Nominated Node", "Readiness Gates")
        ),
        rows.pod,
    ),
    "Deployment": Layout(
        _columns("Name", "Ready", "Up-to-date", "Available", "Age", wide=("Containers", "Images", "Selector")),
        rows.deployment,
    ),
    "ReplicaSet": Layout(
        _columns("Name", "Desired", "Current", "Ready", "Age", wide=("Containers", "Images", "Selector")),
        rows.replicaset,
    ),
    "Service": Layout(
        _columns("Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age", wide=("Selector",)), rows.service
    ),
    "Node": Layout(
        _columns(
            "Name",
            "Status",
            "Roles",
            "Age",
            "Version",
            wide=("Internal-IP", "External-IP", "OS-Image", "Kernel-Version", "Container-Runtime"),
        ),
        rows.node,
    ),
    "Namespace": Layout(_columns("Name", "Status", "Age"), rows.namespace),
    "ConfigMap": Layout(_columns("Name", "Data", "Age"), rows.configmap),
    "Secret": Layout(_columns("Name", "Type", "Data", "Age"), rows.secret),
    "ServiceAccount": Layout(_columns("Name", "Age"), rows.plain),
    "Event": Layout(
        _columns(
            "Last Seen",
            "Type",
            "Reason",
            "Object",
            wide=("Subobject", "Source"),
        )
        + _EVENT_TAIL,
        rows.event,
    ),
    "EndpointSlice": Layout(_columns("Name", "AddressType", "Ports", "Endpoints", "Age"), rows.endpointslice),
    "Lease": Layout(_columns("Name", "Holder", "Age"), rows.lease),
    "StatefulSet": Layout(_columns("Name", "Ready", "Age", wide=("Containers", "Images")), rows_workloads.statefulset),
    "DaemonSet": Layout(
        _columns(
            *("Name", "Desired", "Current", "Ready", "Up-to-date", "Available", "Node Selector", "Age"),
            wide=("Containers", "Images", "Selector"),
        ),
        rows_workloads.daemonset,
    ),
    "Job": Layout(
        _columns("Name", "Status", "Completions", "Duration", "Age", wide=("Containers", "Images", "Selector")),
        rows_workloads.job,
    ),
    "CronJob": Layout(
        _columns(
            *("Name", "Schedule", "Timezone", "Suspend", "Active", "Last Schedule", "Age"),
            wide=("Containers", "Images", "Selector"),
        ),
        rows_workloads.cronjob,
    ),
    "HorizontalPodAutoscaler": Layout(
        _columns("Name", "Reference", "Targets", "MinPods", "MaxPods", "Replicas", "Age"), rows_workloads.autoscaler
    ),
    "ControllerRevision": Layout(_columns("Name", "Controller", "Revision", "Age"), rows_workloads.revision),
    "PodDisruptionBudget": Layout(
        _columns("Name", "Min Available", "Max Unavailable", "Allowed Disruptions", "Age"),
        rows_workloads.disruption_budget,
    ),
    "PriorityClass": Layout(
        _columns("Name", "Value", "Global-Default", "Age", "PreemptionPolicy"), rows_workloads.priority_class
    ),
    "NetworkPolicy": Layout(_columns("Name", "Pod-Selector", "Age"), rows_workloads.network_policy),
    "PersistentVolume": Layout(
        _columns(
            *("Name", "Capacity", "Access Modes", "Reclaim Policy", "Status", "Claim", "StorageClass"),
            *("VolumeAttributesClass", "Reason", "Age"),
            wide=("VolumeMode",),
        ),
        rows_storage.volume,
    ),
    "PersistentVolumeClaim": Layout(
        _columns(
            *("Name", "Status", "Volume", "Capacity", "Access Modes", "StorageClass", "VolumeAttributesClass", "Age"),
            wide=("VolumeMode",),
        ),
        rows_storage.claim,
    ),
    "StorageClass": Layout(
        _columns("Name", "Provisioner", "ReclaimPolicy", "VolumeBindingMode", "AllowVolumeExpansion", "Age"),
        rows_storage.storage_class,
    ),
    "ResourceQuota": Layout(_columns("Name", "Request", "Limit", "Age"), rows_storage.quota),
    "LimitRange": Layout(_columns("Name", "Created At"), rows_storage.dated),
    "Ingress": Layout(_columns("Name", "Class", "Hosts", "Address", "Ports", "Age"), rows_storage.ingress),
    "IngressClass": Layout(_columns("Name", "Controller", "Parameters", "Age"), rows_storage.ingress_class),
    "Endpoints": Layout(_columns("Name", "Endpoints", "Age"), rows_storage.endpoints),
    "CertificateSigningRequest": Layout(
        _columns("Name", "Age", "SignerName", "Requestor", "RequestedDuration", "Condition"),
        rows_access.signing_request,
    ),
    "ReplicationController": Layout(_columns("Name", "Desired", "Current", "Ready", "Age"), rows.replicaset),
    "CustomResourceDefinition": Layout(_columns("Name", "Created At"), rows_access.role),
    "Role": Layout(_columns("Name", "Created At"), rows_access.role),
    "ClusterRole": Layout(_columns("Name", "Created At"), rows_access.role),
    "RoleBinding": Layout(
        _columns("Name", "Role", "Age", wide=("Users", "Groups", "ServiceAccounts")), rows_access.binding
    ),
    "ClusterRoleBinding": Layout(
        _columns("Name", "Role", "Age", wide=("Users", "Groups", "ServiceAccounts")), rows_access.binding
    ),
}
_PLAIN = Layout(_columns("Name", "Age"), rows.plain)


def table(
    kind: str, items: Sequence[Json], *, metadata: Json, now: datetime, include: str, headers: bool = True
) -> Json:
    """Objects as a Table; `include` is `None`, `Metadata` or `Object`, as the client asked."""
    layout = _LAYOUTS.get(kind, _PLAIN)
    definitions = [column.definition() for column in layout.columns] if headers else []
    shown = [{"cells": layout.row(obj, now), **_included(obj, include)} for obj in items]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": definitions,
        "rows": shown,
    }


def partial(obj: Json) -> Json:
    """The object with its metadata only."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}


def _included(obj: Json, include: str) -> Json:
    if include == "None":
        return {}
    return {"object": objects.copy(obj) if include == "Object" else partial(obj)}
