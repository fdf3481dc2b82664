"""What surrounds a container: the pod it belongs to and the node below, as the container's life sees them.

Filled by `pod_run` and the agent; used by `lifecycle` and `images`, which therefore need not know either.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from toban_sandbox import clock as clocks
from toban_sandbox import programs
from toban_sandbox.kube import events
from toban_sandbox.kube import store as stores
from toban_sandbox.kubelet import container as containers
from toban_sandbox.kubelet import needs
from toban_sandbox.kubelet import timing as timings
from toban_sandbox.kubelet import wishes as faults

Json = dict[str, Any]
Later = Callable[[str, float, Callable[[], None]], None]


@dataclass(frozen=True)
class Host:
    """What a pod needs of its node and its agent; `address` is the node's own, `images` what it has pulled."""

    store: stores.ObjectStore
    registry: programs.Programs
    timing: timings.Timing
    random: random.Random
    recorder: events.Recorder
    address: str
    new_pod_address: Callable[[], str]
    around: needs.Neighbourhood
    images: set[str] = field(default_factory=set)


class Pod(Protocol):
    """What a container needs of its pod."""

    host: Host
    clock: clocks.Clock
    pod: Json
    wishes: faults.Wishes
    address: str

    @property
    def described(self) -> str: ...

    def spec_of(self, member: containers.Container) -> Json: ...

    def field_path(self, member: containers.Container) -> str: ...

    def latency_ms(self, member: containers.Container) -> float: ...

    def publish(self) -> None: ...

    def evict(self, message: str) -> None: ...

    def member_started(self) -> None: ...

    def member_ended(self) -> None: ...
