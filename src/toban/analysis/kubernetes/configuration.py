"""ConfigMaps, Secrets and keys that pods refer to and that are not there. Called by `analyze`.

It reads the kubelet's words, because only the kubelet may see Secrets.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from toban.analysis.kubernetes.cluster import (
    Cluster,
    Container,
    Object,
    Scope,
    at,
    earliest,
    first_seen,
    instant,
    make,
    name_of,
)
from toban.analysis.kubernetes.containers import Trouble, cases
from toban.kit import text
from toban.model.finding import Finding
from toban.model.service import ObjectRef

_NO_OBJECT = re.compile(r'(?P<kind>configmap|secret) "(?P<name>[^"]+)" not found', re.IGNORECASE)
_NO_KEY = re.compile(
    r"couldn't find key (?P<key>\S+) in (?P<kind>ConfigMap|Secret) (?:(?P<namespace>[^/\s]+)/)?(?P<name>[^\s\"]+)"
)
_NO_PATH = re.compile(r"references non-existent (?P<kind>config|secret) key: (?P<key>\S+)")
_KINDS = {"configmap": "ConfigMap", "config": "ConfigMap", "secret": "Secret"}
_VOLUME = re.compile(r'volume "(?P<volume>[^"]+)"')


@dataclass(frozen=True, order=True)
class Missing:
    """What is missing; `key` is empty where the whole object is."""

    kind: str
    name: str
    key: str = ""


@dataclass(frozen=True)
class _Lack:
    """One workload that lacks something, with the kubelet's words."""

    subject: ObjectRef
    missing: Missing
    words: str
    facts: dict[str, Any]
    trouble: Trouble
    happened_at: datetime | None


def analyze(cluster: Cluster, scope: Scope) -> Iterator[Finding]:
    """`config.missing` for containers that wait for a reference, and for pods whose volumes cannot be mounted."""
    for lack in (*_references(cluster), *_volumes(cluster)):
        yield _finding(cluster, scope, lack)


def missing_in(words: str) -> Missing | None:
    """What the kubelet says is missing; None for words that name nothing."""
    for form in (_NO_KEY, _NO_OBJECT, _NO_PATH):
        found = form.search(words)
        if found:
            parts = found.groupdict()
            return Missing(_KINDS[parts["kind"].lower()], parts.get("name") or "", parts.get("key") or "")
    return None


def _references(cluster: Cluster) -> Iterator[_Lack]:
    def waits(pod: Object, container: Container) -> Trouble | None:
        words = str(container.waiting.get("message", ""))
        missing = missing_in(words)
        if container.waiting.get("reason") != "CreateContainerConfigError" or not missing:
            return None
        events = cluster.events_of("Pod", name_of(pod), "Failed")
        when = earliest(first_seen(event) for event in events) or instant(at(pod, "metadata").get("creationTimestamp"))
        return Trouble(f"{container.path}.state.waiting.reason", "CreateContainerConfigError", (missing, words), when)

    for case in cases(cluster, waits, key=lambda trouble: str(trouble.details[0])):
        missing, words = case.first.details
        yield _Lack(case.subject, missing, words, case.facts(), case.first, case.happened_at)


def _volumes(cluster: Cluster) -> Iterator[_Lack]:
    seen: dict[tuple[str, Missing], list[tuple[str, Object, ObjectRef]]] = {}
    for pod in cluster.pods:
        if at(pod, "status").get("phase") != "Pending":
            continue  # a pod that runs has its volumes; its events are history
        workload = cluster.workload_of(pod)
        for event in cluster.events_of("Pod", name_of(pod), "FailedMount"):
            missing = _missing_volume(pod, str(event.get("message", "")))
            if missing:
                seen.setdefault((str(workload), missing), []).append((name_of(pod), event, workload))
    for (_, missing), members in sorted(seen.items()):
        pods = sorted({pod for pod, _, _ in members})
        _, event, workload = members[0]
        facts = {
            "namespace": workload.namespace,
            "workload_kind": workload.kind,
            "workload": workload.name,
            "container": "",
            "pods": pods,
            "pod_count": len(pods),
            "restarts": 0,
        }
        trouble = Trouble("events[reason=FailedMount].message", "FailedMount")
        when = earliest(first_seen(event) for _, event, _ in members)
        yield _Lack(workload, missing, str(event.get("message", "")), facts, trouble, when)


def _missing_volume(pod: Object, words: str) -> Missing | None:
    """As `missing_in`; a message that names only the key is completed from the pod's volume."""
    missing, volume = missing_in(words), _VOLUME.search(words)
    if not missing or missing.name or not volume:
        return missing
    for entry in at(pod, "spec").get("volumes") or []:
        if entry.get("name") == volume["volume"]:
            name = at(entry, "configMap").get("name") or at(entry, "secret").get("secretName") or ""
            return Missing(missing.kind, str(name), missing.key)
    return missing


def _finding(cluster: Cluster, scope: Scope, lack: _Lack) -> Finding:
    subject, missing = lack.subject, lack.missing
    what = f"{missing.kind} {subject.namespace}/{missing.name}"
    if missing.key:
        what = f"key {missing.key} of {what}"
    who = f"Container {subject.container} of " if subject.container else ""
    workload = subject.model_copy(update={"container": ""})
    return make(
        cluster,
        scope,
        subject=subject,
        code="config.missing",
        statement=f"{who}{workload} cannot start: {what} does not exist.",
        facts={
            **lack.facts,
            "source_kind": missing.kind,
            "source_name": missing.name,
            "missing_key": missing.key,
        },
        field=lack.trouble.path,
        value=lack.trouble.value,
        expected=f"{what} exists",
        quote=text.quoted(lack.words),
        happened_at=lack.happened_at,
    )
