"""The kubelet of all nodes: runs every pod that has a node, shares the load among those that serve, and keeps the logs.

Started by the world; the API asks it for logs, the metrics for usage. How one pod lives is `pod_run`'s matter.
"""

import random
from collections.abc import AsyncIterator
from typing import Any

from toban_sandbox import clock as clocks
from toban_sandbox import programs as program_registry
from toban_sandbox.controllers import loop
from toban_sandbox.kube import errors, events, objects
from toban_sandbox.kube import store as stores
from toban_sandbox.kubelet import chatter, log_buffer, memory, pod_run, surroundings
from toban_sandbox.kubelet import container as containers
from toban_sandbox.kubelet import timing as timings

Json = dict[str, Any]
Workload = tuple[str, str]

IDLE_CORES = 0.003
DEFAULT_HOST = "10.0.0.10"
_LARGEST_OCTET = 254


class Kubelet(loop.Controller):
    """Runs the pods of every node."""

    resources = ("pods", "configmaps", "secrets")

    def __init__(
        self,
        store: stores.ObjectStore,
        programs: program_registry.Programs,
        load: program_registry.Load,
        clock: clocks.Clock,
        *,
        seed: int = 0,
        timing: timings.Timing | None = None,
    ) -> None:
        super().__init__(store)
        self.clock = clock
        self._registry = programs
        self._load = load
        self._timing = timing or timings.Timing()
        self._random = random.Random(seed)  # noqa: S311 -- addresses and ids, repeatable on purpose
        self._runs: dict[loop.ObjectKey, pod_run.PodRun] = {}
        self._recorders: dict[str, events.Recorder] = {}
        self._serving: dict[Workload, set[loop.ObjectKey]] = {}
        self._addresses: dict[str, int] = {}
        load.subscribe(lambda namespace, workload: self.queue.add(("load", namespace, workload)))

    def observe(self, change: stores.Change) -> None:
        if change.resource == "pods":
            if change.obj["spec"].get("nodeName"):
                self.queue.add(("pod", *loop.key_of(change.obj)))
        elif change.type != stores.DELETED:
            self.queue.add(("config", *loop.key_of(change.obj)))

    def sync(self, key: tuple[str, str, str]) -> None:
        what, namespace, name = key
        if what == "pod":
            self._sync_pod((namespace, name))
        elif what == "load":
            self._share((namespace, name))
        else:
            for run in list(self._runs.values()):
                if run.key[0] == namespace and not run.ended and not run.terminating:
                    run.retry_config()

    def _sync_pod(self, key: loop.ObjectKey) -> None:
        pod, run = self.store.get("pods", *key), self._runs.get(key)
        if run is not None and (pod is None or pod["metadata"]["uid"] != run.uid):
            del self._runs[key]
            run.stop()
            run = None
        if pod is None:
            return
        if run is not None:
            run.observe(pod)
        elif objects.is_terminating(pod):
            self.store.delete("pods", *key)
        elif not objects.is_finished(pod):
            host, workload = self._host(pod["spec"]["nodeName"]), self.workload_of(pod)
            run = pod_run.PodRun(pod, host, workload=workload, serving_changed=self._serving_changed)
            self._runs[key] = run
            run.begin()

    def _host(self, node: str) -> surroundings.Host:
        recorder = self._recorders.get(node)
        if recorder is None:
            recorder = self._recorders[node] = events.Recorder(self.store, "kubelet", host=node)
        found = self.store.get("nodes", None, node) or {}
        addresses = (found.get("status") or {}).get("addresses") or ()
        address = next((one["address"] for one in addresses if one.get("type") == "InternalIP"), DEFAULT_HOST)
        return surroundings.Host(
            self.store,
            self._registry,
            self._timing,
            self._random,
            recorder,
            str(address),
            lambda: self._pod_address(node),
        )

    def _pod_address(self, node: str) -> str:
        """The next free address of the node's range."""
        found = self.store.get("nodes", None, node) or {}
        network = str((found.get("spec") or {}).get("podCIDR") or "10.244.0.0/24").rpartition(".")[0]
        taken = {run.address for run in self._runs.values()}
        for _ in range(_LARGEST_OCTET):
            last = self._addresses.get(node, 1) % _LARGEST_OCTET + 1
            self._addresses[node] = last
            if f"{network}.{last}" not in taken:
                break
        return f"{network}.{last}"

    def _serving_changed(self, run: pod_run.PodRun) -> None:
        workload = run.workload
        serving = self._serving.setdefault(workload, set())
        if run.serving:
            serving.add(run.key)
        else:
            serving.discard(run.key)
        self.queue.add(("load", *workload))

    def _share(self, workload: Workload) -> None:
        """Let every pod of a workload head for the memory that its share of the load needs."""
        now = self.clock.time()
        for run in list(self._runs.values()):
            if run.ended or run.workload != workload:
                continue
            share = self._share_of(run)
            for member in run.members:
                if member.memory is None or member.program is None or run.wishes.memory_bytes is not None:
                    continue
                target = member.program.memory_base_bytes + member.program.memory_per_rps_bytes * share
                if target != member.memory.target:
                    member.memory.aim(target, now)
                    run.lives[member.name].watch_memory()

    def _share_of(self, run: pod_run.PodRun) -> float:
        serving = self._serving.get(run.workload, set())
        return self._load.rps(*run.workload) / len(serving) if run.key in serving else 0.0

    def workload_of(self, pod: Json) -> Workload:
        """Namespace and name of what a pod belongs to in the end: its Deployment, another owner, or itself."""
        namespace = str(pod["metadata"]["namespace"])
        owner = objects.controller_of(pod)
        if owner is None:
            return namespace, objects.name_of(pod)
        if owner["kind"] == "ReplicaSet":
            replicaset = self.store.get("replicasets", namespace, owner["name"])
            above = objects.controller_of(replicaset) if replicaset is not None else None
            if above is not None:
                return namespace, str(above["name"])
        return namespace, str(owner["name"])

    def usage(self, namespace: str, pod: str) -> dict[str, memory.Usage]:
        """What each running container of a pod uses now; empty when the pod does not run."""
        run = self._runs.get((namespace, pod))
        if run is None:
            return {}
        share = self._share_of(run)
        now = self.clock.time()
        found = {}
        for member in run.members:
            if member.memory is not None and member.program is not None:
                cores = IDLE_CORES + share / max(member.program.capacity_rps, 1.0)
                limit = containers.cpu_limit(run.spec_of(member))
                used = cores if limit is None else min(cores, limit)
                found[member.name] = memory.Usage(int(member.memory.at(now)), used)
        return found

    def logs(  # noqa: PLR0913 -- the parameters of the API's own log request
        self,
        namespace: str,
        pod: str,
        container: str | None,
        *,
        previous: bool = False,
        tail: int | None = None,
        since_seconds: float | None = None,
        timestamps: bool = False,
    ) -> list[str]:
        """A container's lines, oldest first; ApiError 400 or 404 in Kubernetes' words when there are none."""
        run, member = self._find(namespace, pod, container)
        buffer = self._buffer(run, member, previous=previous)
        since = None if since_seconds is None else self.clock.time() - since_seconds
        return [line.shown(timestamps=timestamps) for line in buffer.lines(tail=tail, since=since)]

    def follow(
        self, namespace: str, pod: str, container: str | None, *, timestamps: bool = False
    ) -> AsyncIterator[str]:
        """A container's lines from now on, until it ends."""
        run, member = self._find(namespace, pod, container)
        chatter.keep_talking(run, member)
        return _shown(self._buffer(run, member, previous=False).follow(), timestamps=timestamps)

    def _find(self, namespace: str, pod: str, container: str | None) -> tuple[pod_run.PodRun, containers.Container]:
        stored = self.store.get("pods", namespace, pod)
        if stored is None:
            raise errors.not_found(errors.About("pods"), pod)
        names = [one["name"] for one in objects.all_containers(stored["spec"])]
        if container is None:
            main = [one["name"] for one in stored["spec"]["containers"]]
            if len(main) > 1:
                listed = " ".join(main)
                text = f"a container name must be specified for pod {pod}, choose one of: [{listed}]"
                raise errors.bad_request(text)
            container = main[0]
        if container not in names:
            raise errors.bad_request(f"container {container} is not valid for pod {pod}")
        run = self._runs.get((namespace, pod))
        if run is None:
            if not stored["spec"].get("nodeName"):
                raise errors.bad_request(f"pod {pod} does not have a host assigned")
            raise errors.bad_request(f'container "{container}" in pod "{pod}" is waiting to start: ContainerCreating')
        return run, next(member for member in run.members if member.name == container)

    def _buffer(self, run: pod_run.PodRun, member: containers.Container, *, previous: bool) -> log_buffer.LogBuffer:
        if previous:
            if member.previous_log is None or not member.restarts:
                text = f'previous terminated container "{member.name}" in pod "{run.key[1]}" not found'
                raise errors.bad_request(text)
            return member.previous_log
        if not member.running and member.previous_log is None:
            reason = member.waiting_for or containers.CREATING
            about = f'container "{member.name}" in pod "{run.key[1]}" is waiting to start: {reason}'
            if reason in {containers.PULL_ERROR, containers.PULL_BACKOFF}:
                about = (
                    f'container "{member.name}" in pod "{run.key[1]}" is waiting to start: '
                    "trying and failing to pull image"
                )
            raise errors.bad_request(about)
        chatter.catch_up(run, member)
        return member.log


async def _shown(lines: AsyncIterator[log_buffer.Line], *, timestamps: bool) -> AsyncIterator[str]:
    async for line in lines:
        yield line.shown(timestamps=timestamps)
