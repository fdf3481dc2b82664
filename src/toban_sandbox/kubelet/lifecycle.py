"""The life of one container: created when its needs are met, up after a while, probed, killed or crashed, restarted."""

import hashlib
from collections.abc import Callable
from typing import Any

from toban_sandbox import programs
from toban_sandbox.kube import objects, quantity
from toban_sandbox.kubelet import container as containers
from toban_sandbox.kubelet import environment, images, log_buffer, memory, surroundings

Json = dict[str, Any]

KILLED, MISSING_CONFIG = 137, 1
EVICTED_AFTER_S = 2.0
JOB_S = 1.2


class Life:
    """Moves one container from state to state."""

    def __init__(self, run: surroundings.Pod, member: containers.Container) -> None:
        self._run = run
        self._member = member
        self._puller = images.Puller(run, member, self.later)
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
        try:
            member.env = environment.variables(self._run.host.store, self._run.pod, self._run.spec_of(member))
        except environment.ConfigError as missing:
            self._config_tries += 1
            member.wait(containers.CONFIG_ERROR, str(missing))
            self._run.host.recorder.warning(self._run.pod, "Failed", f"Error: {missing}", field_path=self._path)
            wait = self._run.host.timing.retry_s * 2 ** min(self._config_tries - 1, 4)
            self.later("config", wait, self.prepare)
            self._run.publish()
            return
        self._config_tries = 0
        member.program = program
        self._start(program)

    def _start(self, program: programs.Program) -> None:
        member, run = self._member, self._run
        now = run.clock.time()
        bits = run.host.random.getrandbits(256)
        member.container_id = f"containerd://{bits:064x}"
        member.image_id = f"docker.io/{programs.split_image(member.image)[0]}@sha256:{_digest(member.image)}"
        member.state = {"running": {"startedAt": objects.timestamp(run.clock.now())}}
        member.started = True
        member.running_since = now
        member.probe_failures = 0
        member.log = log_buffer.LogBuffer()
        member.log.write(now, f"level=info msg=starting image={member.image}")
        run.host.recorder.normal(run.pod, "Created", "Container created", field_path=self._path)
        run.host.recorder.normal(run.pod, "Started", "Container started", field_path=self._path)
        need = run.wishes.memory_bytes or float(program.memory_base_bytes)
        start = min(need, float(containers.START_MEMORY))
        member.memory = memory.Memory(start, need, now, run.host.timing.memory_ramp_s)
        self._plan(program)
        member.ready = not run.spec_of(member).get("readinessProbe") and not member.init
        run.publish()
        self.watch_memory()

    def _plan(self, program: programs.Program) -> None:
        """Decide what becomes of the container that has just started."""
        run, member = self._run, self._member
        wait = run.host.timing.start_s
        needed = [name for name in (*program.requires_env, *run.wishes.needs_env) if not member.env.get(name)]
        finishes = member.init or run.pod["spec"].get("restartPolicy") in {"Never", "OnFailure"}
        if needed:
            self.later("life", wait, lambda: self._lack_config(needed[0]))
        elif run.wishes.crash_code is not None and not member.init:
            code, text = run.wishes.crash_code, run.wishes.crash_log
            self.later("life", wait, lambda: self._crash(code, text))
        elif run.wishes.exit_code is not None and not member.init:
            code, text = run.wishes.exit_code, run.wishes.crash_log
            self.later("life", wait, lambda: self._crash(code, text))
        elif finishes:
            self.later("life", wait + JOB_S, lambda: self._crash(0, "level=info msg=done"))
        else:
            self.later("life", wait, self._up)
            if run.wishes.evicted:
                self.later("evict", EVICTED_AFTER_S, self._evict)

    def _up(self) -> None:
        """The program answers now: its probes begin to count."""
        run, member = self._run, self._member
        member.log.write(run.clock.time(), f"level=info msg=listening addr=:{self._port()}")
        spec = run.spec_of(member)
        readiness, liveness = spec.get("readinessProbe"), spec.get("livenessProbe")
        if readiness:
            rest = float(readiness.get("initialDelaySeconds") or 0) - run.host.timing.start_s
            self.later("readiness", max(0.0, rest), lambda: self._probe_readiness(readiness))
        if liveness and run.wishes.hangs:
            self.later("liveness", float(liveness.get("periodSeconds", 10)), lambda: self._probe_liveness(liveness))

    def _probe_readiness(self, probe: Json) -> None:
        run, member = self._run, self._member
        if run.wishes.unready or run.wishes.hangs:
            text = _probe_failure(probe, run.address, hangs=run.wishes.hangs)
            run.host.recorder.warning(run.pod, "Unhealthy", f"Readiness probe failed: {text}", field_path=self._path)
            self.later("readiness", float(probe.get("periodSeconds", 10)), lambda: self._probe_readiness(probe))
            return
        member.ready = True
        run.publish()

    def _probe_liveness(self, probe: Json) -> None:
        run, member = self._run, self._member
        member.probe_failures += 1
        text = _probe_failure(probe, run.address, hangs=True)
        run.host.recorder.warning(run.pod, "Unhealthy", f"Liveness probe failed: {text}", field_path=self._path)
        if member.probe_failures < int(probe.get("failureThreshold", 3)):
            self.later("liveness", float(probe.get("periodSeconds", 10)), lambda: self._probe_liveness(probe))
            return
        text = f"Container {member.name} failed liveness probe, will be restarted"
        run.host.recorder.normal(run.pod, "Killing", text, field_path=self._path)
        self._exit(KILLED, "Error")

    def _lack_config(self, name: str) -> None:
        now = self._run.clock.time()
        self._member.log.write(now, f'level=error msg="invalid configuration" error="{name} is not set"')
        self._member.log.write(now, f'level=fatal msg="cannot start: required environment variable {name} is not set"')
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
        policy = self._run.pod["spec"].get("restartPolicy", "Always")
        once = self._member.init and code == 0
        if once or policy == "Never" or (policy == "OnFailure" and code == 0):
            self._run.member_ended()
        else:
            self._restart()

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
        member.ready = member.started = False
        member.memory = None
        member.log.close()
        member.previous_log = member.log

    def _restart(self) -> None:
        """Start again: at once the first time, later and later after that."""
        member, timing = self._member, self._run.host.timing
        member.crashes += 1
        if member.crashes == 1:
            self._run.publish()
            self._again()
            return
        wait = min(timing.backoff_base_s * 2 ** (member.crashes - 2), timing.backoff_max_s)
        member.last = {"terminated": member.state["terminated"]}
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
        ports = self._run.spec_of(self._member).get("ports") or [{"containerPort": 8080}]
        return int(ports[0].get("containerPort", 8080))


def _digest(image: str) -> str:
    return hashlib.sha256(image.encode()).hexdigest()


def _probe_failure(probe: Json, address: str, *, hangs: bool) -> str:
    """Why a probe failed, in the kubelet's words."""
    target = probe.get("httpGet")
    if target is None:
        return "command timed out" if hangs else "command failed"
    if not hangs:
        return "HTTP probe failed with statuscode: 503"
    url = f"http://{address}:{target.get('port', 80)}{target.get('path', '/')}"
    return f'Get "{url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
