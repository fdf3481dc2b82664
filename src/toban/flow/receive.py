"""Receive: from a sender's body to alerts. First the journal, then, apart from the sender, reading and storing.

Called by the hooks (`Intake.accept`) and by a loop of `app.py` (`Reader.read_waiting`). What a delivery says is stored
in one transaction with the mark that it was read, so a crash repeats nothing and loses nothing.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
import structlog

from toban.errors import MappingError, StorageError
from toban.flow.settings import IntakeSettings
from toban.kit import text
from toban.kit.clock import Clock
from toban.model.alert import Alert, AlertEvent, AlertState
from toban.plugins.roles import AlertSource
from toban.store import alerts, counters, journal
from toban.store.database import Database
from toban.store.groupcommit import GroupCommit
from toban.store.journal import Delivery

_ATTEMPTS = 3
_BATCH = 200
_log = structlog.get_logger()

Correlator = Callable[[sa.Connection, Alert, AlertEvent], None]
"""Puts a new or changed alert into an incident, inside the same transaction."""


@dataclass
class Counts:
    """What the intake did since the process started, for the metrics page."""

    accepted: int = 0
    events: int = 0
    repeats: int = 0
    dead: int = 0


class Intake:
    """The journal's front: durable before the sender is answered."""

    def __init__(self, database: Database, clock: Clock, settings: IntakeSettings) -> None:
        self._clock = clock
        self.counts = Counts()
        self.news = asyncio.Event()
        self._commit: GroupCommit[Delivery] = GroupCommit(
            database,
            journal.append,
            size=lambda delivery: len(delivery.body),
            limit=settings.queue_limit,
            size_limit=settings.queue_limit_bytes,
            batch=settings.batch_limit,
        )

    async def accept(self, workspace: str, source: str, body: bytes) -> None:
        """Return once the body is durable. Raises OverloadedError or StorageError: then it was not stored."""
        await self._commit.submit(Delivery(workspace, source, self._clock.now(), body))
        self.counts.accepted += 1
        self.news.set()

    @property
    def problem(self) -> str:
        """Why the last deliveries were refused by the disk; empty when they were not."""
        return self._commit.problem

    async def close(self) -> None:
        """Take no more."""
        await self._commit.close()


class Reader:
    """Reads the journal: bodies become events, events become alerts, what cannot be read becomes a dead letter."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        sources: Mapping[str, AlertSource],
        correlate: Correlator,
        counts: Counts,
    ) -> None:
        self._database = database
        self._clock = clock
        self._sources = sources
        self._correlate = correlate
        self._counts = counts

    async def read_waiting(self) -> int:
        """Read what waits, oldest first; how many deliveries that were. Raises StorageError."""
        waiting = await self._database.read(journal.waiting, _BATCH)
        for delivery in waiting:
            await self._read_one(delivery)
        return len(waiting)

    async def _read_one(self, delivery: Delivery) -> None:
        source = self._sources.get(delivery.source)
        now = self._clock.now()
        if source is None:
            await self._bury(delivery, "source", f"no source named {delivery.source} is configured", now)
            return
        try:
            events = source.parse(delivery.body)
        except MappingError as error:
            await self._bury(delivery, error.field, error.message, now)
            return
        except Exception as error:  # noqa: BLE001 - an integration call: its faults must not stop the intake
            await self._quarantine(delivery, error, now)
            return
        try:
            await self._database.write(self._store, delivery, events, now)
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001 - a stage: a poisonous message is set aside after three tries
            await self._quarantine(delivery, error, now)

    async def _bury(self, delivery: Delivery, field: str, problem: str, now: datetime) -> None:
        letter = await self._database.write(journal.bury, delivery, field=field, problem=problem, now=now)
        self._counts.dead += 1
        _log.warning("dead letter", id=letter, source=delivery.source, field=field, problem=text.quoted(problem))

    async def _quarantine(self, delivery: Delivery, error: Exception, now: datetime) -> None:
        attempts = await self._database.write(journal.attempt_failed, delivery.seq)
        _log.exception("delivery could not be taken in", seq=delivery.seq, attempt=attempts, exc_info=error)
        if attempts >= _ATTEMPTS:
            await self._bury(delivery, "", f"failed {attempts} times: {type(error).__name__}: {error}", now)

    def _store(
        self, connection: sa.Connection, delivery: Delivery, events: tuple[AlertEvent, ...], now: datetime
    ) -> None:
        for event in events:
            self._take(connection, delivery.workspace, event, now)
        journal.done(connection, delivery.seq)

    def _take(self, connection: sa.Connection, workspace: str, event: AlertEvent, now: datetime) -> None:
        identity = alerts.identity(workspace, event)
        self._counts.events += 1
        if alerts.count_repeat(connection, identity) is not None:
            self._counts.repeats += 1
            return
        known = alerts.find(connection, workspace, event)
        alert = merged(known, event, now) if known else _new(connection, workspace, event, now)
        alerts.save(connection, alert)
        alerts.remember(connection, identity, alert, now)
        self._correlate(connection, alert, event)


def _new(connection: sa.Connection, workspace: str, event: AlertEvent, now: datetime) -> Alert:
    return Alert(
        id=counters.take(connection, "ALR"),
        workspace=workspace,
        service=None,
        received_at=now,
        **event.model_dump(exclude={"truncated"}),
    )


def merged(known: Alert, event: AlertEvent, now: datetime) -> Alert:
    """The alert after another event of the same firing. A firing that arrives after its own resolve changes nothing."""
    updates: dict[str, object] = {"deliveries": known.deliveries + 1, "received_at": now}
    if event.state is AlertState.RESOLVED:
        updates |= {"state": AlertState.RESOLVED, "ended_at": event.ended_at}
    elif known.state is AlertState.FIRING:
        updates |= {
            "labels": event.labels,
            "annotations": event.annotations,
            "severity": event.severity,
            "links": event.links,
        }
    return known.model_copy(update=updates)
