"""Containers of one workload that share a trouble, gathered so that three pods give one finding.

Called by the analyzers of containers. It holds no rule of its own.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from toban.analysis.kubernetes.cluster import Cluster, Container, Object, containers_of, earliest, name_of
from toban.model.service import ObjectRef


@dataclass(frozen=True)
class Trouble:
    """What a test found in one container: the field, its value, whatever else it wants to keep, and when."""

    path: str
    value: str
    details: Any = None
    happened_at: datetime | None = None


@dataclass(frozen=True)
class Case:
    """One workload's container with the same trouble in one or more pods, first pod by name first."""

    workload: ObjectRef
    container: Container
    pods: tuple[Object, ...]
    troubles: tuple[Trouble, ...]
    restarts: int

    @property
    def first(self) -> Trouble:
        return self.troubles[0]

    @property
    def happened_at(self) -> datetime | None:
        return earliest(trouble.happened_at for trouble in self.troubles)

    @property
    def subject(self) -> ObjectRef:
        return self.workload.model_copy(update={"container": self.container.name})

    @property
    def place(self) -> str:
        """For a sentence: `Container cart of Deployment shop/cart`."""
        return f"Container {self.container.name} of {self.workload}"

    def facts(self, **more: Any) -> dict[str, Any]:
        """What every container finding says, and `more`."""
        return {
            "namespace": self.workload.namespace,
            "workload_kind": self.workload.kind,
            "workload": self.workload.name,
            "container": self.container.name,
            "pods": [name_of(pod) for pod in self.pods],
            "pod_count": len(self.pods),
            "restarts": self.restarts,
            **more,
        }


Test = Callable[[Object, Container], Trouble | None]


def cases(cluster: Cluster, test: Test, key: Callable[[Trouble], str]) -> Iterator[Case]:
    """Cases of `test`, one for each workload, container and `key`, in a fixed order."""
    groups: dict[tuple[str, str, str], list[tuple[Object, Container, Trouble, ObjectRef]]] = {}
    for pod in cluster.pods:
        workload = cluster.workload_of(pod)
        for container in containers_of(pod):
            trouble = test(pod, container)
            if trouble:
                group = groups.setdefault((str(workload), container.name, key(trouble)), [])
                group.append((pod, container, trouble, workload))
    for _, members in sorted(groups.items()):
        pods, containers, troubles, workloads = zip(*members, strict=True)
        restarts = sum(container.restarts for container in containers)
        yield Case(workloads[0], containers[0], pods, troubles, restarts)
