"""StatefulSets, DaemonSets, Jobs and CronJobs: what their specifications must and may not say."""

import zoneinfo
from collections.abc import Iterator
from typing import Any

from toban_sandbox.kube import cron, errors, objects
from toban_sandbox.kube.validation import causes, pods, workloads

Json = dict[str, Any]
Causes = Iterator[errors.Cause]

LONGEST_CRON_NAME = 52
_POLICIES = ["OrderedReady", "Parallel"]
_CONCURRENCY = ["Allow", "Forbid", "Replace"]
_MODES = ["NonIndexed", "Indexed"]
_NOT_NEGATIVE = "must be greater than or equal to 0"
_CHANGEABLE = (
    *("replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit"),
    *("persistentVolumeClaimRetentionPolicy", "minReadySeconds"),
)
_FIXED_SET = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "
    "'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)


def check_statefulset(obj: Json) -> Causes:
    """What is wrong with a StatefulSet."""
    spec = obj.get("spec") or {}
    yield from workloads.check_workload(_with_claims(spec))
    if spec.get("podManagementPolicy") not in _POLICIES:
        yield causes.unsupported("spec.podManagementPolicy", spec.get("podManagementPolicy"), _POLICIES)
    strategy = spec.get("updateStrategy") or {}
    if strategy.get("type") not in {"RollingUpdate", "OnDelete"}:
        yield causes.unsupported("spec.updateStrategy.type", strategy.get("type"), ["OnDelete", "RollingUpdate"])
    partition = (strategy.get("rollingUpdate") or {}).get("partition") or 0
    if partition < 0:
        yield causes.invalid("spec.updateStrategy.rollingUpdate.partition", partition, _NOT_NEGATIVE)


def _with_claims(spec: Json) -> Json:
    """A StatefulSet's specification whose pods have the volumes of its claims too."""
    template = spec.get("template")
    claims = [{"name": (one.get("metadata") or {}).get("name", "")} for one in spec.get("volumeClaimTemplates") or ()]
    if not claims or not isinstance(template, dict):
        return spec
    pod = template.get("spec") or {}
    names = {one["name"] for one in claims}
    kept = [volume for volume in pod.get("volumes") or () if volume.get("name") not in names]
    return {**spec, "template": {**template, "spec": {**pod, "volumes": [*kept, *claims]}}}


def check_statefulset_update(new: Json, old: Json) -> Causes:
    """Only some fields of a StatefulSet ever change."""

    def fixed(obj: Json) -> Json:
        return {key: value for key, value in (obj.get("spec") or {}).items() if key not in _CHANGEABLE}

    if fixed(new) != fixed(old):
        yield causes.forbidden("spec", _FIXED_SET)


def check_daemonset(obj: Json) -> Causes:
    """What is wrong with a DaemonSet."""
    spec = obj.get("spec") or {}
    yield from workloads.check_workload(spec)
    strategy = spec.get("updateStrategy") or {}
    if strategy.get("type") not in {"RollingUpdate", "OnDelete"}:
        yield causes.unsupported("spec.updateStrategy.type", strategy.get("type"), ["OnDelete", "RollingUpdate"])


def check_job(obj: Json) -> Causes:
    """What is wrong with a Job."""
    yield from _check_job_spec(obj.get("spec") or {}, "spec")


def _check_job_spec(spec: Json, field: str) -> Causes:
    for name in ("parallelism", "completions", "backoffLimit", "activeDeadlineSeconds", "ttlSecondsAfterFinished"):
        if (spec.get(name) or 0) < 0:
            yield causes.invalid(f"{field}.{name}", spec[name], _NOT_NEGATIVE)
    if spec.get("completionMode") not in {None, *_MODES}:
        yield causes.unsupported(f"{field}.completionMode", spec["completionMode"], _MODES)
    if spec.get("completionMode") == "Indexed" and spec.get("completions") is None:
        yield causes.required(f"{field}.completions", "when completion mode is Indexed")
    template = spec.get("template")
    if not isinstance(template, dict):
        yield causes.required(f"{field}.template")
        return
    pod = template.get("spec") or {}
    yield from pods.check_spec(pod, f"{field}.template.spec")
    if pod.get("restartPolicy") == "Always":
        yield causes.required(f"{field}.template.spec.restartPolicy", 'valid values: "OnFailure", "Never"')


def check_job_update(new: Json, old: Json) -> Causes:
    """Completions, selector and template of a Job are fixed."""
    after, before = new.get("spec") or {}, old.get("spec") or {}
    for name in ("completions", "selector", "completionMode", "template"):
        if after.get(name) == before.get(name):
            continue
        elastic = after.get("completionMode") == "Indexed" and after.get("parallelism") == after.get("completions")
        suspended = before.get("suspend") and not (old.get("status") or {}).get("startTime")
        if (name == "completions" and elastic) or (name == "template" and suspended):
            continue
        yield causes.invalid(f"spec.{name}", after.get(name), "field is immutable")


def check_cronjob(obj: Json) -> Causes:
    """What is wrong with a CronJob."""
    name, spec = objects.name_of(obj), obj.get("spec") or {}
    if len(name) > LONGEST_CRON_NAME:
        yield causes.invalid("metadata.name", name, f"must be no more than {LONGEST_CRON_NAME} characters")
    schedule = spec.get("schedule")
    if not schedule:
        yield causes.required("spec.schedule")
    else:
        try:
            cron.parse(str(schedule))
        except cron.ScheduleError as unreadable:
            yield causes.invalid("spec.schedule", schedule, str(unreadable))
    zone = spec.get("timeZone")
    if zone is not None:
        try:
            zoneinfo.ZoneInfo(zone)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            yield causes.invalid("spec.timeZone", zone, f"unknown time zone {zone}")
    if spec.get("concurrencyPolicy") not in _CONCURRENCY:
        yield causes.unsupported("spec.concurrencyPolicy", spec.get("concurrencyPolicy"), _CONCURRENCY)
    for field in ("startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        if (spec.get(field) or 0) < 0:
            yield causes.invalid(f"spec.{field}", spec[field], _NOT_NEGATIVE)
    yield from _check_job_spec((spec.get("jobTemplate") or {}).get("spec") or {}, "spec.jobTemplate.spec")
