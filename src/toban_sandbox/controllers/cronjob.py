"""CronJobs: a Job at each moment of a schedule, with a short history of those that ended."""

import zoneinfo
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from toban_sandbox.controllers import job_status, loop
from toban_sandbox.kube import cron, deletion, errors, events, kinds, objects
from toban_sandbox.kube import store as stores

Json = dict[str, Any]

SCHEDULED_AT = "batch.kubernetes.io/cronjob-scheduled-timestamp"
MANY_MISSED = 100


class CronJobController(loop.Controller):
    """Starts every CronJob's Jobs in time."""

    resources = ("cronjobs", "jobs")

    def __init__(self, store: stores.ObjectStore) -> None:
        super().__init__(store)
        self._events = events.Recorder(store, "cronjob-controller")

    def observe(self, change: stores.Change) -> None:
        if change.resource == "cronjobs":
            self.queue.add(loop.key_of(change.obj))
            return
        owner = objects.controller_of(change.obj)
        if owner is not None and owner["kind"] == "CronJob":
            self.queue.add((change.obj["metadata"]["namespace"], owner["name"]))

    def sync(self, key: loop.ObjectKey) -> None:
        cronjob = self.store.get("cronjobs", *key)
        if cronjob is None:
            return
        jobs = [job for job in self.store.list("jobs", key[0]) if _owns(cronjob, job)]
        cronjob = self._look_at_ended(cronjob, jobs)
        self._tidy(cronjob, jobs)
        if objects.is_terminating(cronjob) or cronjob["spec"].get("suspend"):
            return
        try:
            schedule, zone = cron.parse(cronjob["spec"]["schedule"]), _zone(cronjob)
        except (cron.ScheduleError, zoneinfo.ZoneInfoNotFoundError) as unreadable:
            text = f"unparseable schedule: {cronjob['spec']['schedule']} : {unreadable}"
            self._events.warning(cronjob, "UnparseableSchedule", text)
            return
        self._start_due(cronjob, schedule, zone)
        following = schedule.after(self.clock.now().astimezone(zone))
        if following is not None:
            self.queue.add_after(key, max(0.0, following.timestamp() - self.clock.time()) + 0.01)

    def _look_at_ended(self, cronjob: Json, jobs: list[Json]) -> Json:
        """Strike out the active Jobs that have ended or gone."""
        status = dict(cronjob.get("status") or {})
        known = {job["metadata"]["uid"]: job for job in jobs}
        kept = []
        for reference in status.get("active") or ():
            job = known.get(reference["uid"])
            if job is None:
                text = f"Active job went missing: {reference['name']}"
                self._events.normal(cronjob, "MissingJob", text)
            elif not job_status.is_over(job):
                kept.append(reference)
            else:
                good = objects.is_true(job, "Complete")
                word = "Complete" if good else "Failed"
                text = f"Saw completed job: {objects.name_of(job)}, condition: {word}"
                self._events.normal(cronjob, "SawCompletedJob", text)
                if good:
                    ended = job["status"].get("completionTime")
                    status["lastSuccessfulTime"] = max(ended, status.get("lastSuccessfulTime", ""))
        status.pop("active", None)
        if kept:
            status["active"] = kept
        return self.store.update("cronjobs", cronjob | {"status": status}, subresource="status")

    def _tidy(self, cronjob: Json, jobs: list[Json]) -> None:
        """Forget the oldest Jobs that ended, beyond what the history is to keep."""
        spec = cronjob["spec"]
        for kind, limit in (("Complete", "successfulJobsHistoryLimit"), ("Failed", "failedJobsHistoryLimit")):
            ended = [job for job in jobs if objects.is_true(job, kind) and not objects.is_terminating(job)]
            ended.sort(key=lambda job: (job["status"].get("startTime") or "", objects.name_of(job)))
            for job in ended[: max(0, len(ended) - int(spec.get(limit, 1)))]:
                self._delete(cronjob, job)

    def _start_due(self, cronjob: Json, schedule: cron.Schedule, zone: tzinfo) -> None:
        now = self.clock.now()
        status = cronjob.get("status") or {}
        since = objects.parse_time(status.get("lastScheduleTime") or cronjob["metadata"]["creationTimestamp"])
        deadline = cronjob["spec"].get("startingDeadlineSeconds")
        if deadline is not None:
            since = max(since, now - timedelta(seconds=float(deadline)))
        due = cron.missed(schedule, since, now, zone=zone)
        if len(due) > MANY_MISSED:
            text = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
            self._events.warning(cronjob, "TooManyMissedTimes", text)
            # The newest moment still counts; the search starts anew shortly before now.
            due = cron.missed(schedule, now - timedelta(hours=1), now, zone=zone) or due
        if due:
            self._start(cronjob, due[-1])

    def _start(self, cronjob: Json, moment: datetime) -> None:
        active = list((cronjob.get("status") or {}).get("active") or ())
        policy = cronjob["spec"].get("concurrencyPolicy", "Allow")
        namespace = cronjob["metadata"]["namespace"]
        if active and policy == "Forbid":
            text = "Not starting job because prior execution is running and concurrency policy is Forbid"
            self._events.normal(cronjob, "JobAlreadyActive", text)
            self._note(cronjob, moment, active)
            return
        if active and policy == "Replace":
            for reference in active:
                job = self.store.get("jobs", namespace, reference["name"])
                if job is not None:
                    self._delete(cronjob, job)
            active = []
        name = f"{objects.name_of(cronjob)}-{int(moment.timestamp()) // 60}"
        if self.store.get("jobs", namespace, name) is None:
            try:
                job = self.store.create("jobs", _job(cronjob, name, moment))
            except errors.ApiError as refused:
                self._events.warning(cronjob, "FailedCreate", f"Error creating job: {refused}")
                raise
            self._events.normal(cronjob, "SuccessfulCreate", f"Created job {name}")
            active.append(objects.object_reference(job))
        self._note(cronjob, moment, active)

    def _note(self, cronjob: Json, moment: datetime, active: list[Json]) -> None:
        status = {**(cronjob.get("status") or {}), "lastScheduleTime": objects.timestamp(moment)}
        if active:
            status["active"] = active
        else:
            status.pop("active", None)
        self.store.update("cronjobs", cronjob | {"status": status}, subresource="status")

    def _delete(self, cronjob: Json, job: Json) -> None:
        deletion.delete(self.store, kinds.stored("jobs"), job, deletion.Options(policy="Background"))
        self._events.normal(cronjob, "SuccessfulDelete", f"Deleted job {objects.name_of(job)}")


def _owns(cronjob: Json, job: Json) -> bool:
    owner = objects.controller_of(job)
    return owner is not None and owner["uid"] == cronjob["metadata"]["uid"]


def _zone(cronjob: Json) -> tzinfo:
    name = cronjob["spec"].get("timeZone")
    return zoneinfo.ZoneInfo(name) if name else UTC


def _job(cronjob: Json, name: str, moment: datetime) -> Json:
    template = cronjob["spec"]["jobTemplate"]
    meta = template.get("metadata") or {}
    notes = {**(meta.get("annotations") or {}), SCHEDULED_AT: objects.timestamp(moment)}
    metadata: Json = {
        "name": name,
        "namespace": cronjob["metadata"]["namespace"],
        "annotations": notes,
        "ownerReferences": [objects.owner_reference(cronjob)],
    }
    if meta.get("labels"):
        metadata["labels"] = dict(meta["labels"])
    return {"metadata": metadata, "spec": objects.copy(template["spec"])}
