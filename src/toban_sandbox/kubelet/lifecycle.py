"""The life of one container: created when its needs are met, up after a while, probed, killed or crashed, restarted."""

import hashlib
from collections.abc import Callable
from typing import Any

from toban_sandbox import programs
from toban_sandbox.kube import objects, quantity
from toban_sandbox.kubelet import container as containers
from toban_sandbox.kubelet import (
    environment,
    images,
    log_buffer,
    memory,
    needs,
    probes,
    scripts,
    security,
    surroundings,
)

Json = dict[str, Any]

KILLED, MISSING_CONFIG, NOT_STARTED, UNKNOWN = 137, 1, 128, 255
EVICTED_AFTER_S = 2.0
JOB_S = 1.2


class Life:
    """Moves one container from state to state."""

    def __init__(self, run: surroundings.Pod, member: containers.Container) -> None:
        self._run = run
        self._member = member
        self._puller = images.Puller(run, member, self.later)
        self._prober = probes.Prober(run, member, self.later, kill=self._kill)
        self._config_tries = 0

    def later(self, name: str, seconds: float, callback: Callable[[], None]) -> None:
        """Call back after simulated seconds unless the container is stopped before; one timer a name."""
        known = self._member.timers.get(name)
        if known is not None:
            known.cancel()
        self._member.timers[name] = self._run.clock.call_later(seconds, callback)

    def cancel(self, name: str) -> None:
        timer = self._member.timers.pop(name, None)
        if timer is not None:
            timer.cancel()

    def prepare(self) -> None:
        """Pull the image, then create the container."""
        self.cancel("config")
        self._puller.pull(self._create)

    def replace_image(self) -> None:
        """The pod asks for another image: end what runs and begin with the new one."""
        self._puller.forget()
        if self._member.running:
            text = f"Container {self._member.name} definition changed, will be restarted"
            self._run.host.recorder.normal(self._run.pod, "Killing", text, field_path=self._path)
            self.end(0, "Completed")
            self._member.restarts += 1
        self._member.cancel_timers()
        self._member.wait(containers.CREATING)
        self.prepare()
        self._run.publish()

    def _create(self, program: programs.Program) -> None:
        member = self._member
        member.program = program
        spec = self._run.spec_of(member)
        try:
            member.env = environment.variables(self._run.host.store, self._run.pod, spec)
            security.check_user(self._run.pod, spec, program, described=self._run.described)
        except environment.ConfigError as missing:
            self._config_tries += 1
            member.wait(containers.CONFIG_ERROR, str(missing))
            self._run.host.recorder.warning(self._run.pod, "Failed", f"Error: {missing}", field_path=self._path)
            wait = self._run.host.timing.retry_s * 2 ** min(self._config_tries - 1, 4)
            self.later("config", wait, self.prepare)
            self._run.publish()
            return
        self._config_tries = 0
        self._start(program)

    def _start(self, program: programs.Program) -> None:
        member, run = self._member, self._run
        now = run.clock.time()
        bits = run.host.random.getrandbits(256)
        member.container_id = f"containerd://{bits:064x}"
        member.image_id = f"docker.io/{programs.split_image(member.image)[0]}@sha256:{_digest(member.image)}"
        run.host.recorder.normal(run.pod, "Created", "Container created", field_path=self._path)
        fault = security.start_fault(run.spec_of(member), program)
        if fault:
            self._fail_to_start(fault)
            return
        member.state = {"running": {"startedAt": objects.timestamp(run.clock.now())}}
        member.running_since = now
        member.up = False
        member.troubles = ()
        member.log = log_buffer.LogBuffer()
        if scripts.read(run.spec_of(member), member.env) is None:
            member.log.write(now, f"level=info msg=starting image={member.image}")
        run.host.recorder.normal(run.pod, "Started", "Container started", field_path=self._path)
        need = run.wishes.memory_bytes or float(program.memory_base_bytes)
        start = min(need, float(containers.START_MEMORY))
        member.memory = memory.Memory(start, need, now, run.host.timing.memory_ramp_s)
        if run.wishes.memory_bytes is None and program.leak_bytes_per_hour:
            member.memory.leak_per_s = program.leak_bytes_per_hour / 3600.0
        self._plan(program)
        serves = not member.init or member.sidecar
        if serves:
            self._prober.begin()
        else:
            member.started = True
        spec = run.spec_of(member)
        member.ready = serves and member.started and not spec.get("readinessProbe")
        run.member_started()
        run.publish()
        self.watch_memory()

    def _fail_to_start(self, why: str) -> None:
        """The container was made but its command could not be run."""
        member, run = self._member, self._run
        now = objects.timestamp(run.clock.now())
        run.host.recorder.warning(run.pod, "Failed", f"Error: {why}", field_path=self._path)
        member.running_since = run.clock.time()
        self.end(NOT_STARTED, "StartError")
        member.state["terminated"] |= {"message": why, "startedAt": "1970-01-01T00:00:00Z", "finishedAt": now}
        self._after_end(NOT_STARTED, waiting=("RunContainerError", why))

    def _plan(self, program: programs.Program) -> None:
        """Decide what becomes of the container that has just started."""
        run, member = self._run, self._member
        timing = run.host.timing.start_s
        wait = timing if program.start_s is None else program.start_s
        needed = [name for name in (*program.requires_env, *run.wishes.needs_env) if not member.env.get(name)]
        ends = (member.init and not member.sidecar) or run.pod["spec"].get("restartPolicy") in {"Never", "OnFailure"}
        asked = (
            None if member.init else (run.wishes.crash_code if run.wishes.exit_code is None else run.wishes.exit_code)
        )
        script = scripts.read(run.spec_of(member), member.env)
        if needed:
            self.later("life", wait, lambda: self._lack_config(needed[0]))
        elif asked is not None:
            self.later("life", wait, lambda: self._crash(asked, run.wishes.crash_log))
        elif script is not None and script.known and not script.endless:
            self._follow(script)
        elif ends and not member.sidecar and (script is None or not script.endless):
            self.later("life", wait + JOB_S, self._end_task)
        else:
            self.later("life", wait, self._up)
            if run.wishes.evicted:
                self.later("evict", EVICTED_AFTER_S, self._evict)

    def _follow(self, script: scripts.Script) -> None:
        """Do what the container's own command says."""
        for line in script.lines:
            self._member.log.write(self._run.clock.time(), line)
        self._member.up = True
        reason = "Error" if script.code else "Completed"
        self.later("life", max(script.seconds, 0.2), lambda: self._exit(script.code, reason))

    def _end_task(self) -> None:
        """A program that is to end has done its work, unless it cannot reach what it needs."""
        found = list(needs.troubles(self._run.host.around, self._run.pod, self._member))
        if found:
            self._give_up(found[0].line)
        else:
            self._crash(0, "level=info msg=done")

    def _up(self) -> None:
        """The program answers now, unless what it needs at the start is missing."""
        run, member = self._run, self._member
        fault = security.write_fault(run.spec_of(member), run.pod, member.program)
        if fault:
            self._give_up(f'level=fatal msg="cannot start" error="{fault}"')
            return
        found = tuple(needs.troubles(run.host.around, run.pod, member))
        for one in found:
            if one.need.at_start:
                self._give_up(one.line)
                return
        member.up = True
        member.log.write(run.clock.time(), f"level=info msg=listening addr=:{self._port()}")
        self._set_troubles(found)
        run.publish()

    def look_around(self) -> None:
        """Something that the program may need has changed: see what it gets now."""
        member = self._member
        if member.running and member.up and member.program is not None and member.program.needs:
            self._set_troubles(tuple(needs.troubles(self._run.host.around, self._run.pod, member)))

    def _set_troubles(self, found: tuple[needs.Trouble, ...]) -> None:
        member = self._member
        for one in found:
            if one not in member.troubles:
                member.log.write(self._run.clock.time(), one.line)
        member.troubles = found
        self.wake()

    def resume(self, *, lost: bool) -> None:
        """The kubelet looks after the container again; one that was lost with its machine is started anew."""
        if lost:
            self._exit(UNKNOWN, "Unknown")
        elif self._member.up:
            self._prober.begin()
            self.watch_memory()
        elif self._member.program is not None:
            self._plan(self._member.program)

    def wake(self) -> None:
        """Something that probes depend on has changed."""
        if self._member.running:
            self._prober.wake()

    def _kill(self, why: str) -> None:
        self._run.host.recorder.normal(self._run.pod, "Killing", why, field_path=self._path)
        self._exit(KILLED, "Error")

    def _lack_config(self, name: str) -> None:
        now = self._run.clock.time()
        self._member.log.write(now, f'level=error msg="invalid configuration" error="{name} is not set"')
        self._give_up(f'level=fatal msg="cannot start: required environment variable {name} is not set"')

    def _give_up(self, line: str) -> None:
        self._member.log.write(self._run.clock.time(), line)
        self._exit(MISSING_CONFIG, "Error")

    def _crash(self, code: int, text: str) -> None:
        if text:
            self._member.log.write(self._run.clock.time(), text)
        elif code:
            self._member.log.write(self._run.clock.time(), f'level=fatal msg="unexpected error, exiting" code={code}')
        self._exit(code, "Error" if code else "Completed")

    def _evict(self) -> None:
        member = self._member
        used = quantity.mebibytes(member.memory.at(self._run.clock.time())) if member.memory else "0"
        requested = ((self._run.spec_of(member).get("resources") or {}).get("requests") or {}).get("memory", "0")
        self._run.evict(
            "The node was low on resource: memory. Threshold quantity: 100Mi, available: 61844Ki. "
            f"Container {member.name} was using {used}, request is {requested}, has larger consumption of memory. "
        )

    def watch_memory(self) -> None:
        """Find out whether, and when, the container will meet its memory limit."""
        member = self._member
        self.cancel("memory")
        limit = containers.memory_limit(self._run.spec_of(member))
        if not member.running or member.memory is None or limit is None:
            return
        wait = member.memory.reaches(limit, self._run.clock.time())
        if wait is not None:
            self.later("memory", wait, lambda: self._exit(KILLED, "OOMKilled"))

    def _exit(self, code: int, reason: str) -> None:
        self.end(code, reason)
        self._after_end(code)

    def _after_end(self, code: int, *, waiting: tuple[str, str] | None = None) -> None:
        policy = "Always" if self._member.sidecar else self._run.pod["spec"].get("restartPolicy", "Always")
        once = self._member.init and not self._member.sidecar and code == 0
        if once or policy == "Never" or (policy == "OnFailure" and code == 0):
            self._run.member_ended()
        else:
            self._restart(waiting)

    def end(self, code: int, reason: str) -> None:
        """The container has ended; what comes after is decided elsewhere."""
        member, clock = self._member, self._run.clock
        if clock.time() - member.running_since >= self._run.host.timing.backoff_reset_s:
            member.crashes = 0
        started = (member.state.get("running") or {}).get("startedAt", objects.timestamp(clock.now()))
        ended = {
            "containerID": member.container_id,
            "exitCode": code,
            "finishedAt": objects.timestamp(clock.now()),
            "reason": reason,
            "startedAt": started,
        }
        member.cancel_timers()
        member.state = {"terminated": ended}
        member.ready = member.started = member.up = False
        member.memory = None
        member.log.close()
        member.previous_log = member.log

    def _restart(self, waiting: tuple[str, str] | None = None) -> None:
        """Start again: at once the first time, later and later after that."""
        member, timing = self._member, self._run.host.timing
        member.crashes += 1
        if member.crashes == 1 and waiting is None:
            self._run.publish()
            self._again()
            return
        wait = min(timing.backoff_base_s * 2 ** max(member.crashes - 2, 0), timing.backoff_max_s)
        member.last = {"terminated": member.state["terminated"]}
        if waiting is not None and member.crashes == 1:
            member.wait(*waiting)
            self._run.publish()
            self.later("restart", wait, self._again)
            return
        shown = containers.go_duration(wait)
        text = f"back-off {shown} restarting failed container={member.name} pod={self._run.described}"
        member.wait(containers.CRASH_LOOP, text)
        about = f"Back-off restarting failed container {member.name} in pod {self._run.described}"
        self._run.host.recorder.warning(self._run.pod, "BackOff", about, field_path=self._path)
        self._run.publish()
        self.later("restart", wait, self._again)

    def _again(self) -> None:
        member = self._member
        if member.ended:
            member.last = {"terminated": member.state["terminated"]}
        member.restarts += 1
        self._puller.pull(self._create)

    @property
    def _path(self) -> str:
        return self._run.field_path(self._member)

    def _port(self) -> int:
        program, member = self._member.program, self._member
        if program is not None and program.port_env and member.env.get(program.port_env, "").isdigit():
            return int(member.env[program.port_env])
        if program is not None and program.listed and program.ports:
            return program.ports[0]
        ports = self._run.spec_of(member).get("ports") or [{"containerPort": 8080}]
        return int(ports[0].get("containerPort", 8080))


def _digest(image: str) -> str:
    return hashlib.sha256(image.encode()).hexdigest()
