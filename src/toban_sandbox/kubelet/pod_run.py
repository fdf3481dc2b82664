"""One pod on its node: volumes, images, starts, probes, crashes, restarts and the end, moved along by timers.

Made by the agent for every pod that has a node. It writes the pod's status and events; what a program needs in memory
comes from the agent, which knows the load.
"""

from collections.abc import Callable
from typing import Any

from toban_sandbox.kube import errors, objects
from toban_sandbox.kubelet import answers, lifecycle, mounts, status, surroundings, wishes
from toban_sandbox.kubelet import container as containers

Json = dict[str, Any]


class PodRun:
    """The life of one pod."""

    def __init__(
        self,
        pod: Json,
        host: surroundings.Host,
        *,
        workload: tuple[str, str],
        serving_changed: Callable[["PodRun"], None],
    ) -> None:
        self._serving_changed = serving_changed
        self.host = host
        self.workload = workload
        self.clock = host.store.clock
        self.key = (str(pod["metadata"]["namespace"]), str(pod["metadata"]["name"]))
        self.uid = str(pod["metadata"]["uid"])
        self.pod = pod
        self.node = str(pod["spec"].get("nodeName") or "")
        self.wishes = wishes.of_pod(pod)
        self.started = objects.timestamp(self.clock.now())
        self.address = ""
        self.ended = False
        self.terminating = False
        self._mount_tries = 0
        self._was_serving = False
        self._final: Json | None = None
        self._prepared: set[str] = set()
        self.share_rps = 0.0
        self.frozen = False
        first = containers.INITIALIZING if pod["spec"].get("initContainers") else containers.CREATING
        initial = [self._member(one, init=True, reason=first) for one in pod["spec"].get("initContainers") or ()]
        main = [self._member(one, init=False, reason=first) for one in pod["spec"].get("containers") or ()]
        self.members = [*initial, *main]
        self.lives = {member.name: lifecycle.Life(self, member) for member in self.members}

    def _member(self, spec: Json, *, init: bool, reason: str) -> containers.Container:
        made = containers.Container(spec["name"], spec["image"], init, {"waiting": {"reason": reason}})
        made.sidecar = init and spec.get("restartPolicy") == "Always"
        return made

    def spec_of(self, member: containers.Container) -> Json:
        """A container's specification as it is now."""
        group = "initContainers" if member.init else "containers"
        return objects.by_name(self.pod["spec"].get(group) or (), member.name) or {}

    def field_path(self, member: containers.Container) -> str:
        return f"spec.{'initContainers' if member.init else 'containers'}{{{member.name}}}"

    @property
    def described(self) -> str:
        """The pod as messages name it."""
        return f"{self.key[1]}_{self.key[0]}({self.uid})"

    @property
    def serving(self) -> bool:
        """Whether the pod takes requests."""
        if self.ended or self.terminating:
            return False
        return not self.frozen and all(member.ready for member in self.members if not member.init or member.sidecar)

    def begin(self) -> None:
        """Mount the volumes and go on, or try again later."""
        if self.ended or self.terminating:
            return
        missing = list(mounts.faults(self.host.store, self.pod))
        if missing:
            for fault in missing:
                self.host.recorder.warning(self.pod, fault.reason, fault.text)
            self._mount_tries += 1
            wait = self.host.timing.retry_s * 2 ** min(self._mount_tries - 1, 4)
            self.lives[self.members[0].name].later("mount", wait, self.begin)
            self.publish()
            return
        if not self.address:
            self.address = self.host.new_pod_address()
            deadline = self.pod["spec"].get("activeDeadlineSeconds")
            if deadline is not None:
                self.clock.call_later(float(deadline), self._overrun)
        self._mount_tries = 0
        self.start_next()
        self.publish()

    def start_next(self) -> None:
        """Start the next initialising container, or all others when those are done."""
        for member in self.members:
            if member.init and not member.done:
                self._prepare(member)
                return
        for member in self.members:
            if not member.init:
                self._prepare(member)

    def _prepare(self, member: containers.Container) -> None:
        if member.name in self._prepared or member.waiting_for not in {containers.INITIALIZING, containers.CREATING}:
            return
        self._prepared.add(member.name)
        if not member.init:
            member.wait(containers.CREATING)
        self.lives[member.name].prepare()

    def retry_config(self) -> None:
        """Something that was missing may be there now: look again at once."""
        if not self.address:
            self.begin()
            return
        for member in self.members:
            if member.waiting_for == containers.CONFIG_ERROR:
                self.lives[member.name].prepare()

    def observe(self, pod: Json) -> None:
        """Take in the pod as it is stored now: a wish to go, or another image."""
        self.pod = pod
        if objects.is_terminating(pod):
            self.terminate()
            return
        for member in self.members:
            image = self.spec_of(member).get("image", member.image)
            if image != member.image and not self.ended:
                member.image = image
                self.lives[member.name].replace_image()

    def terminate(self) -> None:
        """Stop the containers within the time they are given, then let the pod be forgotten."""
        if self.terminating:
            return
        self.terminating = True
        grace = float(self.pod["metadata"].get("deletionGracePeriodSeconds") or 0)
        running = [member for member in self.members if member.running]
        for member in self.members:
            member.cancel_timers()
        for member in running:
            text = f"Stopping container {member.name}"
            self.host.recorder.normal(self.pod, "Killing", text, field_path=self.field_path(member))
        self._tell_serving()
        needed = [self.host.timing.termination_s]
        needed += [member.program.stop_s for member in running if member.program and member.program.stop_s is not None]
        wait = min(max(needed), grace) if running else 0.0
        self.clock.call_later(wait, self._vanish)

    def _vanish(self) -> None:
        self.stop()
        current = self.host.store.get("pods", *self.key)
        if current is not None and current["metadata"]["uid"] == self.uid:
            self.host.store.delete("pods", *self.key)

    def stop(self) -> None:
        """End everything at once, without another word; the pod is gone or its node is."""
        self.ended = True
        for member in self.members:
            member.cancel_timers()
            member.log.close()
            member.memory = None
        self._tell_serving()

    def freeze(self, *, running: bool) -> None:
        """The node's kubelet does nothing any more; the containers go on or, with `running` false, are gone too."""
        self.frozen = not running
        for member in self.members:
            member.cancel_timers()
        self._tell_serving()

    def thaw(self) -> None:
        """The kubelet is back: what was under way goes on, what was lost is started again."""
        lost, self.frozen = self.frozen, False
        if self.ended or self.terminating:
            return
        if not self.address:
            self.begin()
            return
        for member in self.members:
            if member.running:
                self.lives[member.name].resume(lost=lost)
            elif member.name in self._prepared and not member.ended:
                self.lives[member.name].prepare()
        self.publish()

    def _overrun(self) -> None:
        """The pod has run for longer than it may."""
        if not self.ended and not self.terminating:
            text = "Pod was active on the node longer than the specified deadline"
            self.host.recorder.normal(self.pod, "DeadlineExceeded", text)
            self._fail("DeadlineExceeded", text)

    def evict(self, message: str) -> None:
        """Fail the whole pod because its node cannot bear it."""
        self.host.recorder.warning(self.pod, "Evicted", message)
        self._fail("Evicted", message)

    def _fail(self, reason: str, message: str) -> None:
        for member in self.members:
            if member.running:
                text = f"Stopping container {member.name}"
                self.host.recorder.normal(self.pod, "Killing", text, field_path=self.field_path(member))
                self.lives[member.name].end(137, "Error")
            member.cancel_timers()
        self._final = {"phase": "Failed", "reason": reason, "message": message}
        self.publish()

    def member_ended(self) -> None:
        """A container has ended for good: go on with the next, or end the pod."""
        main = [member for member in self.members if not member.init]
        if all(member.ended for member in main):
            self._end_sidecars()
        failed = any(member.ended and not member.done for member in self.members if member.init)
        if not failed:
            self.start_next()
        self.publish()

    def member_started(self) -> None:
        """A container runs, and has passed its first probe if it has one: the next may follow a sidecar."""
        if any(member.sidecar for member in self.members):
            self.start_next()

    def _end_sidecars(self) -> None:
        """The pod's work is done: what only kept it company ends too."""
        for member in self.members:
            if member.sidecar and member.running:
                self.lives[member.name].end(0, "Completed")

    def latency_ms(self, member: containers.Container) -> float:
        """How long an answer takes now; far too long when a program that hangs under load gets too much."""
        program = member.program
        if program is None:
            return 0.0
        if program.hangs_overloaded and self.share_rps > program.capacity_rps:
            return answers.OVERLOADED_MS
        return program.latency_ms

    def publish(self) -> None:
        """Write the pod's status, if it changed, and tell whether it serves."""
        current = self.host.store.get("pods", *self.key)
        if current is None or current["metadata"]["uid"] != self.uid:
            return
        self.pod = current
        now = objects.timestamp(self.clock.now())
        found = status.build(current, self.members, (self.address, self.host.address), started=self.started, now=now)
        if self._final is not None:
            found = status.failed(found, self._final, now)
        try:
            self.pod = self.host.store.update("pods", current | {"status": found}, subresource="status")
        except errors.ApiError:
            return
        self.ended = self.ended or found["phase"] in {"Succeeded", "Failed"}
        self._tell_serving()

    def _tell_serving(self) -> None:
        if self.serving != self._was_serving:
            self._was_serving = self.serving
            self._serving_changed(self)
