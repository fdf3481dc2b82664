"""Nodes that are not ready or under pressure, with the workloads that run on them. Called by `analyze`."""

from collections.abc import Iterator

from toban.analysis.kubernetes.cluster import Cluster, Object, Scope, at, condition, instant, make, name_of
from toban.kit import text
from toban.model.finding import Finding
from toban.model.service import ObjectRef

_PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")


def analyze(cluster: Cluster, scope: Scope) -> Iterator[Finding]:
    """`node.not_ready` and `node.pressure`."""
    for node in cluster.nodes:
        ready = condition(node, "Ready")
        if ready and ready.get("status") != "True":
            yield _finding(cluster, scope, node, ready)
        for kind in _PRESSURES:
            pressure = condition(node, kind)
            if pressure.get("status") == "True":
                yield _finding(cluster, scope, node, pressure)


def _finding(cluster: Cluster, scope: Scope, node: Object, entry: Object) -> Finding:
    name, kind = name_of(node), str(entry.get("type"))
    pods = [pod for pod in cluster.pods if at(pod, "spec").get("nodeName") == name]
    workloads = [cluster.workload_of(pod) for pod in pods]
    services = sorted({service for service in map(cluster.service_of, workloads) if service})
    not_ready = kind == "Ready"
    what = "is not ready" if not_ready else f"reports {kind}"
    return make(
        cluster,
        scope,
        subject=ObjectRef(kind="Node", name=name),
        code="node.not_ready" if not_ready else "node.pressure",
        statement=f"Node {name} {what}.",
        service=services[0] if len(services) == 1 else None,
        facts={
            "node": name,
            "condition": kind,
            "status": str(entry.get("status")),
            "reason": str(entry.get("reason", "")),
            "pods": [name_of(pod) for pod in pods],
            "workloads": sorted({str(workload) for workload in workloads}),
            "services": services,
        },
        field=f"status.conditions[type={kind}].status",
        value=str(entry.get("status")),
        expected="True" if not_ready else "False",
        quote=text.quoted(str(entry.get("message", ""))),
        happened_at=instant(entry.get("lastTransitionTime")),
    )
