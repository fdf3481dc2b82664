"""The kubelet of all nodes: runs every pod that has a node, shares the load among those that serve, and keeps the logs.

Started by the world; the API asks it for logs, the metrics for usage. How one pod lives is `pod_run`'s matter.
"""

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from toban_sandbox import clock as clocks
from toban_sandbox import programs as program_registry
from toban_sandbox.controllers import loop
from toban_sandbox.kube import errors, objects
from toban_sandbox.kube import store as stores
from toban_sandbox.kubelet import (
    chatter,
    log_buffer,
    machines,
    memory,
    neighbourhood,
    network,
    pod_run,
    pressure,
    surroundings,
)
from toban_sandbox.kubelet import container as containers
from toban_sandbox.kubelet import timing as timings

Json = dict[str, Any]
Workload = tuple[str, str]

IDLE_CORES = 0.003
_NETWORK = {"services", "endpointslices", "networkpolicies"}
DEFAULT_HOST = "10.0.0.10"
_LARGEST_OCTET = 254


@dataclass(frozen=True)
class Health:
    """How well a pod does: `errors` of needs that are not met, `saturation` as a share of what it can serve.

    `throttled` is how many times as much processor it wants as it gets; its answers take that much longer.
    """

    up: bool
    errors: tuple[str, ...]
    saturation: float
    throttled: float


class Kubelet(loop.Controller):
    """Runs the pods of every node."""

    resources = (
        *("pods", "configmaps", "secrets", "nodes", "persistentvolumeclaims"),
        *("services", "endpointslices", "networkpolicies"),
    )

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
        self._images: dict[str, set[str]] = {}
        self._around = neighbourhood.Neighbourhood(store, self._runs)
        self.machines = machines.Machines(store, changed=self._machine_changed)
        self._serving: dict[Workload, set[loop.ObjectKey]] = {}
        self._addresses: dict[str, int] = {}
        self._low: dict[str, str] = {}
        load.subscribe(lambda namespace, workload: self.queue.add(("load", namespace, workload)))
        programs.subscribe(self._program_changed)

    async def run(self) -> None:
        """Work until cancelled."""
        self.machines.begin(self._timing.heartbeat_s, self._relieve)
        try:
            await super().run()
        finally:
            self.machines.end()

    def observe(self, change: stores.Change) -> None:
        if change.resource == "pods":
            if change.obj["spec"].get("nodeName"):
                self.queue.add(("pod", *loop.key_of(change.obj)))
        elif change.resource == "nodes":
            self.machines.observe(change)
            if change.type == stores.DELETED:
                self.queue.add(("node", "", objects.name_of(change.obj)))
        elif change.resource in _NETWORK:
            self.queue.add(("around", "", ""))
        elif change.type != stores.DELETED:
            self.queue.add(("config", *loop.key_of(change.obj)))

    def sync(self, key: tuple[str, str, str]) -> None:
        what, namespace, name = key
        if what == "pod":
            self._sync_pod((namespace, name))
        elif what == "load":
            self._share((namespace, name))
        elif what == "around":
            self._look_around()
        elif what == "node":
            self._lose_node(name)
        else:
            for run in list(self._runs.values()):
                if run.key[0] == namespace and not run.ended and not run.terminating:
                    run.retry_config()

    def _look_around(self) -> None:
        """Let every program that needs others see what it gets from them now."""
        for run in list(self._runs.values()):
            if not run.ended and not run.terminating and not self.machines.is_silent(run.node):
                for life in run.lives.values():
                    life.look_around()

    def _program_changed(self, program: program_registry.Program) -> None:
        """The software of an image behaves differently from now on, where it runs already too."""
        for run in list(self._runs.values()):
            for member in run.members:
                if member.program is not None and member.program.image == program.image:
                    member.program = program
                    run.lives[member.name].wake()
            self.queue.add(("load", *run.workload))
        self.queue.add(("around", "", ""))

    # -- nodes ----------------------------------------------------------------------------------------------------
    def _machine_changed(self, node: str, before: str, after: str) -> None:
        silent = {machines.KUBELET_STOPPED, machines.DOWN}
        for key, run in list(self._runs.items()):
            if run.node != node or run.ended:
                continue
            if after in silent:
                run.freeze(running=after != machines.DOWN)
            elif before in silent:
                run.thaw()
                self.queue.add(("pod", *key))
        if before in silent and after not in silent:
            for pod in self.store.list("pods"):
                if pod["spec"].get("nodeName") == node:
                    self.queue.add(("pod", *loop.key_of(pod)))
        self.queue.add(("around", "", ""))

    def _lose_node(self, node: str) -> None:
        """The node object is gone, and its containers with it."""
        if self.store.get("nodes", None, node) is None:
            for run in list(self._runs.values()):
                if run.node == node:
                    run.stop()

    def _relieve(self) -> None:
        """Evict pods that use more than they may, or more than their node has."""
        now = self.clock.time()
        by_node: dict[str, list[pod_run.PodRun]] = {}
        for run in list(self._runs.values()):
            if run.ended or run.terminating or self.machines.is_silent(run.node):
                continue
            why = pressure.over_own_limits(run, now)
            if why:
                run.evict(why)
            else:
                by_node.setdefault(run.node, []).append(run)
        for node, runs in by_node.items():
            self._relieve_node(node, runs, now)

    def _relieve_node(self, name: str, runs: list[pod_run.PodRun], now: float) -> None:
        node = self.store.get("nodes", None, name)
        if node is None:
            return
        fault = self.machines.fault(name)
        low = fault if fault in {machines.MEMORY, machines.DISK} else pressure.low_on(node, runs, now)
        if low != fault and (low or self._low.get(name)):
            self.machines.report(name, {low} if low else set())
        self._low[name] = low
        found = pressure.victim(runs, low, now) if low else None
        if found is not None:
            resource = "memory" if low == machines.MEMORY else "ephemeral-storage"
            text = f"Attempting to reclaim {resource}"
            self.machines.recorder(name).warning(node, "EvictionThresholdMet", text)
            found[0].evict(found[1])

    # -- pods -----------------------------------------------------------------------------------------------------
    def _sync_pod(self, key: loop.ObjectKey) -> None:
        pod, run = self.store.get("pods", *key), self._runs.get(key)
        if pod is not None and self.machines.is_silent(pod["spec"]["nodeName"]):
            return
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
        recorder = self.machines.recorder(node)
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
            self._around,
            self._images.setdefault(node, set()),
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
            share = run.share_rps = self._share_of(run)
            for member in run.members:
                if member.program is not None and member.program.hangs_overloaded:
                    run.lives[member.name].wake()
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
        between = {"ReplicaSet": "replicasets", "Job": "jobs"}.get(owner["kind"])
        found = self.store.get(between, namespace, owner["name"]) if between else None
        above = objects.controller_of(found) if found is not None else None
        return namespace, str((above or owner)["name"])

    @property
    def network(self) -> network.Network:
        """The cluster's network as pods see it."""
        return self._around.network

    def health(self, namespace: str, pod: str) -> Health | None:
        """How well a pod's programs do now; None when the pod does not run."""
        run = self._runs.get((namespace, pod))
        if run is None or run.ended:
            return None
        members = [member for member in run.members if not member.init and member.program is not None]
        busiest = max(
            (run.share_rps / max(one.program.capacity_rps, 1.0) for one in members if one.program), default=0.0
        )
        return Health(
            up=bool(members) and not run.frozen and all(member.up for member in members),
            errors=tuple(trouble.error for member in members for trouble in member.troubles),
            saturation=busiest,
            throttled=max((self._throttling(run, member) for member in members), default=1.0),
        )

    def _throttling(self, run: pod_run.PodRun, member: containers.Container) -> float:
        """How many times as much processor a container wants as its limit gives it, at least 1."""
        limit = containers.cpu_limit(run.spec_of(member))
        if limit is None or member.program is None or limit <= 0:
            return 1.0
        return max(1.0, (IDLE_CORES + run.share_rps * member.program.core_seconds) / limit)

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
                cores = IDLE_CORES + share * member.program.core_seconds
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
