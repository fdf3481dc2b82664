"""What every record shares: frozen, strict about unknown fields, JSON in and out."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict


class Record(BaseModel):
    """A frozen record; unknown fields are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="strings")


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("time without a zone; write it with an offset, such as 2026-11-21T03:00:00Z")
    return value.astimezone(UTC)


Instant = Annotated[datetime, AfterValidator(_aware)]
"""An aware time, kept in UTC."""

JsonValue = Any
"""Plain JSON data."""

S = TypeVar("S")


class StateTable(Generic[S]):
    """A state machine as data: which state may follow which."""

    def __init__(self, moves: Mapping[S, frozenset[S] | set[S]]) -> None:
        self.moves: dict[S, frozenset[S]] = {state: frozenset(after) for state, after in moves.items()}

    def allows(self, before: S, after: S) -> bool:
        """Whether `after` may follow `before` directly."""
        return after in self.moves[before]

    def ends(self) -> frozenset[S]:
        """States that nothing may follow."""
        return frozenset(state for state, after in self.moves.items() if not after)
