"""The simulated clock: speeds, pauses, jumps and the calls that wait for them."""

import asyncio
from datetime import UTC, datetime

import pytest

from toban_sandbox.clock import Clock

START = datetime(2026, 11, 1, tzinfo=UTC)


def test_a_paused_clock_stands_still():
    clock = Clock(speed=0, start=START)
    assert clock.now() == clock.now() == START


def test_a_jump_moves_the_clock_by_exactly_that_much():
    clock = Clock(speed=0, start=START)
    clock.advance(90)
    assert (clock.now() - START).total_seconds() == 90


def test_time_does_not_jump_when_the_speed_changes():
    clock = Clock(speed=1000, start=START)
    before = clock.time()
    clock.speed = 0
    assert 0 <= clock.time() - before < 60


def test_a_negative_speed_is_refused():
    with pytest.raises(ValueError, match="negative"):
        Clock(speed=-1)


async def test_calls_come_in_the_order_of_their_moments():
    clock, seen = Clock(speed=0, start=START), []
    for seconds in (3, 1, 2):
        clock.call_later(seconds, lambda seconds=seconds: seen.append(seconds))
    clock.advance(10)
    await asyncio.sleep(0.001)
    assert seen == [1, 2, 3]


async def test_a_cancelled_call_never_comes():
    clock, seen = Clock(speed=0, start=START), []
    clock.call_later(1, lambda: seen.append(1)).cancel()
    clock.advance(10)
    await asyncio.sleep(0.001)
    assert seen == []


async def test_sleepers_wake_when_a_paused_clock_goes_on():
    clock = Clock(speed=0, start=START)
    sleeper = asyncio.create_task(clock.sleep(5))
    await asyncio.sleep(0.01)
    assert not sleeper.done()
    clock.speed = 10_000
    await asyncio.wait_for(sleeper, 1)


async def test_one_call_that_fails_does_not_stop_the_others():
    clock, seen = Clock(speed=0, start=START), []

    def fails():
        raise RuntimeError("on purpose")

    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda *_: seen.append("reported"))
    clock.call_later(1, fails)
    clock.call_later(2, lambda: seen.append("second"))
    clock.advance(10)
    await asyncio.sleep(0.01)
    assert seen == ["reported", "second"]
