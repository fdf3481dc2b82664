"""Takes over what dead workers were running. Each worker beats and looks at the others; whoever removes a silent one's
heartbeat takes its runs.

A worker that was only stopped for a while and goes on finds its runs gone: the engine fences it off, and so do the
leases on targets.
"""

from datetime import timedelta

import structlog

from toban.engine.durable import Engine
from toban.kit.clock import Clock
from toban.store import workers
from toban.store.database import Database

SILENT_AFTER = timedelta(seconds=3)
_log = structlog.get_logger()


class Supervisor:
    """Call `turn` about once a second."""

    def __init__(self, engine: Engine, database: Database, clock: Clock, executor_id: str) -> None:
        self._engine = engine
        self._database = database
        self._clock = clock
        self._executor_id = executor_id

    async def turn(self) -> list[str]:
        """Beat, and take over from workers that have been silent for three seconds; whose runs those were."""
        now = self._clock.now()
        await self._database.write(workers.beat, self._executor_id, now)
        taken = []
        since = now - SILENT_AFTER
        for dead in await self._database.read(workers.silent, since):
            runs = await self._engine.recover(dead)
            if await self._database.write(workers.forget, dead, since):
                taken.append(dead)
                _log.warning("took over from a silent worker", worker=dead, runs=runs)
        return taken

    async def leave(self) -> None:
        """Say goodbye, so that nobody takes over: the runs go on after the next start."""
        await self._database.write(workers.leave, self._executor_id)
