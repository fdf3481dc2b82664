"""Jobs: pods that are to end, so many at a time, until enough have succeeded or too many have failed."""

from collections.abc import Sequence
from typing import Any

from toban_sandbox.controllers import job_status, loop, pods
from toban_sandbox.kube import deletion, errors, events, kinds, objects
from toban_sandbox.kube import store as stores

Json = dict[str, Any]

INDEX = "batch.kubernetes.io/job-completion-index"
BACKOFF_S, LONGEST_BACKOFF_S = 2.0, 20.0


class JobController(loop.Controller):
    """Runs every Job's pods and keeps count of their ends."""

    resources = ("jobs", "pods")

    def __init__(self, store: stores.ObjectStore) -> None:
        super().__init__(store)
        self._events = events.Recorder(store, "job-controller")
        self._counted: dict[str, set[str]] = {}

    def observe(self, change: stores.Change) -> None:
        if change.resource == "jobs":
            if change.type == stores.DELETED:
                self._counted.pop(change.obj["metadata"]["uid"], None)
            self.queue.add(loop.key_of(change.obj))
            return
        key = pods.owner_key(change.obj, "Job")
        if key is None:
            return
        if change.type == stores.DELETED and not objects.is_finished(change.obj):
            self._count_lost(key, change.obj)
        self.queue.add(key)

    def _count_lost(self, key: loop.ObjectKey, pod: Json) -> None:
        """A pod that was taken away before its end has failed, unless the Job itself took it away."""
        job = self.store.get("jobs", *key)
        if job is None or objects.is_terminating(job) or job["spec"].get("suspend") or job_status.is_over(job):
            return
        counted = self._counted.setdefault(job["metadata"]["uid"], set())
        if pod["metadata"]["uid"] not in counted and not job_status.is_failing(job):
            counted.add(pod["metadata"]["uid"])
            status = job.get("status") or {}
            lost = status | {"failed": status.get("failed", 0) + 1}
            self.store.update("jobs", job | {"status": lost}, subresource="status")

    def sync(self, key: loop.ObjectKey) -> None:
        job = self.store.get("jobs", *key)
        if job is None or objects.is_terminating(job):
            return
        if job_status.is_over(job):
            self._expire(job)
            return
        found = pods.owned(self.store, job)
        job = self._count(job, found)
        active = [pod for pod in found if pods.is_active(pod)]
        job = self._decide(job, found)
        if job_status.is_failing(job) or job_status.is_enough(job):
            self._finish(job, active, going=any(not objects.is_finished(pod) for pod in found))
        elif job["spec"].get("suspend"):
            self._suspend(job, active)
        else:
            self._run(job, active, found)
        self._report(key)

    def _count(self, job: Json, found: Sequence[Json]) -> Json:
        """Add the pods that have ended since the last look."""
        counted = self._counted.setdefault(job["metadata"]["uid"], set())
        fresh = [pod for pod in found if objects.is_finished(pod) and pod["metadata"]["uid"] not in counted]
        if not fresh:
            return job
        status = dict(job.get("status") or {})
        for pod in fresh:
            counted.add(pod["metadata"]["uid"])
            good = pod["status"]["phase"] == "Succeeded"
            if good and job["spec"]["completionMode"] == "Indexed":
                done = job_status.indexes(status) | {int(objects.annotations(pod).get(INDEX, 0))}
                status |= {"completedIndexes": job_status.index_text(done), "succeeded": len(done)}
            else:
                name = "succeeded" if good else "failed"
                status[name] = status.get(name, 0) + 1
        return self.store.update("jobs", job | {"status": status}, subresource="status")

    def _decide(self, job: Json, found: Sequence[Json]) -> Json:
        """Note that the Job is as good as done, or lost."""
        if job_status.is_failing(job) or job_status.is_enough(job):
            return job
        status = job.get("status") or {}
        target: tuple[str, str, str] | None = None
        limit = int(job["spec"].get("backoffLimit", 6))
        if _failures(job, found) > limit:
            reason = "BackoffLimitExceeded"
            target = "FailureTarget", reason, "Job has reached the specified backoff limit"
        elif self._is_late(job):
            target = "FailureTarget", "DeadlineExceeded", "Job was active longer than specified deadline"
        elif job_status.has_succeeded(job, found):
            target = "SuccessCriteriaMet", "CompletionsReached", "Reached expected number of succeeded pods"
        if target is None:
            return job
        status = job_status.with_condition(status, target[0], "True", (target[1], target[2]), self.clock.now())
        return self.store.update("jobs", job | {"status": status}, subresource="status")

    def _is_late(self, job: Json) -> bool:
        deadline, started = job["spec"].get("activeDeadlineSeconds"), (job.get("status") or {}).get("startTime")
        if deadline is None or not started or job["spec"].get("suspend"):
            return False
        left = objects.parse_time(started).timestamp() + float(deadline) - self.clock.time()
        if left > 0:
            self.queue.add_after(loop.key_of(job), left)
        return left <= 0

    def _finish(self, job: Json, active: Sequence[Json], *, going: bool) -> None:
        """End what still runs; when all is over, say how it ended."""
        for pod in active:
            self._delete(job, pod)
        if going:
            return
        target = objects.condition(job, "FailureTarget") or objects.condition(job, "SuccessCriteriaMet") or {}
        failed = target.get("type") == "FailureTarget"
        now = self.clock.now()
        words = (str(target.get("reason", "")), str(target.get("message", "")))
        status = job_status.with_condition(
            job.get("status") or {}, "Failed" if failed else "Complete", "True", words, now
        )
        if not failed:
            status["completionTime"] = objects.timestamp(now)
        self.store.update("jobs", job | {"status": status}, subresource="status")
        if failed:
            self._events.warning(job, *words)
        else:
            self._events.normal(job, "Completed", "Job completed")

    def _suspend(self, job: Json, active: Sequence[Json]) -> None:
        for pod in active:
            self._delete(job, pod)
        if not objects.is_true(job, "Suspended"):
            words = ("JobSuspended", "Job suspended")
            now = self.clock.now()
            status = job_status.with_condition(job.get("status") or {}, "Suspended", "True", words, now)
            status.pop("startTime", None)
            self.store.update("jobs", job | {"status": status}, subresource="status")
            self._events.normal(job, "Suspended", "Job suspended")

    def _run(self, job: Json, active: list[Json], found: Sequence[Json]) -> None:
        status = job.get("status") or {}
        now = self.clock.now()
        if not status.get("startTime"):
            if objects.condition(job, "Suspended") is not None:
                words = ("JobResumed", "Job resumed")
                status = job_status.with_condition(status, "Suspended", "False", words, now)
                self._events.normal(job, "Resumed", "Job resumed")
            status = status | {"startTime": objects.timestamp(now)}
            job = self.store.update("jobs", job | {"status": status}, subresource="status")
            self._is_late(job)
        wanted = job_status.wanted_active(job, active)
        for pod in active[wanted:]:
            self._delete(job, pod)
        missing = wanted - len(active)
        if missing <= 0:
            return
        wait = self._backoff(found)
        if wait > 0:
            self.queue.add_after(loop.key_of(job), wait)
            return
        free = self._free_indexes(job, active)
        for _ in range(missing):
            self._create(job, next(free, None))

    def _backoff(self, found: Sequence[Json]) -> float:
        """Seconds to wait before the next pod: longer after each failure in a row."""
        ends = sorted(_ended_at(pod) for pod in found if (pod.get("status") or {}).get("phase") == "Failed")
        if not ends:
            return 0.0
        wait = min(BACKOFF_S * 2.0 ** min(len(ends) - 1, 10), LONGEST_BACKOFF_S)
        return float(ends[-1] + wait - self.clock.time())

    def _free_indexes(self, job: Json, active: Sequence[Json]) -> "_Indexes":
        if job["spec"]["completionMode"] != "Indexed":
            return _Indexes([])
        taken = {int(objects.annotations(pod).get(INDEX, -1)) for pod in active}
        done = job_status.indexes(job.get("status") or {})
        every = range(int(job["spec"].get("completions") or 1))
        return _Indexes([number for number in every if number not in taken | done])

    def _create(self, job: Json, index: int | None) -> None:
        pod = pods.from_template(job, job["spec"]["template"])
        if index is not None:
            pod["metadata"]["generateName"] = f"{objects.name_of(job)}-{index}-"
            pod["metadata"]["annotations"] = {**(pod["metadata"].get("annotations") or {}), INDEX: str(index)}
            pod["metadata"]["labels"] |= {INDEX: str(index)}
            pod["spec"]["hostname"] = f"{objects.name_of(job)}-{index}"
            for container in objects.all_containers(pod["spec"]):
                own = {"name": "JOB_COMPLETION_INDEX", "value": str(index)}
                container["env"] = [*(container.get("env") or []), own]
        try:
            created = self.store.create("pods", pod)
        except errors.ApiError as refused:
            self._events.warning(job, "FailedCreate", f"Error creating: {refused}")
            raise
        self._events.normal(job, "SuccessfulCreate", f"Created pod: {objects.name_of(created)}")

    def _delete(self, job: Json, pod: Json) -> None:
        pods.delete(self.store, pod)
        self._events.normal(job, "SuccessfulDelete", f"Deleted pod: {objects.name_of(pod)}")

    def _report(self, key: loop.ObjectKey) -> None:
        job = self.store.get("jobs", *key)
        if job is None:
            return
        found = pods.owned(self.store, job)
        active = [pod for pod in found if pods.is_active(pod)]
        status = {name: value for name, value in (job.get("status") or {}).items() if name != "active"}
        if active:
            status["active"] = len(active)
        status["ready"] = sum(1 for pod in active if objects.is_true(pod, "Ready"))
        going = [pod for pod in found if objects.is_terminating(pod) and not objects.is_finished(pod)]
        status["terminating"] = len(going)
        status["uncountedTerminatedPods"] = {}
        self.store.update("jobs", job | {"status": status}, subresource="status")

    def _expire(self, job: Json) -> None:
        ttl = job["spec"].get("ttlSecondsAfterFinished")
        if ttl is None:
            return
        over = objects.condition(job, "Complete") or objects.condition(job, "Failed") or {}
        left = objects.parse_time(over["lastTransitionTime"]).timestamp() + float(ttl) - self.clock.time()
        if left > 0:
            self.queue.add_after(loop.key_of(job), left)
        else:
            deletion.delete(self.store, kinds.stored("jobs"), job, deletion.Options(policy="Foreground"))


class _Indexes:
    """The completion indexes to be given out, one after the other."""

    def __init__(self, numbers: list[int]) -> None:
        self._numbers = numbers

    def __iter__(self) -> "_Indexes":
        return self

    def __next__(self) -> int:
        if not self._numbers:
            raise StopIteration
        return self._numbers.pop(0)


def _failures(job: Json, found: Sequence[Json]) -> int:
    """Pods that failed, and restarts of containers where the pods themselves start again."""
    failed = int((job.get("status") or {}).get("failed", 0))
    if job["spec"]["template"]["spec"].get("restartPolicy") == "OnFailure":
        for pod in found:
            if pods.is_active(pod):
                statuses = (pod.get("status") or {}).get("containerStatuses") or ()
                failed += sum(int(one.get("restartCount") or 0) for one in statuses)
    return failed


def _ended_at(pod: Json) -> float:
    ends = [
        (one.get("state") or {}).get("terminated", {}).get("finishedAt")
        for one in (pod.get("status") or {}).get("containerStatuses") or ()
    ]
    latest = max((one for one in ends if one), default=pod["metadata"]["creationTimestamp"])
    return objects.parse_time(latest).timestamp()
