"""The event stream: timeline entries as server-sent events, numbered by `seq`, resumed by Last-Event-ID.

Browsers listen here and fetch what changed; the stream carries no markup. It ends when the server stops, so that the
server can stop, and when the listener's session has ended.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import StreamingResponse

from toban.app import Toban
from toban.entrypoints.http import asking
from toban.errors import UnauthenticatedError
from toban.model.security import SecurityContext
from toban.model.timeline import TimelineEntry
from toban.store import timeline

HEARTBEAT_S = 15.0
_PAGE = 500
_RETRY_MS = 1000
_BEAT = b": still here\n\n"


@dataclass
class Closing:
    """Set once when the server begins to stop."""

    event: asyncio.Event

    async def wait_or(self, work: Awaitable[None]) -> None:
        """Return when `work` is done or the server stops; `work` is cancelled then."""
        tasks = [asyncio.ensure_future(work), asyncio.ensure_future(self.event.wait())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([task])
        for task in done:
            task.result()


async def newest(toban: Toban) -> int:
    """The number of the newest entry: where a page that is drawn now starts to listen."""
    return await toban.database.read(timeline.last_seq)


def line(entry: TimelineEntry) -> bytes:
    """One entry as an event named `timeline`."""
    data = entry.model_dump(mode="json", include={"seq", "incident_id", "at", "lane", "kind", "text", "actor"})
    return f"id: {entry.seq}\nevent: timeline\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()


def start_after(request: Request, after: int | None) -> int | None:
    """Where to go on: Last-Event-ID wins over the address; None when neither says."""
    told = request.headers.get("last-event-id", "")
    return int(told) if told.isascii() and told.isdecimal() and len(told) < 19 else after  # noqa: PLR2004 - fits 64 bits


def router(toban: Toban, closing: Closing, *, heartbeat_s: float = HEARTBEAT_S) -> APIRouter:
    """The stream's route."""
    routes = APIRouter(include_in_schema=False)
    ask = asking.of(toban)

    @routes.get("/events")
    async def events(
        request: Request,
        context: Annotated[SecurityContext, Depends(ask)],
        incident: Annotated[str | None, Query(max_length=20)] = None,
        after: Annotated[int | None, Query(ge=0)] = None,
    ) -> StreamingResponse:
        if incident is not None:
            incident = (await toban.incident(context, incident)).id  # 404 for what is not there or not one's own
        start = start_after(request, after)
        stream = Stream(toban, closing, incident, heartbeat_s)
        body = stream.read(await newest(toban) if start is None else start, lambda: ask(request))
        return StreamingResponse(body, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    return routes


@dataclass
class Stream:
    """One listener: of one incident or of all."""

    toban: Toban
    closing: Closing
    incident_id: str | None
    heartbeat_s: float

    async def read(self, cursor: int, ask: Callable[[], Awaitable[SecurityContext]]) -> AsyncIterator[bytes]:
        """Entries after `cursor` for as long as server and session last, each exactly once, with heartbeats between."""
        yield f"retry: {_RETRY_MS}\n\n".encode()
        clock = asyncio.get_running_loop().time
        written = clock()
        while not self.closing.event.is_set():
            try:
                context = await ask()  # rights may have gone since the last round
            except UnauthenticatedError:
                return
            latest = await newest(self.toban)
            entries = await self.toban.timeline_after(context, cursor, incident_id=self.incident_id, limit=_PAGE)
            for entry in entries:
                cursor = entry.seq
                written = clock()
                yield line(entry)
            if len(entries) == _PAGE:
                continue
            # What is newer than `latest` may be of this incident and not yet read: only up to there it is settled.
            cursor = max(cursor, latest)
            rest = max(self.heartbeat_s - (clock() - written), 0.0)
            await self.closing.wait_or(self.toban.wait_for_news(cursor, rest))
            if clock() - written >= self.heartbeat_s and not self.closing.event.is_set():
                written = clock()
                yield _BEAT
