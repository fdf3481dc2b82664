"""Between records and rows: times as ISO text, records as JSON."""

from datetime import UTC, datetime
from typing import Any, TypeVar

from toban.model.record import Record

R = TypeVar("R", bound=Record)


def time_text(value: datetime) -> str:
    """A time as text that sorts like time: UTC, microseconds, fixed width."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def json_of(record: Record) -> dict[str, Any]:
    """The record as JSON data."""
    return record.model_dump(mode="json")


def record_of(kind: type[R], data: Any) -> R:
    """The record from its JSON data."""
    return kind.model_validate(data)
