"""A unified diff as lines with what each is: the page colours them and keeps their signs. Called by the plan."""

from dataclasses import dataclass

_LIMIT = 400


@dataclass(frozen=True)
class Line:
    """`kind` is head, hunk, added, removed or same; `text` keeps the sign."""

    kind: str
    text: str


def lines(diff: str) -> tuple[list[Line], int]:
    """At most 400 lines, and how many were left out."""
    all_lines = diff.splitlines()
    return [Line(_kind(text), text) for text in all_lines[:_LIMIT]], max(len(all_lines) - _LIMIT, 0)


def _kind(text: str) -> str:
    if text.startswith(("--- ", "+++ ")):
        return "head"
    if text.startswith("@@"):
        return "hunk"
    return {"+": "added", "-": "removed"}.get(text[:1], "same")
