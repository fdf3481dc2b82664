"""One container of one pod as the kubelet knows it: its states, its restarts, its log and its memory."""

from dataclasses import dataclass, field
from typing import Any

from toban_sandbox import clock as clocks
from toban_sandbox import programs
from toban_sandbox.kube import quantity
from toban_sandbox.kubelet import log_buffer
from toban_sandbox.kubelet import memory as memories

Json = dict[str, Any]

CREATING, INITIALIZING = "ContainerCreating", "PodInitializing"
CRASH_LOOP, CONFIG_ERROR = "CrashLoopBackOff", "CreateContainerConfigError"
PULL_ERROR, PULL_BACKOFF = "ErrImagePull", "ImagePullBackOff"
START_MEMORY = 8 * programs.MEBIBYTE


@dataclass
class Container:
    """The state of one container; `state` and `last` are the API's own forms of it."""

    name: str
    image: str
    init: bool
    state: Json
    last: Json = field(default_factory=dict)
    restarts: int = 0
    ready: bool = False
    started: bool = False
    container_id: str = ""
    image_id: str = ""
    crashes: int = 0
    pull_failures: int = 0
    sidecar: bool = False
    up: bool = False
    troubles: tuple[Any, ...] = ()
    program: programs.Program | None = None
    env: dict[str, str] = field(default_factory=dict)
    log: log_buffer.LogBuffer = field(default_factory=log_buffer.LogBuffer)
    previous_log: log_buffer.LogBuffer | None = None
    memory: memories.Memory | None = None
    running_since: float = 0.0
    timers: dict[str, clocks.Timer] = field(default_factory=dict)

    @property
    def running(self) -> bool:
        return "running" in self.state

    @property
    def ended(self) -> bool:
        return "terminated" in self.state

    @property
    def succeeded(self) -> bool:
        return self.ended and self.state["terminated"]["exitCode"] == 0

    @property
    def done(self) -> bool:
        """Whether the containers after an initialising one may start."""
        return self.running and self.started if self.sidecar else self.succeeded

    @property
    def waiting_for(self) -> str:
        """The reason it waits for, or nothing."""
        return str((self.state.get("waiting") or {}).get("reason", ""))

    def wait(self, reason: str, message: str = "") -> None:
        self.state = {"waiting": {"reason": reason} | ({"message": message} if message else {})}
        self.ready = self.started = self.up = False

    def cancel_timers(self) -> None:
        for timer in self.timers.values():
            timer.cancel()
        self.timers.clear()

    def status(self, spec: Json) -> Json:
        """The container's part of the pod's status."""
        shown: Json = {
            "image": self.image,
            "imageID": self.image_id,
            "lastState": self.last,
            "name": self.name,
            "ready": self.ready,
            "restartCount": self.restarts,
            "started": self.started,
            "state": self.state,
        }
        if self.container_id:
            shown["containerID"] = self.container_id
        if spec.get("resources") and self.running:
            shown["resources"] = spec["resources"]
        return shown


def memory_limit(spec: Json) -> float | None:
    """The memory limit of a container's specification in bytes, or None."""
    text = ((spec.get("resources") or {}).get("limits") or {}).get("memory")
    return None if text is None else quantity.parse(text)


def cpu_limit(spec: Json) -> float | None:
    """The processor limit of a container's specification in cores, or None."""
    text = ((spec.get("resources") or {}).get("limits") or {}).get("cpu")
    return None if text is None else quantity.parse(text)


def go_duration(seconds: float) -> str:
    """Seconds as Go prints a duration, such as `1m20s`."""
    whole = int(seconds)
    if whole != seconds and whole == 0:
        return f"{seconds * 1000:.0f}ms"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}h{minutes}m{rest}s"
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
