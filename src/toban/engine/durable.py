"""Durable workflows on DBOS: define, launch, start, park, wake, sweep, list, close.

A workflow is an async function of a `Run` and plain JSON arguments; everything that touches the world goes through
`Run.step`, which runs at least once and is not run again once its result is written. Steps follow each other: branches
that run side by side are workflows of their own, since step numbers follow call order.

The engine keeps its own database beside Toban's (SQLite) or a schema in it (PostgreSQL). Its values are portable JSON:
whoever can write to the database cannot run code here. There is one engine in a process.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer, SetEnqueueOptions, SetWorkflowID
from sqlalchemy import event, exc

from toban.errors import StorageError, TobanError

APPLICATION_VERSION = "1"
"""Fixed: a new version would leave every waiting run behind. Changed workflows use patches."""

PARKED_QUEUE = "parked"
_PARKED_POLL_S = 0.1
_STEP_ATTEMPTS = 30
_STEP_INTERVAL_S = 0.5
_STEP_BACKOFF = 1.3


@dataclass(frozen=True)
class Run:
    """The running workflow, handed to its function."""

    id: str

    async def step(self, function: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        """Run `function(*args)` as a durable step; arguments and result are plain JSON.

        Errors that say `retry_after` are tried again with growing pauses, for some minutes; others end the workflow.
        """
        options: Any = {
            "name": getattr(function, "__name__", "step"),
            "retries_allowed": True,
            "max_attempts": _STEP_ATTEMPTS,
            "interval_seconds": _STEP_INTERVAL_S,
            "backoff_rate": _STEP_BACKOFF,
            "should_retry": _worth_retrying,
        }
        return await DBOS.run_step_async(options, function, *args)

    async def sleep(self, seconds: float) -> None:
        """Sleep durably: a restart sleeps only for what is left."""
        await DBOS.sleep_async(seconds)


def _worth_retrying(error: BaseException) -> bool:
    return isinstance(error, TobanError) and error.retry_after is not None


def _destroy() -> None:
    DBOS.destroy(destroy_registry=True, workflow_completion_timeout_sec=0)


WorkflowFunction = Callable[..., Awaitable[Any]]


def _sqlite_engine(path: Path) -> sa.Engine:
    engine = sa.create_engine(f"sqlite:///{path}", connect_args={"check_same_thread": False, "timeout": 10})

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: object) -> None:
        # the driver's own IMMEDIATE mode: DBOS writes its BEGIN itself while it migrates
        connection.isolation_level = "IMMEDIATE"
        for pragma in ("busy_timeout=10000", "journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    return engine


class Engine:
    """The engine of this process. Define all workflows, then `launch` from within the event loop that runs them."""

    def __init__(self, *, url: str, executor_id: str, max_threads: int = 16) -> None:
        """`url` is `sqlite:///PATH` or a PostgreSQL URL; `executor_id` is unique among workers and stays the same."""
        self._url = sa.make_url(url)
        self._executor_id = executor_id
        self._max_threads = max_threads
        self._workflows: dict[str, Any] = {}
        self._engine: sa.Engine | None = None

    def define(self, name: str, function: WorkflowFunction) -> None:
        """Register `function(run, *args)` under a name that never changes, since waiting runs refer to it."""

        async def workflow(*args: Any) -> Any:
            return await function(Run(str(DBOS.workflow_id)), *args)

        self._workflows[name] = DBOS.workflow(name=name, max_recovery_attempts=1_000_000)(workflow)

    def launch(self) -> None:
        """Open the database, go on with what was running when the process ended, begin to serve the queue.

        Raises StorageError when the engine's database cannot be opened.
        """
        config: DBOSConfig = {
            "name": "toban",
            "application_version": APPLICATION_VERSION,
            "executor_id": self._executor_id,
            "serializer": DBOSPortableJSONSerializer(),
            "max_executor_threads": self._max_threads,
            "system_database_url": self._url.render_as_string(hide_password=False),
            "log_level": "ERROR",
            "notification_listener_polling_interval_sec": 0.2,
        }
        if self._url.get_backend_name() == "sqlite":
            path = Path(str(self._url.database))
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._engine = _sqlite_engine(path)
            config["system_database_engine"] = self._engine
        logging.getLogger("dbos").setLevel(logging.ERROR)
        try:
            DBOS(config=config)
            DBOS.launch()
        except exc.SQLAlchemyError as error:
            raise StorageError(f"the engine's database {self._url} cannot be opened: {error}") from error

    async def open_queues(self) -> None:
        """Register the queue of parked runs; call once after `launch`."""
        await DBOS.register_queue_async(PARKED_QUEUE, polling_interval_sec=_PARKED_POLL_S)

    async def start(self, name: str, run_id: str, *args: Any) -> None:
        """Start a workflow now; a run of this id that exists already is left alone."""
        with SetWorkflowID(run_id):
            await DBOS.start_workflow_async(self._workflows[name], *args)

    async def park(self, name: str, run_id: str, *args: Any, delay_s: float) -> None:
        """Start a workflow after `delay_s`, or earlier when `wake` is called; costs no thread and survives restarts."""
        with SetWorkflowID(run_id), SetEnqueueOptions(delay_seconds=delay_s):
            await DBOS.enqueue_workflow_async(PARKED_QUEUE, self._workflows[name], *args)

    async def wake(self, run_id: str) -> None:
        """Let a parked run start now; nothing happens if it is not parked."""
        await DBOS.set_workflow_delay_async(run_id, delay_seconds=0)

    async def cancel(self, run_id: str) -> None:
        """Stop a run before its next step."""
        await DBOS.cancel_workflow_async(run_id)

    async def state(self, run_id: str) -> str | None:
        """DELAYED, ENQUEUED, PENDING, SUCCESS, ERROR, CANCELLED …; None when there is no such run."""
        status = await DBOS.get_workflow_status_async(run_id)
        return status.status if status else None

    async def list_runs(self, *, status: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """The newest runs as `{id, name, status}`."""
        found = await DBOS.list_workflows_async(status=status, limit=limit, sort_desc=True)
        return [{"id": run.workflow_id, "name": run.name, "status": run.status} for run in found]

    async def recover(self, dead_executor: str) -> int:
        """Take over what a dead worker was running; how many runs that were. The engine fences the dead one off."""
        take = DBOS._recover_pending_workflows  # noqa: SLF001 - the engine's only door for this
        return len(await asyncio.to_thread(take, [dead_executor]))

    async def close(self) -> None:
        """Stop serving; what still runs goes on after the next launch."""
        logging.getLogger("dbos").setLevel(logging.CRITICAL)  # runs cut off here go on later; that is no error
        with ThreadPoolExecutor(1) as pool:  # the loop's own pool belongs to the engine and ends with it
            await asyncio.get_running_loop().run_in_executor(pool, _destroy)
        if self._engine is not None:
            self._engine.dispose()
