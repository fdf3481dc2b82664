"""The kubelet (being filled in)."""

from toban_sandbox import clock as clocks
from toban_sandbox import programs
from toban_sandbox.kube import store as stores
from toban_sandbox.kubelet import memory
from toban_sandbox.kubelet import timing as timings


class Kubelet:
    def __init__(
        self,
        store: stores.ObjectStore,
        registry: programs.Programs,
        load: programs.Load,
        clock: clocks.Clock,
        *,
        seed: int,
        timing: timings.Timing,
    ) -> None: ...

    async def run(self) -> None:
        raise NotImplementedError

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
        raise NotImplementedError

    def usage(self, namespace: str, pod: str) -> dict[str, memory.Usage]:
        raise NotImplementedError
