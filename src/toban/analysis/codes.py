"""Every finding code and every cause with the facts that its sentence is made of.

Read by pages and reports that say them in another language; a test holds the analyzers against it.
"""

_WORKLOAD = ("namespace", "workload_kind", "workload")
_CONTAINER = (*_WORKLOAD, "container", "pods", "pod_count", "restarts")
_SERIES = ("service", "namespace", "workload", "metric", "unit")
_MOVED = (
    *_SERIES,
    "direction",
    "baseline",
    "now",
    "low",
    "high",
    "score",
    "onset",
    "ended",
    "peak",
    "points",
)

FINDINGS: dict[str, tuple[str, ...]] = {
    "alert.rule": ("alert", "state", "rule_query", "hold_s", "active"),
    "alert.ended": ("alert", "seconds"),
    "change.configmap": ("namespace", "configmap", "change", "keys", "used_by", "seconds_before_start"),
    "change.rollout": (
        *_WORKLOAD,
        "container",
        "revision",
        "previous_revision",
        "old_image",
        "new_image",
        "image_changed",
        "restart_only",
        "changes",
        "change_cause",
        "seconds_before_start",
        "images_before",
        "images_after",
        "limits_before",
        "limits_after",
        "references_before",
        "references_after",
        "variables_before",
        "variables_after",
    ),
    "config.missing": (*_CONTAINER, "source_kind", "source_name", "missing_key"),
    "container.crash_loop": (*_CONTAINER, "exit_code", "looping", "reason"),
    "container.image_unavailable": (*_CONTAINER, "image", "repository", "tag", "reason"),
    "container.killed": (*_CONTAINER, "limit", "limit_bytes"),
    "container.liveness_failed": (*_CONTAINER, "probe"),
    "container.oom_killed": (*_CONTAINER, "limit", "limit_bytes"),
    "deployment.unavailable": (*_WORKLOAD, "available", "wanted"),
    "log.callee_failed": (*_WORKLOAD, "container", "pod", "host", "peer"),
    "log.env_missing": (*_WORKLOAD, "container", "pod", "missing_key"),
    "log.last_words": (*_WORKLOAD, "container", "pod"),
    "metric.cpu": _MOVED,
    "metric.error_share": _MOVED,
    "metric.latency_p95": _MOVED,
    "metric.memory": _MOVED,
    "metric.memory_near_limit": (*_SERIES, "peak", "limit", "limit_bytes", "share", "points"),
    "metric.request_rate": _MOVED,
    "metric.restarts": _MOVED,
    "node.not_ready": ("node", "condition", "status", "reason", "pods", "workloads", "services"),
    "node.pressure": ("node", "condition", "status", "reason", "pods", "workloads", "services"),
    "pod.not_ready": (*_WORKLOAD, "pods", "pod_count"),
    "pod.unschedulable": (*_WORKLOAD, "pods", "pod_count", "lacking", "requests", "nodes"),
    "rollout.stuck": (*_WORKLOAD, "revision", "ready", "updated", "wanted", "overdue"),
}
"""Finding code → names of its facts."""

_PLACE = (*_WORKLOAD, "container", "service")

CAUSES: dict[str, tuple[str, ...]] = {
    "bad_rollout": (
        *_PLACE,
        "revision",
        "previous_revision",
        "image",
        "previous_image",
        "seconds_before_start",
        "change_cause",
        "image_unavailable",
    ),
    "capacity": (*_PLACE, "lacking", "pods"),
    "config_missing": (*_PLACE, "source_kind", "source_name", "missing_key"),
    "crash": (*_PLACE, "code", "exit_code", "probe", "restarts", "last_words"),
    "dependency": (*_PLACE, "host", "peer", "caller"),
    "image_unavailable": (*_PLACE, "image", "reason"),
    "memory_limit": (*_PLACE, "limit", "suggested_limit", "peak_bytes", "restarts"),
    "node_problem": (*_PLACE, "node", "condition", "services"),
    "transient": (*_PLACE, "alert", "seconds"),
}
"""Cause → names of a hypothesis' facts. Where a Deployment runs it there is `deployment` too; `config_missing` has
`configmap` or `secret` where its kind is known."""

GROUPING_RULES: dict[str, tuple[str, ...]] = {
    "fingerprint": ("incident",),
    "same_service": ("incident", "service", "seconds"),
    "neighbour": ("incident", "service", "other", "relation", "seconds"),
    "new": ("service", "window_s"),
}
"""Rule of a grouping decision → names of its facts; `relation` is calls or called_by."""
