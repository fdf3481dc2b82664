"""Schedules in cron's five fields: read once, then asked for the next moment.

Used by the CronJob controller and by validation. Descriptors such as `@hourly` and `@every 5m` are known too.
"""

import re
from datetime import datetime, timedelta, tzinfo
from typing import NamedTuple

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_EVERY = re.compile(r"@every (?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?\Z")
_FIELDS = 5
_LONGEST_SEARCH_DAYS = 366 * 5
_WEEK = 7


class _Bounds(NamedTuple):
    first: int
    last: int
    names: tuple[str, ...] = ()
    base: int = 0


_BOUNDS = (
    _Bounds(0, 59),
    _Bounds(0, 23),
    _Bounds(1, 31),
    _Bounds(1, 12, tuple(_MONTHS), 1),
    _Bounds(0, 7, tuple(_DAYS), 0),
)


class ScheduleError(ValueError):
    """The text is no schedule; the message says why, in the words of Kubernetes' own parser."""


class Schedule(NamedTuple):
    """The allowed minutes, hours, days, months and weekdays, or a fixed distance in seconds."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    any_day: bool
    any_weekday: bool
    every_s: int = 0

    def after(self, moment: datetime) -> datetime | None:
        """The first moment of the schedule after another one, in that one's zone; None when there is none."""
        if self.every_s:
            return moment.replace(microsecond=0) + timedelta(seconds=self.every_s)
        found = moment.replace(second=0, microsecond=0) + timedelta(minutes=1)
        limit = found + timedelta(days=_LONGEST_SEARCH_DAYS)
        while found < limit:
            if found.month not in self.months or not self._is_day(found):
                found = (found + timedelta(days=1)).replace(hour=0, minute=0)
            elif found.hour not in self.hours:
                found = (found + timedelta(hours=1)).replace(minute=0)
            elif found.minute not in self.minutes:
                found += timedelta(minutes=1)
            else:
                return found
        return None

    def _is_day(self, moment: datetime) -> bool:
        day, weekday = moment.day in self.days, moment.isoweekday() % _WEEK in self.weekdays
        # Cron's old rule: when both are restricted, either will do.
        return day and weekday if self.any_day or self.any_weekday else day or weekday


def parse(text: str) -> Schedule:
    """A schedule out of its text; ScheduleError when it is none."""
    text = text.strip()
    if text.startswith("@"):
        return _descriptor(text)
    fields = text.split()
    if len(fields) != _FIELDS:
        raise ScheduleError(f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]")
    minutes, hours, days, months, weekdays = (
        _field(field, bounds) for field, bounds in zip(fields, _BOUNDS, strict=True)
    )
    folded = frozenset(day % _WEEK for day in weekdays)
    return Schedule(minutes, hours, days, months, folded, _is_open(fields[2]), _is_open(fields[4]))


def _descriptor(text: str) -> Schedule:
    if text in _DESCRIPTORS:
        return parse(_DESCRIPTORS[text])
    found = _EVERY.match(text)
    seconds = (
        sum(int(part or 0) * size for part, size in zip(found.groups(), (3600, 60, 1), strict=True)) if found else 0
    )
    if not seconds:
        raise ScheduleError(f"unrecognized descriptor: {text}")
    nothing: frozenset[int] = frozenset()
    return Schedule(nothing, nothing, nothing, nothing, nothing, any_day=True, any_weekday=True, every_s=seconds)


def _is_open(field: str) -> bool:
    return field.startswith(("*", "?"))


def _field(field: str, bounds: _Bounds) -> frozenset[int]:
    found: set[int] = set()
    for part in field.split(","):
        found |= set(_part(part, bounds))
    return frozenset(found)


def _part(part: str, bounds: _Bounds) -> range:
    span, slash, step_text = part.partition("/")
    step = _number(step_text, bounds, part) if slash else 1
    if step == 0:
        raise ScheduleError(f"step of range should be a positive number: {part}")
    if span in {"*", "?"}:
        first, last = bounds.first, bounds.last
    else:
        low, dash, high = span.partition("-")
        first = _number(low, bounds, part)
        last = _number(high, bounds, part) if dash else (bounds.last if slash else first)
    if first < bounds.first:
        raise ScheduleError(f"beginning of range ({first}) below minimum ({bounds.first}): {part}")
    if last > bounds.last:
        raise ScheduleError(f"end of range ({last}) above maximum ({bounds.last}): {part}")
    if first > last:
        raise ScheduleError(f"beginning of range ({first}) beyond end of range ({last}): {part}")
    return range(first, last + 1, step)


def _number(text: str, bounds: _Bounds, part: str) -> int:
    if text.lower() in bounds.names:
        return bounds.names.index(text.lower()) + bounds.base
    if not text.isdigit():
        raise ScheduleError(f'failed to parse int from {text or part}: strconv.Atoi: parsing "{text}": invalid syntax')
    return int(text)


def missed(schedule: Schedule, since: datetime, now: datetime, *, zone: tzinfo) -> list[datetime]:
    """The moments of a schedule after `since` and up to now, at most 101 of them, oldest first."""
    most = 101
    found: list[datetime] = []
    moment = schedule.after(since.astimezone(zone))
    while moment is not None and moment <= now and len(found) < most:
        found.append(moment)
        moment = schedule.after(moment)
    return found
