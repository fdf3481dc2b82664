"""Cron schedules: which moments they mean, and what is none."""

from datetime import UTC, datetime

import pytest

from toban_sandbox.kube import cron

START = datetime(2026, 11, 21, 10, 7, 30, tzinfo=UTC)  # a Saturday


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("* * * * *", "2026-11-21T10:08"),
        ("*/15 * * * *", "2026-11-21T10:15"),
        ("0 3 * * *", "2026-11-22T03:00"),
        ("30 10 * * 1-5", "2026-11-23T10:30"),
        ("0 0 1 jan *", "2027-01-01T00:00"),
        ("5,10 10-12/2 * * sat", "2026-11-21T10:10"),
        ("0 12 13 * 5", "2026-11-27T12:00"),
        ("0 0 29 2 *", "2028-02-29T00:00"),
        ("0 0 * * 7", "2026-11-22T00:00"),
        ("@hourly", "2026-11-21T11:00"),
        ("@every 90s", "2026-11-21T10:09"),
    ],
)
def test_a_schedule_knows_its_next_moment(text, moment):
    found = cron.parse(text).after(START)
    assert found.strftime("%Y-%m-%dT%H:%M") == moment


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("x * * * *", 'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'),
        ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("@sometimes", "unrecognized descriptor: @sometimes"),
    ],
)
def test_what_is_no_schedule_is_refused_with_the_reason(text, why):
    with pytest.raises(cron.ScheduleError) as refused:
        cron.parse(text)
    assert str(refused.value) == why


def test_a_day_that_never_comes_has_no_moment():
    assert cron.parse("0 0 30 2 *").after(START) is None
