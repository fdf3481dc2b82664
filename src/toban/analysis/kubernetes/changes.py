"""What changed in the namespace shortly before or during the trouble: rollouts and ConfigMaps. Called by `analyze`.

A change is a suspect, not a cause; `rootcause` weighs it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from toban.analysis.kubernetes import template
from toban.analysis.kubernetes.cluster import (
    CHANGE_CAUSE,
    Cluster,
    Object,
    Scope,
    at,
    first_seen,
    instant,
    make,
    name_of,
    revision_of,
)
from toban.kit import text
from toban.model.finding import Finding, FindingKind

_BIRTH = timedelta(minutes=1)


@dataclass(frozen=True)
class _Edit:
    """One ConfigMap's change: created or edited, the keys that it has now, when."""

    name: str
    change: str
    keys: list[str]
    when: datetime


def analyze(cluster: Cluster, scope: Scope) -> Iterator[Finding]:
    """`change.rollout` for new revisions and `change.configmap` for new or edited ConfigMaps."""
    for deployment in cluster.deployments:
        yield from _rollout(cluster, scope, deployment)
    for configmap in cluster.configmaps:
        yield from _configmap(cluster, scope, configmap)


def _rollout(cluster: Cluster, scope: Scope, deployment: Object) -> Iterator[Finding]:
    sets = [replicaset for replicaset in cluster.sets_of(deployment) if revision_of(replicaset)]
    if len(sets) < 2:  # noqa: PLR2004 - a first revision replaces nothing
        return
    old, new = sets[-2:]
    when = _rolled_out_at(cluster, scope, deployment, sets)
    if not when or when < scope.changes_since:
        return
    workload = cluster.ref("Deployment", name_of(deployment))
    facts = _rollout_facts(old, new)
    cause = str(at(new, "metadata", "annotations").get(CHANGE_CAUSE, ""))
    seconds = round((scope.started_at - when).total_seconds()) if scope.started_at else None
    yield make(
        cluster,
        scope,
        kind=FindingKind.CHANGE,
        subject=workload,
        code="change.rollout",
        statement=f"{workload} was rolled out to revision {facts['revision']}{_what(facts)}{_relative(seconds)}.",
        facts={
            "namespace": workload.namespace,
            "workload_kind": workload.kind,
            "workload": workload.name,
            "change_cause": text.quoted(cause),
            "seconds_before_start": seconds,
            **facts,
        },
        field="spec.template",
        value=facts["new_image"],
        expected=facts["old_image"],
        quote=text.quoted(cause),
        happened_at=when,
    )


def _rolled_out_at(cluster: Cluster, scope: Scope, deployment: Object, sets: list[Object]) -> datetime | None:
    """When the newest revision began. A return to an old ReplicaSet leaves only the events of scaling the two."""
    old, new = sets[-2:]
    created = instant(at(new, "metadata").get("creationTimestamp"))
    if created and created >= scope.changes_since:
        return created
    events = cluster.events_of("Deployment", name_of(deployment), "ScalingReplicaSet")

    def said(opening: str) -> list[datetime]:
        times = [first_seen(event) for event in events if str(event.get("message", "")).startswith(opening)]
        return [time for time in times if time]

    up = said(f"Scaled up replica set {name_of(new)} from 0 ")
    down = said(f"Scaled down replica set {name_of(old)} from ")
    return max(up) if up and down else created


def _rollout_facts(old: Object, new: Object) -> dict[str, Any]:
    before, after = at(old, "spec", "template"), at(new, "spec", "template")
    changes = template.differences(before, after)
    old_images, new_images = template.images(before), template.images(after)
    changed = [name for name in new_images if old_images.get(name) != new_images[name]]
    shown = changed[0] if changed else next(iter(new_images), "")
    return {
        "revision": revision_of(new),
        "previous_revision": revision_of(old),
        "container": shown,
        "old_image": old_images.get(shown, ""),
        "new_image": new_images.get(shown, ""),
        "image_changed": bool(changed),
        "changes": changes,
        "restart_only": template.is_restart(changes),
        "images_before": old_images,
        "images_after": new_images,
        "limits_before": template.memory_limits(before),
        "limits_after": template.memory_limits(after),
        "references_before": template.references(before),
        "references_after": template.references(after),
        "variables_before": template.variables(before),
        "variables_after": template.variables(after),
    }


def _what(facts: Mapping[str, Any]) -> str:
    if facts["image_changed"]:
        return f" (image {facts['old_image'] or 'none'} → {facts['new_image']})"
    if facts["restart_only"]:
        return " (a restart, nothing else changed)"
    fields = [change["path"] for change in facts["changes"]]
    return f" (changed: {', '.join(fields[:3])}{' …' if len(fields) > 3 else ''})" if fields else ""  # noqa: PLR2004 - as many as are shown


def _relative(seconds: int | None) -> str:
    if seconds is None:
        return ""
    side = "before" if seconds >= 0 else "after"
    return f", {duration(abs(seconds))} {side} the first alert"


def duration(seconds: float) -> str:
    """`45 s`, `12 min`, `3 h`: a length of time for a sentence."""
    if seconds < 120:  # noqa: PLR2004 - two minutes
        return f"{round(seconds)} s"
    return f"{round(seconds / 60)} min" if seconds < 7200 else f"{round(seconds / 3600)} h"  # noqa: PLR2004 - two hours


def _configmap(cluster: Cluster, scope: Scope, configmap: Object) -> Iterator[Finding]:
    """By the creation time, and by the field managers' times where the reader kept them."""
    metadata = at(configmap, "metadata")
    keys = sorted(at(configmap, "data"))
    created = instant(metadata.get("creationTimestamp"))
    edits = [instant(entry.get("time")) for entry in metadata.get("managedFields") or []]
    edited = max((time for time in edits if time), default=None)
    if created and created >= scope.changes_since:
        born = cluster.created_at
        if not born or created - born > _BIRTH:  # what came with its namespace is no change
            yield _configmap_finding(cluster, scope, _Edit(name_of(configmap), "created", keys, created))
    elif edited and edited >= scope.changes_since:
        yield _configmap_finding(cluster, scope, _Edit(name_of(configmap), "edited", keys, edited))


def _configmap_finding(cluster: Cluster, scope: Scope, edit: _Edit) -> Finding:
    subject = cluster.ref("ConfigMap", edit.name)
    users = [
        name_of(deployment)
        for deployment in cluster.deployments
        if f"ConfigMap/{edit.name}" in template.references(at(deployment, "spec", "template"))
    ]
    seconds = round((scope.started_at - edit.when).total_seconds()) if scope.started_at else None
    facts: dict[str, Any] = {
        "namespace": subject.namespace,
        "configmap": edit.name,
        "change": edit.change,
        "keys": edit.keys[: template.LIMIT],
        "used_by": users,
        "seconds_before_start": seconds,
    }
    services = sorted({cluster.service_of(cluster.ref("Deployment", user)) or user for user in users})
    return make(
        cluster,
        scope,
        kind=FindingKind.CHANGE,
        subject=subject,
        code="change.configmap",
        service=services[0] if len(services) == 1 else None,
        statement=f"{subject} was {edit.change}{_relative(seconds)}.",
        facts=facts,
        field="data",
        value=facts["keys"],
        happened_at=edit.when,
    )
