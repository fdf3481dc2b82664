"""Containers that end again and again, or that their liveness probe has killed. Called by `analyze`.

What was killed for memory belongs to `memory`; what a container said before it ended belongs to `analysis.logs`.
"""

import re
from collections.abc import Iterator

from toban.analysis.kubernetes.cluster import (
    Cluster,
    Container,
    Object,
    Scope,
    counted,
    earliest,
    first_seen,
    instant,
    last_seen,
    make,
    name_of,
)
from toban.analysis.kubernetes.containers import Case, Trouble, cases
from toban.kit import text
from toban.model.finding import Finding

_LIVENESS = re.compile(r"Container (?P<name>\S+) failed (?P<probe>liveness|startup) probe")
_SIGKILL = 137


def analyze(cluster: Cluster, scope: Scope) -> Iterator[Finding]:
    """`container.liveness_failed` where a probe had the container killed, else `container.crash_loop`."""

    def crashes(pod: Object, container: Container) -> Trouble | None:
        ended = container.recent_ending(scope.since)
        looping = container.waiting.get("reason") == "CrashLoopBackOff"
        if not ended or not (looping or container.restarts):
            return None
        path, end = ended
        if end.get("reason") == "OOMKilled" or (end.get("exitCode") in {0, None} and not looping):
            return None
        probe = _probe_words(cluster, scope, pod, container)
        if not probe and end.get("exitCode") == _SIGKILL and container.memory_limit:
            return None  # `memory` reports it with its limit
        backoffs = cluster.events_of("Pod", name_of(pod), "BackOff")
        when = earliest([instant(end.get("finishedAt")), *map(first_seen, backoffs)])
        return Trouble(f"{path}.exitCode", str(end.get("exitCode")), (probe, end, looping), when)

    for case in cases(cluster, crashes, key=lambda trouble: f"{bool(trouble.details[0])} {trouble.value}"):
        yield _probe_finding(cluster, scope, case) if case.first.details[0] else _crash_finding(cluster, scope, case)


def _probe_words(cluster: Cluster, scope: Scope, pod: Object, container: Container) -> str:
    for event in cluster.events_of("Pod", name_of(pod), "Killing"):
        found = _LIVENESS.search(str(event.get("message", "")))
        seen = last_seen(event)
        if found and found["name"] == container.name and (not seen or seen >= scope.since):
            return str(event["message"])
    return ""


def _crash_finding(cluster: Cluster, scope: Scope, case: Case) -> Finding:
    code = int(case.first.value) if case.first.value.lstrip("-").isdigit() else -1
    _, end, looping = case.first.details
    again = " and waits longer before each restart" if looping else ""
    tail = f"{counted(case.restarts, 'restart')} in {counted(len(case.pods), 'pod')}"
    return make(
        cluster,
        scope,
        subject=case.subject,
        code="container.crash_loop",
        statement=f"{case.place} ends with exit code {code}{again}; {tail}.",
        facts=case.facts(exit_code=code, looping=looping, reason=str(end.get("reason", ""))),
        field=case.first.path,
        value=code,
        expected=0,
        quote=text.quoted(str(end.get("message", ""))),
        happened_at=case.happened_at,
    )


def _probe_finding(cluster: Cluster, scope: Scope, case: Case) -> Finding:
    probe = "startup" if "startup probe" in case.first.details[0] else "liveness"
    tail = f"{counted(case.restarts, 'restart')} in {counted(len(case.pods), 'pod')}"
    words = [
        str(event.get("message", ""))
        for event in cluster.events_of("Pod", name_of(case.pods[0]), "Unhealthy")
        if str(event.get("message", "")).lower().startswith(probe)
    ]
    return make(
        cluster,
        scope,
        subject=case.subject,
        code="container.liveness_failed",
        statement=f"{case.place} was killed because its {probe} probe failed; {tail}.",
        facts=case.facts(probe=probe),
        field="events[reason=Killing].message",
        value="failed probe",
        expected="probe passes",
        quote=text.quoted(words[-1] if words else case.first.details[0]),
        happened_at=case.happened_at,
    )
