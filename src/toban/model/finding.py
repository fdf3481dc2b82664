"""Findings: the only way to know something. Hypotheses cite them by id."""

from enum import StrEnum
from typing import Any

from toban.kit import canonical
from toban.model.record import Instant, JsonValue, Record
from toban.model.service import ObjectRef


class FindingKind(StrEnum):
    """Where a finding's proof lies."""

    ALERT = "alert"
    KUBERNETES = "kubernetes"
    METRIC = "metric"
    LOG = "log"
    CHANGE = "change"
    TOPOLOGY = "topology"


class Finding(Record):
    """One piece of evidence.

    `code` is stable (`container.oom_killed`); page and report translate `code` with `facts`, and fall back to
    `statement`. `query` can be run again by hand. `quote` is text from outside: data, shown as such.
    `happened_at` is when the observed thing took place, `observed_at` when it was read.
    """

    id: str
    kind: FindingKind
    code: str
    subject: ObjectRef
    service: str | None = None
    statement: str
    facts: dict[str, JsonValue] = {}
    field: str = ""
    value: JsonValue = None
    expected: JsonValue = None
    quote: str = ""
    source: str
    query: str
    link: str = ""
    window_start: Instant | None = None
    window_end: Instant | None = None
    happened_at: Instant | None = None
    observed_at: Instant
    digest: str


def make(**fields: Any) -> Finding:
    """A finding with its id and digest worked out from what it says; the same evidence has the same id."""
    body = {key: value for key, value in fields.items() if key != "observed_at"}
    digest = canonical.digest(body)
    return Finding(id=f"F-{digest[:10]}", digest=digest, **fields)
