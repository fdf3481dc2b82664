"""What the objects of one namespace say: one analyzer a module, each from a cluster and a scope to findings.

Called by `flow.investigate` with what `kubernetes.inventory` returned. It reads nothing itself and names no causes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from toban.analysis.kubernetes import availability, changes, configuration, crash, image, memory, node, scheduling
from toban.analysis.kubernetes.cluster import Cluster, Scope
from toban.model.finding import Finding
from toban.model.service import Service

Analyzer = Callable[[Cluster, Scope], Iterator[Finding]]

ANALYZERS: tuple[Analyzer, ...] = (
    memory.analyze,
    image.analyze,
    configuration.analyze,
    crash.analyze,
    scheduling.analyze,
    node.analyze,
    availability.analyze,
    changes.analyze,
)


def analyze(
    inventory: Mapping[str, Any],
    *,
    observed_at: datetime,
    since: datetime,
    changes_since: datetime | None = None,
    started_at: datetime | None = None,
    services: Sequence[Service] = (),
) -> list[Finding]:
    """All findings of one namespace, sorted by code and subject; none for what is healthy.

    Troubles count since `since`, changes since `changes_since` (the same unless given). `started_at` is when the
    incident started. `services` give workloads their known service names.
    """
    cluster = Cluster(inventory, services)
    scope = Scope(observed_at, since, changes_since or since, started_at)
    found = (finding for analyzer in ANALYZERS for finding in analyzer(cluster, scope))
    return sorted(found, key=lambda finding: (finding.code, str(finding.subject), finding.id))
