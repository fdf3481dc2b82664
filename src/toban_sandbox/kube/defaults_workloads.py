"""What the API server fills in in StatefulSets, DaemonSets, Jobs, CronJobs and autoscalers."""

from collections.abc import Callable
from typing import Any

from toban_sandbox.kube.defaults_pods import put, template

Json = dict[str, Any]

JOB_NAME, JOB_UID = "batch.kubernetes.io/job-name", "batch.kubernetes.io/controller-uid"
_CPU_SHARE = 80


def _statefulset(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    put(spec, replicas=1, podManagementPolicy="OrderedReady", revisionHistoryLimit=10, updateStrategy={})
    put(spec["updateStrategy"], type="RollingUpdate")
    if spec["updateStrategy"]["type"] == "RollingUpdate":
        put(spec["updateStrategy"], rollingUpdate={})
        put(spec["updateStrategy"]["rollingUpdate"], partition=0)
    put(spec, persistentVolumeClaimRetentionPolicy={})
    put(spec["persistentVolumeClaimRetentionPolicy"], whenDeleted="Retain", whenScaled="Retain")
    for claim in spec.get("volumeClaimTemplates") or ():
        put(claim, apiVersion="v1", kind="PersistentVolumeClaim", spec={}, status={"phase": "Pending"})
        put(claim["spec"], volumeMode="Filesystem")
    template(spec)


def _daemonset(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    put(spec, revisionHistoryLimit=10, updateStrategy={})
    put(spec["updateStrategy"], type="RollingUpdate")
    if spec["updateStrategy"]["type"] == "RollingUpdate":
        put(spec["updateStrategy"], rollingUpdate={})
        put(spec["updateStrategy"]["rollingUpdate"], maxSurge=0, maxUnavailable=1)
    template(spec)


def _job(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    put(spec, parallelism=1, backoffLimit=6, completionMode="NonIndexed", suspend=False, manualSelector=False)
    put(spec, podReplacementPolicy="TerminatingOrFailed")
    template(spec)
    uid = obj["metadata"].get("uid")
    if uid and not spec["manualSelector"] and spec.get("selector") is None and isinstance(spec.get("template"), dict):
        _select_own_pods(obj, str(uid))


def _select_own_pods(job: Json, uid: str) -> None:
    name = job["metadata"].get("name", "")
    marks = {JOB_UID: uid, JOB_NAME: name, "controller-uid": uid, "job-name": name}
    meta = job["spec"]["template"]["metadata"]
    meta["labels"] = {**(meta.get("labels") or {}), **marks}
    if not job["metadata"].get("labels"):
        job["metadata"]["labels"] = dict(meta["labels"])
    job["spec"]["selector"] = {"matchLabels": {JOB_UID: uid}}


def _cronjob(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    put(spec, concurrencyPolicy="Allow", suspend=False, successfulJobsHistoryLimit=3, failedJobsHistoryLimit=1)
    job = spec.get("jobTemplate")
    if isinstance(job, dict):
        put(job, metadata={}, spec={})
        template(job["spec"])


def _autoscaler(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    put(spec, minReplicas=1)
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": _CPU_SHARE}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    put(obj, status={"currentReplicas": 0, "desiredReplicas": 0, "currentMetrics": None})
    if obj["status"].get("currentMetrics", 0) is None:
        del obj["status"]["currentMetrics"]


FILLERS: dict[str, Callable[[Json], None]] = {
    "StatefulSet": _statefulset,
    "DaemonSet": _daemonset,
    "Job": _job,
    "CronJob": _cronjob,
    "HorizontalPodAutoscaler": _autoscaler,
}
