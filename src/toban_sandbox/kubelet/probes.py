"""The probes of one container: asked at their periods while anything can change, and not at all while nothing does.

A container whose answers are all good is left in peace until something it depends on changes (`wake`).
"""

from collections.abc import Callable
from typing import Any

from toban_sandbox.kubelet import answers, surroundings
from toban_sandbox.kubelet import container as containers

Json = dict[str, Any]

_FIELDS = {"startup": "startupProbe", "liveness": "livenessProbe", "readiness": "readinessProbe"}
_WORDS = {"startup": "Startup", "liveness": "Liveness", "readiness": "Readiness"}


class Prober:
    """All probes of one container in one run of it."""

    def __init__(
        self,
        run: surroundings.Pod,
        member: containers.Container,
        later: surroundings.Later,
        *,
        kill: Callable[[str], None],
    ) -> None:
        self._run = run
        self._member = member
        self._later = later
        self._kill = kill
        self._good: dict[str, int] = {}
        self._bad: dict[str, int] = {}
        self._resting: set[str] = set()
        self._begun: dict[str, float] = {}

    def begin(self) -> None:
        """The container has just started."""
        self._good, self._bad, self._resting = {}, {}, set()
        member = self._member
        member.started = self._probe("startup") is None
        first = "startup" if not member.started else ""
        if first:
            self._start(first)
        else:
            self._start("readiness")
            self._start("liveness")

    def wake(self) -> None:
        """Something the answers depend on has changed: ask again at the next period."""
        for kind in tuple(self._resting):
            probe = self._probe(kind)
            if probe is None:
                continue
            if not answers.ask(self._run, self._member, probe, kind).ok:
                self._resting.discard(kind)
                self._later(kind, self._to_next_period(kind, probe), lambda kind=kind: self._ask(kind))  # type: ignore[misc]

    def _probe(self, kind: str) -> Json | None:
        found = self._run.spec_of(self._member).get(_FIELDS[kind])
        return found if isinstance(found, dict) else None

    def _start(self, kind: str) -> None:
        probe = self._probe(kind)
        if probe is None:
            return
        now, since = self._run.clock.time(), self._member.running_since
        # An ordinary program is up before it is asked for the first time; a slow one is seen to be slow.
        first = max(float(probe.get("initialDelaySeconds") or 0), self._run.host.timing.start_s) + since
        self._begun[kind] = first
        self._later(kind, max(0.0, first - now), lambda: self._ask(kind))

    def _to_next_period(self, kind: str, probe: Json) -> float:
        period, now = float(probe.get("periodSeconds") or 10), self._run.clock.time()
        return period - (now - self._begun.get(kind, now)) % period

    def _ask(self, kind: str) -> None:
        probe = self._probe(kind)
        if probe is None or not self._member.running:
            return
        answer = answers.ask(self._run, self._member, probe, kind)
        rests = self._passed(kind, probe) if answer.ok else self._failed(kind, probe, answer.text)
        if not self._member.running or rests is None:
            return
        if rests:
            self._resting.add(kind)
        else:
            self._later(kind, float(probe.get("periodSeconds") or 10), lambda: self._ask(kind))

    def _passed(self, kind: str, probe: Json) -> bool | None:
        """Note a good answer; returns whether the probe may rest, None when it is done with."""
        self._bad[kind] = 0
        self._good[kind] = self._good.get(kind, 0) + 1
        if self._good[kind] < int(probe.get("successThreshold") or 1):
            return False
        member = self._member
        if kind == "startup":
            member.started = True
            if self._probe("readiness") is None:
                member.ready = True
            self._start("readiness")
            self._start("liveness")
            self._run.member_started()
            self._run.publish()
            return None
        if kind == "readiness" and not member.ready:
            member.ready = True
            self._run.publish()
        return True

    def _failed(self, kind: str, probe: Json, text: str) -> bool | None:
        self._good[kind] = 0
        self._bad[kind] = self._bad.get(kind, 0) + 1
        run, member = self._run, self._member
        path = run.field_path(member)
        run.host.recorder.warning(run.pod, "Unhealthy", f"{_WORDS[kind]} probe failed: {text}", field_path=path)
        if self._bad[kind] < int(probe.get("failureThreshold") or 3):
            return False
        if kind == "readiness":
            if member.ready:
                member.ready = False
                run.publish()
            return False
        self._kill(f"Container {member.name} failed {kind} probe, will be restarted")
        return None
