"""Lines on a terminal: a label, a text that wraps under itself, widths counted in terminal cells.

Japanese characters are two cells wide and break anywhere but before closing punctuation, so neither a library's
wrapping by spaces nor `len` will do. Used by everything that draws records.
"""

import re
from collections.abc import Iterable, Iterator

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from toban.entrypoints.cli.speech import safe
from toban.kit import text as texts

_NO_START = "、。，．・：；？！）」』】〉》〕]).,:;!?%ー々ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮ"  # noqa: RUF001 - kinsoku
_PIECE = re.compile(r"\s+|[\u1100-\u115f\u2e80-\uffdc]|[^\s\u1100-\u115f\u2e80-\uffdc]+")
_MINIMUM = 20
_DIFF_LINES = 40


def wrap(text: str, width: int) -> list[str]:
    """The text in lines of at most `width` cells; words longer than that are cut."""
    lines, line = [], ""
    for piece in _pieces(text, width):
        if cell_len(line) + cell_len(piece.rstrip()) <= width:
            line += piece
            continue
        lines.append(line.rstrip())
        line = piece.lstrip()
    return [*lines, line.rstrip()] if line.strip() or not lines else lines


def _pieces(text: str, width: int) -> Iterator[str]:
    held = ""
    for piece in _PIECE.findall(text):
        if held and (piece[0] in _NO_START or piece.isspace()):
            held += piece
            continue
        yield from _cut(held, width)
        held = piece
    yield from _cut(held, width)


def _cut(piece: str, width: int) -> Iterator[str]:
    while cell_len(piece.rstrip()) > width:
        end = max(index for index in range(1, len(piece)) if cell_len(piece[:index]) <= width or index == 1)
        yield piece[:end]
        piece = piece[end:]
    if piece:
        yield piece


def padded(text: str, width: int) -> str:
    """The text filled up to `width` cells."""
    return text + " " * max(width - cell_len(text), 0)


def fitted(text: str, width: int) -> str:
    """The text in at most `width` cells, with an ellipsis where something was cut."""
    if cell_len(text) <= width:
        return text
    kept = ""
    for character in text:
        if cell_len(kept + character) > width - 1:
            break
        kept += character
    return kept + "…"


class Paper:
    """Writes labelled lines; `margin` cells of every line are free for a clock, `label` cells for labels."""

    def __init__(self, console: Console, *, label: int, margin: int = 0) -> None:
        self._console = console
        self._label = label
        self._margin = margin

    def print(self, text: str = "", style: str = "") -> None:
        """A line or paragraph without a label."""
        for line in wrap(safe(text), max(self._console.width, _MINIMUM)) if text else [""]:
            self._raw(Text(line, style))

    def line(self, label: str, text: str, *, style: str = "", margin: str = "", label_style: str = "dim") -> None:
        """A label and its text, wrapped under itself."""
        indent = self._margin + self._label
        room = max(self._console.width - indent, _MINIMUM)
        for number, part in enumerate(wrap(safe(text), room)):
            head = Text(" " * indent)
            if number == 0:
                gap = " " if cell_len(label) >= self._label else ""
                head = Text(padded(margin, self._margin), "dim") + Text(padded(label, self._label) + gap, label_style)
            self._raw(head + Text(part, style))

    def diff(self, diff: str) -> None:
        """A unified diff, its signs kept, added and removed lines in colour; long ones are cut and say so."""
        lines = [line for line in diff.splitlines() if not line.startswith(("--- ", "+++ ", "@@"))]
        for line in self._bounded(lines):
            style = {"+": "green", "-": "red"}.get(line[:1], "dim")
            room = max(self._console.width - self._margin - self._label, _MINIMUM)
            shown = fitted(texts.visible(line).replace("\t", "    "), room)
            self._raw(Text(" " * (self._margin + self._label)) + Text(shown, style))

    @staticmethod
    def _bounded(lines: list[str]) -> Iterable[str]:
        yield from lines[:_DIFF_LINES]
        if len(lines) > _DIFF_LINES:
            yield f"… {len(lines) - _DIFF_LINES}"

    def _raw(self, text: Text) -> None:
        text.rstrip()
        self._console.print(text, no_wrap=True, overflow="ignore", crop=False)
