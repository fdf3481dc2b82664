"""What containers use, with cAdvisor's names, and whether scrape targets answer (`up`). Called by `metrics.sampler`.

CPU seconds are added up here, since the kubelet tells only what is used now; a restarted container counts from zero.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from toban_sandbox.promql.labels import NAME, Labels, canonical

Json = dict[str, Any]
Sample = tuple[Labels, float]
_CPU_UNREST, _MEMORY_UNREST = 0.03, 0.005


class Usage(Protocol):
    @property
    def memory_bytes(self) -> int: ...
    @property
    def cpu_cores(self) -> float: ...


UsageOf = Callable[[str, str], Mapping[str, Usage]]


@dataclass(frozen=True)
class Burst:
    """More CPU than the work asks for: cores added to each container of a workload, between two moments."""

    namespace: str
    workload: str
    cores: float
    since: float
    until: float


class _Key(NamedTuple):
    namespace: str
    pod: str
    container: str


class ContainerUsage:
    """CPU and memory of every container of the pods given at each tick."""

    def __init__(self, usage_of: UsageOf, *, seed: int) -> None:
        self._usage_of = usage_of
        self._random = random.Random(f"usage {seed}")  # noqa: S311 - simulated unrest, not a secret
        self._cpu_s: dict[_Key, tuple[int, float]] = {}
        self._labels: dict[_Key, tuple[Labels, Labels]] = {}
        self._memory: dict[_Key, float] = {}
        self.bursts: list[Burst] = []

    def add(self, pods: Iterable[Json], *, now: float, seconds: float) -> None:
        """Reads what the pods use now, and counts their CPU over the seconds since the last call."""
        self.bursts = [burst for burst in self.bursts if burst.until > now]
        cpu: dict[_Key, tuple[int, float]] = {}
        memory: dict[_Key, float] = {}
        for pod in pods:
            namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
            restarts = {c["name"]: c.get("restartCount", 0) for c in pod.get("status", {}).get("containerStatuses", [])}
            for container, usage in self._usage_of(namespace, name).items():
                key, restart = _Key(namespace, name, container), restarts.get(container, 0)
                before = self._cpu_s.get(key, (restart, 0.0))
                cores = usage.cpu_cores * max(0.0, 1 + self._random.gauss(0, _CPU_UNREST))
                cores += self._burst_cores(pod, now)
                cpu[key] = (restart, (before[1] if before[0] == restart else 0.0) + cores * seconds)
                # Never above what the kubelet says: that would show more than the limit allows.
                memory[key] = float(int(usage.memory_bytes * (1 - abs(self._random.gauss(0, _MEMORY_UNREST)))))
        self._cpu_s, self._memory = cpu, memory
        self._labels = {key: labels for key, labels in self._labels.items() if key in cpu}

    def _burst_cores(self, pod: Json, now: float) -> float:
        return sum(
            burst.cores
            for burst in self.bursts
            if burst.since <= now < burst.until
            and pod["metadata"]["namespace"] == burst.namespace
            and workload_of(pod) == burst.workload
        )

    def samples(self) -> list[Sample]:
        result: list[Sample] = []
        for key, (_, seconds) in self._cpu_s.items():
            cpu, memory = self._named(key)
            result += [(cpu, seconds), (memory, self._memory[key])]
        return result

    def _named(self, key: _Key) -> tuple[Labels, Labels]:
        found = self._labels.get(key)
        if found is None:
            named = key._asdict()
            found = (
                canonical({NAME: "container_cpu_usage_seconds_total", **named}),
                canonical({NAME: "container_memory_working_set_bytes", **named}),
            )
            self._labels[key] = found
        return found


def workload_of(pod: Json) -> str:
    """The name of the Deployment a pod belongs to, read from its ReplicaSet's name; empty when it has none."""
    for owner in pod["metadata"].get("ownerReferences", []):
        if owner["kind"] == "ReplicaSet":
            name: str = owner["name"]
            return name.rpartition("-")[0]
    return ""


def targets(nodes: Iterable[Json], pods: Iterable[Json]) -> list[Sample]:
    """`up` of every target: the cluster's own, each node's, and each pod of a service that has an address."""
    result = [_up("kube-state-metrics", "kube-state-metrics.kube-system:8080", up=True)]
    for node in nodes:
        conditions = node.get("status", {}).get("conditions", [])
        ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
        result.append(_up("kubelet", f"{node['metadata']['name']}:10250", up=ready))
    for pod in pods:
        found = _pod_target(pod)
        if found is not None:
            result.append(found)
    return result


def _pod_target(pod: Json) -> Sample | None:
    status, meta = pod.get("status", {}), pod["metadata"]
    service = meta.get("labels", {}).get("app.kubernetes.io/name")
    statuses = status.get("containerStatuses", [])
    gone = "deletionTimestamp" in meta or status.get("phase") != "Running"
    if not service or not status.get("podIP") or not statuses or gone:
        return None
    ports = pod["spec"]["containers"][0].get("ports", [])
    instance = f"{status['podIP']}:{ports[0]['containerPort'] if ports else 80}"
    running = all("running" in container.get("state", {}) for container in statuses)
    return _up(service, instance, up=running, namespace=meta["namespace"], pod=meta["name"])


def _up(job: str, instance: str, *, up: bool, **labels: str) -> Sample:
    return canonical({NAME: "up", "job": job, "instance": instance, **labels}), float(up)
