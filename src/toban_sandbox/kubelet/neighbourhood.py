"""What the running pods of all nodes are to each other: who listens where, who is connected to whom."""

from collections.abc import Mapping
from typing import Any

from toban_sandbox import programs
from toban_sandbox.kube import store as stores
from toban_sandbox.kubelet import answers, needs, network, pod_run
from toban_sandbox.kubelet import container as containers

Json = dict[str, Any]
Runs = Mapping[tuple[str, str], pod_run.PodRun]


class Neighbourhood:
    """Answers the questions of programs about others."""

    def __init__(self, store: stores.ObjectStore, runs: Runs) -> None:
        self._store = store
        self._runs = runs
        self._targets: dict[tuple[str, str, str], Json | None] = {}
        self._targets_of = -1
        self.network = network.Network(store, self._listens)

    def run_of(self, pod: Json) -> pod_run.PodRun | None:
        found = self._runs.get((str(pod["metadata"].get("namespace")), str(pod["metadata"]["name"])))
        return found if found is not None and not found.ended else None

    def _listens(self, pod: Json, port: int) -> bool:
        run = self.run_of(pod)
        if run is None or run.frozen:
            return False
        return any(
            member.up and answers.listens(run.spec_of(member), member, port)
            for member in run.members
            if not member.init or member.sidecar
        )

    def _target(self, pod: Json, member: containers.Container, need: programs.Need) -> Json | None:
        """The pod that meets a need; looked up once for every state of the cluster."""
        if self._targets_of != self._store.revision:
            self._targets, self._targets_of = {}, self._store.revision
        key = (str(pod["metadata"]["uid"]), member.name, need.env)
        if key not in self._targets:
            self._targets[key] = needs.target_of(self, pod, member, need)
        return self._targets[key]

    def connections_before(self, pod: Json, source: Json) -> int:
        """Connections that a database has already, those of pods that came before `source`."""
        target = pod["metadata"]["name"], pod["metadata"].get("namespace")
        born = (source["metadata"]["creationTimestamp"], source["metadata"]["name"])
        total = 0
        for run in self._runs.values():
            other = run.pod
            came = (other["metadata"]["creationTimestamp"], other["metadata"]["name"])
            if run.ended or other["metadata"]["uid"] == source["metadata"]["uid"] or came > born:
                continue
            for member in run.members:
                for need in member.program.needs if member.program is not None and member.running else ():
                    if need.kind not in {"postgres", "mysql", "redis", "amqp"}:
                        continue
                    found = self._target(other, member, need)
                    if found is not None and (found["metadata"]["name"], found["metadata"].get("namespace")) == target:
                        total += need.connections
        return total
