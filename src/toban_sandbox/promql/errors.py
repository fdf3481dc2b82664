"""What PromQL says when it cannot go on: raised by parser and evaluator, made HTTP answers by metrics.api."""

from __future__ import annotations


class PromQLError(Exception):
    """A query that cannot be answered."""


class ParseError(PromQLError):
    """The text is not in the supported language; the message starts with `line:column: parse error:`."""

    def __init__(self, message: str, *, text: str, position: int) -> None:
        before = text[:position]
        self.line = before.count("\n") + 1
        self.column = position - (before.rfind("\n") + 1) + 1
        self.detail = message
        super().__init__(f"{self.line}:{self.column}: parse error: {message}")


class QueryTimeoutError(PromQLError):
    """The evaluation took longer than it may, since everything else waits for it."""

    def __init__(self) -> None:
        super().__init__("query timed out in expression evaluation")


class ExecutionError(PromQLError):
    """The query is well formed, but the data does not allow an answer (many-to-many matching, equal label sets …)."""
