"""Rows of the tables of StatefulSets, DaemonSets, Jobs, CronJobs and autoscalers, as `kubectl get` shows them."""

from datetime import datetime
from typing import Any

from toban_sandbox.kube import objects, rows, selectors

Json = dict[str, Any]

_SHOWN_METRICS = 2
_JOB_WORDS = ("Complete", "Failed")
_LATER_JOB_WORDS = ("Suspended", "FailureTarget", "SuccessCriteriaMet")


def statefulset(obj: Json, now: datetime) -> list[Any]:
    status, spec = obj.get("status") or {}, obj["spec"]
    ready = f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 1)}"
    return [objects.name_of(obj), ready, rows.born(obj, now), *rows.containers(spec)[:2]]


def daemonset(obj: Json, now: datetime) -> list[Any]:
    status, spec = obj.get("status") or {}, obj["spec"]
    counts = ("desiredNumberScheduled", "currentNumberScheduled", "numberReady")
    more = ("updatedNumberScheduled", "numberAvailable")
    wanted = ((spec.get("template") or {}).get("spec") or {}).get("nodeSelector") or {}
    return [
        objects.name_of(obj),
        *(status.get(name, 0) for name in (*counts, *more)),
        ",".join(f"{key}={value}" for key, value in sorted(wanted.items())) or rows.NONE,
        rows.born(obj, now),
        *rows.containers(spec),
    ]


def job(obj: Json, now: datetime) -> list[Any]:
    status, spec = obj.get("status") or {}, obj["spec"]
    done = status.get("succeeded", 0)
    if spec.get("completions") is not None:
        completions = f"{done}/{spec['completions']}"
    else:
        many = spec.get("parallelism", 1)
        completions = f"{done}/1 of {many}" if many > 1 else f"{done}/1"
    return [
        objects.name_of(obj),
        _job_word(obj),
        completions,
        _lasted(status, now),
        rows.born(obj, now),
        *rows.containers(spec),
    ]


def _job_word(obj: Json) -> str:
    for word in _JOB_WORDS:
        if objects.is_true(obj, word):
            return word
    if objects.is_terminating(obj):
        return "Terminating"
    return next((word for word in _LATER_JOB_WORDS if objects.is_true(obj, word)), "Running")


def _lasted(status: Json, now: datetime) -> str:
    started = status.get("startTime")
    if not started:
        return ""
    ended = status.get("completionTime")
    until = objects.parse_time(ended) if ended else now
    return rows.duration(int((until - objects.parse_time(started)).total_seconds()))


def cronjob(obj: Json, now: datetime) -> list[Any]:
    status, spec = obj.get("status") or {}, obj["spec"]
    last = status.get("lastScheduleTime")
    template = (spec.get("jobTemplate") or {}).get("spec") or {}
    return [
        objects.name_of(obj),
        spec.get("schedule"),
        spec.get("timeZone") or rows.NONE,
        str(bool(spec.get("suspend"))),
        len(status.get("active") or ()),
        rows.age(last, now) if last else rows.NONE,
        rows.born(obj, now),
        *rows.containers(template),
    ]


def autoscaler(obj: Json, now: datetime) -> list[Any]:
    status, spec = obj.get("status") or {}, obj["spec"]
    target = spec["scaleTargetRef"]
    return [
        objects.name_of(obj),
        f"{target.get('kind')}/{target.get('name')}",
        _targets(spec.get("metrics") or [], status.get("currentMetrics") or []),
        str(spec["minReplicas"]) if spec.get("minReplicas") is not None else "<unset>",
        spec.get("maxReplicas"),
        status.get("currentReplicas", 0),
        rows.born(obj, now),
    ]


def _targets(wanted: list[Json], current: list[Json]) -> str:
    shown = [_target(one, current) for one in wanted[:_SHOWN_METRICS]]
    if not shown:
        return rows.NONE
    more = f" + {len(wanted) - _SHOWN_METRICS} more..." if len(wanted) > _SHOWN_METRICS else ""
    return ", ".join(shown) + more


def _target(metric: Json, current: list[Json]) -> str:
    source = metric.get("resource") or metric.get("containerResource")
    if source is None:
        return "<unknown>/<unknown>"
    name, target = source.get("name"), source.get("target") or {}
    found: Json = {}
    for one in current:
        if (one.get("resource") or {}).get("name") == name:
            found = one["resource"]["current"]
    if target.get("averageUtilization") is not None:
        now = found.get("averageUtilization")
        return f"{name}: {'<unknown>' if now is None else f'{now}%'}/{target['averageUtilization']}%"
    return f"{name}: {found.get('averageValue', '<unknown>')}/{target.get('averageValue', '<unknown>')}"


def revision(obj: Json, now: datetime) -> list[Any]:
    owner = objects.controller_of(obj)
    group = owner["apiVersion"].partition("/")[0] if owner else ""
    name = f"{owner['kind'].lower()}.{group}/{owner['name']}" if owner else rows.NONE
    return [objects.name_of(obj), name, obj.get("revision"), rows.born(obj, now)]


def disruption_budget(obj: Json, now: datetime) -> list[Any]:
    status, spec = obj.get("status") or {}, obj["spec"]
    return [
        objects.name_of(obj),
        str(spec.get("minAvailable", "N/A")),
        str(spec.get("maxUnavailable", "N/A")),
        status.get("disruptionsAllowed", 0),
        rows.born(obj, now),
    ]


def priority_class(obj: Json, now: datetime) -> list[Any]:
    return [
        objects.name_of(obj),
        obj.get("value", 0),
        bool(obj.get("globalDefault")),
        rows.born(obj, now),
        obj.get("preemptionPolicy", "PreemptLowerPriority"),
    ]


def network_policy(obj: Json, now: datetime) -> list[Any]:
    chosen = selectors.text_of((obj.get("spec") or {}).get("podSelector"))
    return [objects.name_of(obj), chosen or rows.NONE, rows.born(obj, now)]
