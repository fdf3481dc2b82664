"""Deployments with fewer replicas than they promise, stuck rollouts, and pods that run without being ready.

Called by `analyze`. These are symptoms; why they are so is for the other analyzers to say.
"""

from collections.abc import Iterator

from toban.analysis.kubernetes.cluster import (
    Cluster,
    Container,
    Object,
    Scope,
    at,
    condition,
    containers_of,
    counted,
    earliest,
    instant,
    make,
    name_of,
    revision_of,
)
from toban.kit import text
from toban.model.finding import Finding
from toban.model.service import ObjectRef


def analyze(cluster: Cluster, scope: Scope) -> Iterator[Finding]:
    """`deployment.unavailable`, `rollout.stuck` and `pod.not_ready`."""
    for deployment in cluster.deployments:
        yield from _unavailable(cluster, scope, deployment)
        yield from _stuck(cluster, scope, deployment)
    yield from _not_ready(cluster, scope)


def _wanted(deployment: Object) -> int:
    replicas = at(deployment, "spec").get("replicas")
    return 1 if replicas is None else int(replicas)


def _facts(workload: ObjectRef, **more: object) -> dict[str, object]:
    return {"namespace": workload.namespace, "workload_kind": workload.kind, "workload": workload.name, **more}


def _unavailable(cluster: Cluster, scope: Scope, deployment: Object) -> Iterator[Finding]:
    available = condition(deployment, "Available")
    if available.get("status") != "False" or not _wanted(deployment):
        return
    workload = cluster.ref("Deployment", name_of(deployment))
    wanted, have = _wanted(deployment), int(at(deployment, "status").get("availableReplicas") or 0)
    yield make(
        cluster,
        scope,
        subject=workload,
        code="deployment.unavailable",
        statement=f"{workload} has {have} of {counted(wanted, 'replica')} available.",
        facts=_facts(workload, available=have, wanted=wanted),
        field="status.availableReplicas",
        value=have,
        expected=wanted,
        quote=text.quoted(str(available.get("message", ""))),
        happened_at=instant(available.get("lastTransitionTime")),
    )


def _stuck(cluster: Cluster, scope: Scope, deployment: Object) -> Iterator[Finding]:
    status, wanted = at(deployment, "status"), _wanted(deployment)
    progressing = condition(deployment, "Progressing")
    overdue = progressing.get("reason") == "ProgressDeadlineExceeded"
    updated = int(status.get("updatedReplicas") or 0)
    sets = cluster.sets_of(deployment)
    newest = sets[-1] if sets else {}
    ready = int(at(newest, "status").get("readyReplicas") or 0)
    others = any(int(at(replicaset, "status").get("replicas") or 0) for replicaset in sets[:-1])
    halfway = others and (ready < updated or ready < wanted) and _has_failing_pod(cluster, newest)
    if not wanted or not (overdue or halfway):
        return
    workload = cluster.ref("Deployment", name_of(deployment))
    late = " and is past its deadline" if overdue else ""
    yield make(
        cluster,
        scope,
        subject=workload,
        code="rollout.stuck",
        statement=(
            f"The rollout of revision {revision_of(deployment)} of {workload} is stuck: "
            f"{ready} of {counted(wanted, 'new pod')} ready{late}."
        ),
        facts=_facts(
            workload,
            revision=revision_of(deployment),
            ready=ready,
            updated=updated,
            wanted=wanted,
            overdue=overdue,
        ),
        field="status.conditions[type=Progressing].reason" if overdue else "status.updatedReplicas",
        value=str(progressing.get("reason", "")) if overdue else updated,
        expected="NewReplicaSetAvailable" if overdue else wanted,
        quote=text.quoted(str(progressing.get("message", ""))),
        happened_at=instant(at(newest, "metadata").get("creationTimestamp")),
    )


def _has_failing_pod(cluster: Cluster, replicaset: Object) -> bool:
    """Whether a pod of the set cannot get ready by itself: a rollout that is only young has none."""
    own = at(replicaset, "metadata").get("uid")
    for pod in cluster.pods:
        owners = at(pod, "metadata").get("ownerReferences") or []
        if not any(owner.get("uid") == own and owner.get("name") == name_of(replicaset) for owner in owners):
            continue
        if condition(pod, "PodScheduled").get("reason") == "Unschedulable":
            return True
        if any(_failing(container) for container in containers_of(pod)):
            return True
    return False


def _failing(container: Container) -> bool:
    reason = str(container.waiting.get("reason", ""))
    return reason.endswith(("BackOff", "Error", "ErrImagePull", "InvalidImageName")) or bool(container.restarts)


def _not_ready(cluster: Cluster, scope: Scope) -> Iterator[Finding]:
    """Pods whose containers all run while a readiness probe fails."""
    groups: dict[str, list[tuple[Object, str, ObjectRef]]] = {}
    for pod in cluster.pods:
        containers = [container for container in containers_of(pod) if container.path.startswith("status.containerS")]
        running = containers and all(at(container.status, "state", "running") for container in containers)
        events = cluster.events_of("Pod", name_of(pod), "Unhealthy")
        words = [str(event.get("message", "")) for event in events]
        words = [entry for entry in words if entry.lower().startswith("readiness")]
        if running and words and condition(pod, "Ready").get("status") == "False":
            workload = cluster.workload_of(pod)
            groups.setdefault(str(workload), []).append((pod, words[-1], workload))
    for _, members in sorted(groups.items()):
        _, words_now, workload = members[0]
        pods = [name_of(pod) for pod, _, _ in members]
        yield make(
            cluster,
            scope,
            subject=workload,
            code="pod.not_ready",
            statement=f"{counted(len(pods), 'pod')} of {workload} run but fail their readiness probe.",
            facts=_facts(workload, pods=pods, pod_count=len(pods)),
            field="status.conditions[type=Ready].status",
            value="False",
            expected="True",
            quote=text.quoted(words_now),
            happened_at=earliest(instant(condition(pod, "Ready").get("lastTransitionTime")) for pod, _, _ in members),
        )
