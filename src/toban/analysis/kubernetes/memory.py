"""Containers that were killed at their memory limit. Called by `analyze`; says nothing about why they needed it."""

from collections.abc import Iterator

from toban.analysis import quantity
from toban.analysis.kubernetes.cluster import (
    Cluster,
    Container,
    Object,
    Scope,
    counted,
    earliest,
    instant,
    make,
    name_of,
)
from toban.analysis.kubernetes.cluster import first_seen as first_seen_of
from toban.analysis.kubernetes.containers import Case, Trouble, cases
from toban.model.finding import Finding

_SIGKILL = 137


def analyze(cluster: Cluster, scope: Scope) -> Iterator[Finding]:
    """`container.oom_killed` where the kernel's reason stands; `container.killed` for a bare 137 under a limit."""

    def killed(pod: Object, container: Container) -> Trouble | None:
        found = container.recent_ending(scope.since)
        if not found:
            return None
        path, ended = found
        certain = ended.get("reason") == "OOMKilled"
        if not certain and not _unexplained_kill(cluster, pod, container, ended):
            return None
        backoffs = cluster.events_of("Pod", name_of(pod), "BackOff") if container.restarts > 1 else []
        when = earliest([instant(ended.get("finishedAt")), *(first_seen_of(event) for event in backoffs)])
        return Trouble(f"{path}.reason", "OOMKilled" if certain else "exit code 137", certain, when)

    for case in cases(cluster, killed, key=lambda trouble: str(trouble.value)):
        yield _finding(cluster, scope, case)


def _unexplained_kill(cluster: Cluster, pod: Object, container: Container, ended: Object) -> bool:
    """SIGKILL under a memory limit that no probe, eviction or deletion accounts for."""
    if ended.get("exitCode") != _SIGKILL or not container.memory_limit:
        return False
    return not cluster.events_of("Pod", name_of(pod), "Killing", "Evicted", "Preempted")


def _finding(cluster: Cluster, scope: Scope, case: Case) -> Finding:
    certain = case.first.details
    limit = case.container.memory_limit
    limit_words = f"its memory limit of {limit}" if limit else "the memory that its node had left"
    tail = f"{counted(case.restarts, 'restart')} in {counted(len(case.pods), 'pod')}"
    if certain:
        statement = f"{case.place} was killed for exceeding {limit_words}; {tail}."
    else:
        statement = f"{case.place} was killed by SIGKILL (137) under {limit_words}, no reason given; {tail}."
    return make(
        cluster,
        scope,
        subject=case.subject,
        code="container.oom_killed" if certain else "container.killed",
        statement=statement,
        facts=case.facts(limit=limit, limit_bytes=quantity.bytes_of(limit)),
        field=case.first.path,
        value=case.first.value,
        expected="running",
        happened_at=case.happened_at,
    )
