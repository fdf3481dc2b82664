"""How much each observation speaks for or against each cause. This table is the whole opinion of the diagnosis.

Weights are natural log-odds: +2.2 makes a cause nine times as likely, -2.2 a ninth. A prior is what a cause has before
anything is known. Observations are finding codes, or relations (with a colon) that `relations` works out of findings.
"""

from dataclasses import dataclass

PRIORS: dict[str, float] = {
    "memory_limit": -2.0,
    "image_unavailable": -2.0,
    "config_missing": -2.0,
    "bad_rollout": -1.0,
    "crash": -2.5,
    "node_problem": -2.5,
    "capacity": -2.0,
    "dependency": -2.5,
    "transient": -1.5,
}

ROLLOUT_HALF_LIFE_S = 15 * 60
"""Suspicion of a rollout halves with every quarter of an hour between it and the first alert."""

LIKELY = 0.75
POSSIBLE = 0.5
MARGIN = 0.05
"""Two best hypotheses closer than this are not told apart."""


@dataclass(frozen=True)
class Row:
    """For `cause`, `observation` weighs `weight`; `why` completes "because …"."""

    cause: str
    observation: str
    weight: float
    why: str


TABLE: tuple[Row, ...] = (
    # --- the container needs more memory than it may have
    Row("memory_limit", "container.oom_killed", 4.0, "the kernel killed it for its memory limit"),
    Row("memory_limit", "container.killed", 2.5, "it was killed under a memory limit and nothing else did it"),
    Row("memory_limit", "metric.memory_near_limit", 1.0, "memory reached the limit"),
    Row("memory_limit", "metric.memory", 0.4, "memory rose"),
    Row("memory_limit", "metric.request_rate", 0.5, "more requests need more memory"),
    Row("memory_limit", "metric.restarts", 0.2, "it keeps restarting"),
    Row("memory_limit", "deployment.unavailable", 0.2, "replicas are missing"),
    Row("memory_limit", "rollout:lowered_limit", -4.0, "a rollout lowered the limit; the rollout is the cause"),
    Row("memory_limit", "time:began_late", -2.0, "it began after the first alert"),
    Row("memory_limit", "place:elsewhere", -3.5, "no alerting service depends on it"),
    # --- the image cannot be pulled
    Row("image_unavailable", "container.image_unavailable", 4.0, "the kubelet cannot pull the image"),
    Row("image_unavailable", "rollout.stuck", 0.3, "new pods do not start"),
    Row("image_unavailable", "deployment.unavailable", 0.3, "replicas are missing"),
    Row(
        "image_unavailable", "rollout:introduced_image", -3.5, "a rollout brought this image; the rollout is the cause"
    ),
    Row("image_unavailable", "time:began_late", -2.0, "it began after the first alert"),
    Row("image_unavailable", "place:elsewhere", -3.5, "no alerting service depends on it"),
    # --- configuration is missing
    Row("config_missing", "config.missing", 4.0, "the kubelet names what does not exist"),
    Row("config_missing", "log.env_missing", 4.0, "the container names the variable that it lacks"),
    Row("config_missing", "container.crash_loop", 0.4, "it ends at once"),
    Row("config_missing", "configmap:edited", 1.0, "the ConfigMap was edited"),
    Row("config_missing", "rollout.stuck", 0.3, "new pods do not start"),
    Row("config_missing", "deployment.unavailable", 0.3, "replicas are missing"),
    Row(
        "config_missing", "rollout:introduced_need", -3.5, "a rollout brought the need for it; the rollout is the cause"
    ),
    Row("config_missing", "time:began_late", -2.0, "it began after the first alert"),
    Row("config_missing", "place:elsewhere", -3.5, "no alerting service depends on it"),
    # --- a rollout brought the fault
    Row("bad_rollout", "rollout:recent", 2.0, "it was rolled out shortly before the first alert"),
    Row("bad_rollout", "rollout:introduced_image", 3.0, "it brought the image that cannot be pulled"),
    Row("bad_rollout", "rollout:lowered_limit", 3.5, "it lowered the memory limit that is now exceeded"),
    Row("bad_rollout", "rollout:introduced_need", 3.0, "it needs configuration that does not exist"),
    Row("bad_rollout", "rollout:raised_requests", 3.0, "it asks for more than any node has free"),
    Row("bad_rollout", "rollout:crash_followed", 2.2, "its containers crash since then"),
    Row("bad_rollout", "rollout.stuck", 1.0, "its new pods do not get ready"),
    Row("bad_rollout", "pod.not_ready", 1.0, "its pods fail their readiness probe"),
    Row("bad_rollout", "metric.error_share", 2.0, "its share of errors rose"),
    Row("bad_rollout", "metric.latency_p95", 1.2, "it became slower"),
    Row("bad_rollout", "rollout:no_symptom", -3.5, "nothing measured in this service itself is wrong"),
    Row("bad_rollout", "rollout:not_measured", -1.5, "its metrics could not be read"),
    Row("bad_rollout", "rollout:after_start", -6.0, "a cause does not come after its effect"),
    Row("bad_rollout", "rollout:symptom_before", -3.0, "the symptom began before the rollout"),
    Row(
        "bad_rollout",
        "rollout:same_limit",
        -4.0,
        "the earlier revision has the same memory limit; going back does not help",
    ),
    Row("bad_rollout", "rollout:same_limit_new_image", -2.0, "the earlier revision has the same memory limit"),
    Row(
        "bad_rollout",
        "rollout:same_need",
        -4.5,
        "the earlier revision needs the same configuration; going back does not help",
    ),
    Row("bad_rollout", "rollout:same_image", -4.0, "the earlier revision has the same image; going back does not help"),
    Row("bad_rollout", "rollout:restart_only", -2.5, "it changed nothing, it only restarted the pods"),
    Row("bad_rollout", "place:callee", -1.5, "a service that it calls is in trouble itself"),
    Row("bad_rollout", "place:elsewhere", -3.5, "no alerting service depends on it"),
    # --- the application ends by itself
    Row("crash", "container.crash_loop", 3.5, "it ends with an error again and again"),
    Row("crash", "container.liveness_failed", 3.5, "it stops answering its probe"),
    Row("crash", "pod.not_ready", 2.5, "it runs but does not become ready"),
    Row("crash", "log.last_words", 0.6, "its log shows an error before the end"),
    Row("crash", "metric.restarts", 0.2, "it keeps restarting"),
    Row("crash", "metric.error_share", 0.3, "its share of errors rose"),
    Row("crash", "deployment.unavailable", 0.3, "replicas are missing"),
    Row("crash", "rollout:crash_followed", -2.5, "it began with a rollout; the rollout is the cause"),
    Row("crash", "log.env_missing", -3.0, "it lacks configuration"),
    Row("crash", "log.callee_failed", -1.5, "it ends because it cannot reach another service"),
    Row("crash", "place:callee", -1.0, "a service that it calls is in trouble itself"),
    Row("crash", "time:began_late", -2.0, "it began after the first alert"),
    Row("crash", "place:elsewhere", -3.5, "no alerting service depends on it"),
    # --- a node fails
    Row("node_problem", "node.not_ready", 4.0, "the node is not ready and runs pods of this incident"),
    Row("node_problem", "node.pressure", 2.8, "the node is under pressure and runs pods of this incident"),
    Row("node_problem", "time:began_late", -2.0, "it began after the first alert"),
    Row("node_problem", "place:elsewhere", -3.5, "no pod of the alerting services runs on it"),
    # --- no room
    Row("capacity", "pod.unschedulable", 4.0, "the scheduler finds no node for it"),
    Row("capacity", "deployment.unavailable", 0.3, "replicas are missing"),
    Row("capacity", "rollout:raised_requests", -3.0, "a rollout raised what it asks for; the rollout is the cause"),
    Row("capacity", "time:began_late", -2.0, "it began after the first alert"),
    Row("capacity", "place:elsewhere", -3.5, "no alerting service depends on it"),
    # --- something that is called does not answer, and nothing is known of why
    Row("dependency", "log.callee_failed", 3.8, "its caller's log says that it does not answer"),
    Row("dependency", "container.crash_loop", 0.4, "its caller ends because of it"),
    Row("dependency", "metric.error_share", 0.4, "its caller's share of errors rose"),
    # --- it went away by itself
    Row("transient", "alert.ended", 2.0, "the alert ended by itself"),
    Row("transient", "state:still_wrong", -4.0, "something is still wrong"),
)

BY_KEY: dict[tuple[str, str], Row] = {(row.cause, row.observation): row for row in TABLE}
