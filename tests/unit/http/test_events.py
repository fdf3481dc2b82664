"""The event stream: numbered, without a gap or a double, ending when it must."""

import asyncio
import json

import pytest

from browser.support import web_cases
from toban.entrypoints.http import events
from toban.errors import UnauthenticatedError
from toban.model.timeline import Lane

_TIMEOUT_S = 5


@pytest.fixture
def closing():
    return events.Closing(asyncio.Event())


class _Listener:
    """Reads a stream piece by piece."""

    def __init__(self, toban, closing, *, incident=None, after=0, heartbeat_s=60.0):
        async def ask():
            return await toban.context_for(bearer=None, session=None, request_id="r")

        self.stream = events.Stream(toban, closing, incident, heartbeat_s).read(after, ask)

    async def piece(self):
        return (await asyncio.wait_for(anext(self.stream), _TIMEOUT_S)).decode()

    async def entry(self):
        """The next event's id and data."""
        while True:
            piece = await self.piece()
            if piece.startswith("id: "):
                lines = dict(line.split(": ", 1) for line in piece.strip().splitlines())
                assert lines["event"] == "timeline"
                return int(lines["id"]), json.loads(lines["data"])

    async def ended(self):
        try:
            while True:
                await self.piece()
        except StopAsyncIteration:
            return


async def test_a_listener_gets_what_is_newer_than_its_number_in_order(toban, closing):
    listener = _Listener(toban, closing, incident="INC-0001", after=4)
    assert [(await listener.entry())[0] for _ in range(3)] == [5, 6, 7]


async def test_news_come_as_they_are_written(toban, closing):
    listener = _Listener(toban, closing, after=toban.last_seq())
    waiting = asyncio.create_task(listener.entry())
    await asyncio.sleep(0)
    told = await toban.tell("INC-0002", Lane.ANALYSIS, "note", "hello")
    seq, data = await waiting
    assert seq == told.seq
    assert (data["incident_id"], data["text"]) == ("INC-0002", "hello")


async def test_a_listener_of_one_incident_hears_nothing_of_others(toban, closing):
    listener = _Listener(toban, closing, incident="INC-0001", after=toban.last_seq())
    waiting = asyncio.create_task(listener.entry())
    await asyncio.sleep(0)
    await toban.tell("INC-0002", Lane.ANALYSIS, "note", "not for you")
    own = await toban.tell("INC-0001", Lane.ANALYSIS, "note", "for you")
    assert (await waiting)[0] == own.seq


async def test_listeners_that_come_back_miss_nothing_and_hear_nothing_twice(toban, closing):
    heard, after = [], toban.last_seq()
    told = []
    for turn in range(5):
        told += [(await toban.tell("INC-0001", Lane.ANALYSIS, "note", "x")).seq for _ in range(turn)]
        listener = _Listener(toban, closing, incident="INC-0001", after=after)
        for _ in range(turn):
            after, _data = await listener.entry()
            heard.append(after)
        await listener.stream.aclose()
    assert heard == told


async def test_more_than_a_page_of_entries_comes_whole(toban, closing):
    start = toban.last_seq()
    for _ in range(1203):
        await toban.tell("INC-0006", Lane.ANALYSIS, "note", "x")
    listener = _Listener(toban, closing, after=start)
    seen = [(await listener.entry())[0] for _ in range(1203)]
    assert seen == list(range(start + 1, start + 1204))


async def test_silence_is_broken_by_a_heartbeat_that_is_no_event(toban, closing):
    listener = _Listener(toban, closing, after=toban.last_seq(), heartbeat_s=0.01)
    assert (await listener.piece()).startswith("retry: ")
    assert (await listener.piece()).startswith(":")


async def test_the_stream_ends_when_the_server_stops(toban, closing):
    listener = _Listener(toban, closing, after=toban.last_seq())
    assert (await listener.piece()).startswith("retry: ")
    waiting = asyncio.create_task(listener.ended())
    await asyncio.sleep(0)
    closing.event.set()
    await asyncio.wait_for(waiting, _TIMEOUT_S)


async def test_the_stream_ends_when_the_session_does(toban, closing):
    async def ask():
        raise UnauthenticatedError

    stream = events.Stream(toban, closing, None, 60.0).read(0, ask)
    pieces = [piece async for piece in stream]
    assert len(pieces) == 1


async def test_an_error_of_the_backend_comes_through_instead_of_a_silent_end(toban, closing):
    async def broken(*_args):
        raise RuntimeError("broken")

    toban.wait_for_news = broken
    listener = _Listener(toban, closing, after=toban.last_seq())
    await listener.piece()
    with pytest.raises(RuntimeError, match="broken"):
        await listener.piece()


async def test_a_stream_of_a_foreign_incident_is_not_found(client):
    assert (await client.get("/events?incident=INC-9999")).status_code == 404


def test_an_event_is_one_line_of_data_whatever_the_text():
    entry = web_cases.entry(3, 1, Lane.PEOPLE, "note", "a\r\nid: 99\n\ndata: x\u2028y")
    lines = events.line(entry).decode().split("\n")
    assert lines[0] == "id: 3"
    assert len(lines) == 5


@pytest.mark.parametrize(
    ("header", "address", "start"),
    [("7", 3, 7), ("", 3, 3), ("", None, None), ("-1", 3, 3), ("1e3", 3, 3), ("9" * 19, 3, 3), ("٣", 1, 1)],
)
def test_the_last_number_heard_wins_over_the_address(header, address, start):
    class Request:
        headers = {"last-event-id": header} if header else {}

    assert events.start_after(Request(), address) == start
