"""Pods for which the scheduler finds no node. Called by `analyze`; does no sums of its own."""

import re
from collections.abc import Iterator

from toban.analysis.kubernetes.cluster import (
    Cluster,
    Object,
    Scope,
    at,
    condition,
    counted,
    earliest,
    instant,
    make,
    name_of,
)
from toban.kit import text
from toban.model.finding import Finding
from toban.model.service import ObjectRef

_LACKING = re.compile(r"Insufficient (?P<resource>[a-z0-9./\-]+[a-z0-9])")


def analyze(cluster: Cluster, scope: Scope) -> Iterator[Finding]:
    """`pod.unschedulable`, one for each workload, with the scheduler's words as quote."""
    stuck: dict[str, list[tuple[Object, Object, ObjectRef]]] = {}
    for pod in cluster.pods:
        scheduled = condition(pod, "PodScheduled")
        if scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable":
            workload = cluster.workload_of(pod)
            stuck.setdefault(str(workload), []).append((pod, scheduled, workload))
    for _, members in sorted(stuck.items()):
        yield _finding(cluster, scope, members)


def _finding(cluster: Cluster, scope: Scope, members: list[tuple[Object, Object, ObjectRef]]) -> Finding:
    pod, scheduled, workload = members[0]
    words = str(scheduled.get("message", ""))
    lacking = sorted({found["resource"] for found in _LACKING.finditer(words)})
    because = f" for lack of {' and '.join(lacking)}" if lacking else ""
    pods = [name_of(member) for member, _, _ in members]
    return make(
        cluster,
        scope,
        subject=workload,
        code="pod.unschedulable",
        statement=f"{counted(len(pods), 'pod')} of {workload} cannot be placed on any node{because}.",
        facts={
            "namespace": workload.namespace,
            "workload_kind": workload.kind,
            "workload": workload.name,
            "pods": pods,
            "pod_count": len(pods),
            "lacking": lacking,
            "requests": _requests(pod),
            "nodes": len(cluster.nodes),
        },
        field="status.conditions[type=PodScheduled].reason",
        value="Unschedulable",
        expected="Scheduled",
        quote=text.quoted(words),
        happened_at=earliest(instant(entry.get("lastTransitionTime")) for _, entry, _ in members),
    )


def _requests(pod: Object) -> dict[str, dict[str, str]]:
    specs = at(pod, "spec").get("containers") or []
    return {str(spec.get("name")): {k: str(v) for k, v in at(spec, "resources", "requests").items()} for spec in specs}
