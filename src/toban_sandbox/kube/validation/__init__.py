"""Whether an object may be stored, in Kubernetes' own words; `check_create` and `check_update` are the doors.

Called by the write handlers after defaults. It reads nothing but the objects in hand.
"""

from collections.abc import Callable, Iterator
from typing import Any

from toban_sandbox.kube import errors, kinds
from toban_sandbox.kube.validation import (
    access,
    batch,
    data,
    metadata,
    nodes,
    pods,
    policies,
    services,
    storage,
    workloads,
)

Json = dict[str, Any]
Causes = Iterator[errors.Cause]

_CREATE: dict[str, Callable[[Json], Causes]] = {
    "Pod": pods.check,
    "Deployment": workloads.check_deployment,
    "ReplicaSet": workloads.check_replicaset,
    "Service": services.check,
    "Node": nodes.check,
    "ConfigMap": data.check_configmap,
    "Secret": data.check_secret,
    "StatefulSet": batch.check_statefulset,
    "DaemonSet": batch.check_daemonset,
    "Job": batch.check_job,
    "CronJob": batch.check_cronjob,
    "PersistentVolumeClaim": storage.check_claim,
    "PersistentVolume": storage.check_volume,
    "StorageClass": storage.check_class,
    "HorizontalPodAutoscaler": policies.check_autoscaler,
    "PodDisruptionBudget": policies.check_budget,
    "ResourceQuota": policies.check_quota,
    "LimitRange": policies.check_limits,
    "PriorityClass": policies.check_priority,
    "Ingress": policies.check_ingress,
    "Role": access.check_role,
    "ClusterRole": access.check_role,
    "RoleBinding": access.check_binding,
    "ClusterRoleBinding": access.check_binding,
}
_UPDATE: dict[str, Callable[[Json, Json], Causes]] = {
    "Pod": pods.check_update,
    "Deployment": workloads.check_selector_kept,
    "ReplicaSet": workloads.check_selector_kept,
    "Service": services.check_update,
    "ConfigMap": data.check_immutable,
    "Secret": data.check_immutable,
    "StatefulSet": batch.check_statefulset_update,
    "DaemonSet": workloads.check_selector_kept,
    "Job": batch.check_job_update,
    "PersistentVolumeClaim": storage.check_claim_update,
    "PersistentVolume": storage.check_volume_update,
    "StorageClass": storage.check_class_update,
    "ResourceQuota": policies.check_quota_update,
    "PriorityClass": policies.check_priority_update,
    "RoleBinding": access.check_role_kept,
    "ClusterRoleBinding": access.check_role_kept,
}


def check_create(kind: kinds.Kind, obj: Json) -> None:
    """ApiError 422 when a new object is not valid."""
    causes = list(metadata.check(kind, obj))
    if kind.kind in _CREATE:
        causes += _CREATE[kind.kind](obj)
    _refuse(kind, obj, causes)


def check_update(kind: kinds.Kind, new: Json, old: Json) -> None:
    """ApiError 422 when an object may not become this."""
    causes = list(metadata.check_update(new, old))
    if kind.kind in _CREATE and kind.kind != "Pod":
        causes += _CREATE[kind.kind](new)
    if kind.kind in _UPDATE:
        causes += _UPDATE[kind.kind](new, old)
    _refuse(kind, new, causes)


def _refuse(kind: kinds.Kind, obj: Json, causes: list[errors.Cause]) -> None:
    if causes:
        name = obj["metadata"].get("name") or obj["metadata"].get("generateName") or ""
        raise errors.invalid(kind.about, str(name), causes)
