"""The parsed form of an expression: frozen nodes, made by the parser, read by the evaluator and the printer."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from toban_sandbox.promql.matchers import Matcher


class Type(StrEnum):
    """What an expression yields; the values are Prometheus's words."""

    SCALAR = "scalar"
    VECTOR = "instant vector"
    RANGE = "range vector"
    STRING = "string"


@dataclass(frozen=True, slots=True)
class Number:
    value: float


@dataclass(frozen=True, slots=True)
class String:
    value: str


@dataclass(frozen=True, slots=True)
class When:
    """How a selector is moved in time; `at` is a fixed time in milliseconds, "start" or "end"."""

    offset_ms: int = 0
    at: int | str | None = None


NOW = When()


@dataclass(frozen=True, slots=True)
class Selector:
    """`name{matchers} offset 5m`; `name` is the part before the braces, already one of the matchers."""

    matchers: tuple[Matcher, ...]
    name: str = ""
    when: When = NOW


@dataclass(frozen=True, slots=True)
class Range:
    """`selector[5m]`."""

    selector: Selector
    range_ms: int


@dataclass(frozen=True, slots=True)
class Subquery:
    """`expr[30m:1m]`; without a step the engine's default is used."""

    expr: Expr
    range_ms: int
    step_ms: int | None = None
    when: When = NOW


@dataclass(frozen=True, slots=True)
class Call:
    function: str
    args: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Aggregate:
    """`op by|without (grouping) (param, expr)`."""

    operator: str
    expr: Expr
    param: Expr | None = None
    grouping: tuple[str, ...] = ()
    without: bool = False


@dataclass(frozen=True, slots=True)
class Matching:
    """`on|ignoring (labels) group_left|group_right (include)`; `group` is "left", "right" or empty (one-to-one)."""

    labels: tuple[str, ...] = ()
    on: bool = False
    group: str = ""
    include: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Binary:
    operator: str
    left: Expr
    right: Expr
    returns_bool: bool = False
    matching: Matching = field(default_factory=Matching)


@dataclass(frozen=True, slots=True)
class Unary:
    operator: str
    expr: Expr


@dataclass(frozen=True, slots=True)
class Paren:
    expr: Expr


Expr = Number | String | Selector | Range | Subquery | Call | Aggregate | Binary | Unary | Paren
