"""A durable engine in memory: it remembers what steps returned, so that a test can kill it anywhere and go on.

Steps are run through JSON, as the real engine does. `crash_at` counts steps over all runs: at that step the process
"dies" right after the step's effect and before its result is written, which is the worst moment.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from support.clock import VirtualClock


class Crash(BaseException):
    """The process died."""


class MemoryRun:
    """What a workflow function sees."""

    def __init__(self, engine: "MemoryEngine", run_id: str) -> None:
        self.id = run_id
        self._engine = engine
        self._position = 0

    async def step(self, function: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        return await self._engine.step(self.id, self._next(), function, args)

    async def sleep(self, seconds: float) -> None:
        self._next()
        await self._engine.clock.sleep(seconds)

    def _next(self) -> int:
        self._position += 1
        return self._position


class MemoryEngine:
    """The same words as `toban.engine.durable.Engine`; `work` runs what is due until nothing is."""

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self.crash_at: int | None = None
        self.steps_run = 0
        self._functions: dict[str, Any] = {}
        self._runs: dict[str, dict[str, Any]] = {}
        self._results: dict[tuple[str, int], str] = {}

    def define(self, name: str, function: Any) -> None:
        self._functions[name] = function

    async def step(self, run_id: str, position: int, function: Any, args: tuple[Any, ...]) -> Any:
        key = (run_id, position)
        if key not in self._results:
            self.steps_run += 1
            result = json.dumps(await function(*json.loads(json.dumps(args))))
            if self.crash_at == self.steps_run:
                raise Crash
            self._results[key] = result
        return json.loads(self._results[key])

    async def start(self, name: str, run_id: str, *args: Any) -> None:
        await self.park(name, run_id, *args, delay_s=0)

    async def park(self, name: str, run_id: str, *args: Any, delay_s: float) -> None:
        if run_id not in self._runs:
            due = self.clock.now().timestamp() + delay_s
            self._runs[run_id] = {"name": name, "args": args, "due": due, "status": "DELAYED"}

    async def wake(self, run_id: str) -> None:
        if run_id in self._runs:
            self._runs[run_id]["due"] = 0.0

    async def state(self, run_id: str) -> str | None:
        return self._runs[run_id]["status"] if run_id in self._runs else None

    async def work(self) -> int:
        """Run everything that is due now, once each; how many runs that were."""
        due = [
            run_id
            for run_id, run in self._runs.items()
            if run["status"] in {"DELAYED", "PENDING"} and run["due"] <= self.clock.now().timestamp()
        ]
        for run_id in due:
            run = self._runs[run_id]
            run["status"] = "PENDING"
            await self._functions[run["name"]](MemoryRun(self, run_id), *run["args"])
            run["status"] = "SUCCESS"
        return len(due)
