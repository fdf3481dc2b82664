"""Lanes over time: points and ranges, one lane for alerts, changes, analysis, people and actions, or one a severity.

Called by the incident page (its story) and by the first page (a week of incidents). The list below says the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from itertools import zip_longest

from markupsafe import Markup

from toban.entrypoints.http.drawing import scale, svg

_TEXT = 11.0
_HIGH = 26.0
_BAR = 8.0
_STACKED = 8
_EDGE = 4.0
_SHAPES = ("circle", "diamond", "square", "triangle", "bar")


@dataclass(frozen=True)
class Span:
    """Something in a lane, from `start` to `end` (Unix seconds); without `end` it is a moment."""

    start: float
    end: float | None
    label: str
    class_: str = ""
    caption: str = ""


@dataclass(frozen=True)
class Row:
    """A lane with its name; `shape` is one of circle, diamond, square, triangle, bar."""

    name: str
    spans: tuple[Span, ...]
    shape: str = "circle"
    class_: str = ""


@dataclass(frozen=True)
class Window:
    """The time shown, in Unix seconds, and the zone of its labels."""

    start: float
    end: float
    zone: tzinfo


def draw(rows: Sequence[Row], window: Window, *, title: str, text: str = "", width: float) -> svg.Picture | None:
    """The lanes, or None when there is nothing in them."""
    if not any(row.spans for row in rows):
        return None
    gutter = 14 + max(svg.text_width(row.name, _TEXT) for row in rows)
    end = max(window.end, window.start + 1)
    x = scale.Scale(window.start, end, gutter + 6, width - 14)
    tops = [_EDGE]
    for row in rows:
        tops.append(tops[-1] + _height(row))
    bottom = tops[-1]
    parts: list[Markup] = []
    for at, label in _ticks(window, x):
        parts.append(svg.element("line", x1=x(at), x2=x(at), y1=_EDGE, y2=bottom, class_="c-grid"))
        parts.append(svg.element("text", label, x=x(at), y=bottom + 15, text_anchor="middle", class_="c-tick"))
    for row, top, below in zip(rows, tops, tops[1:], strict=False):
        middle = (top + below) / 2
        parts.append(svg.element("line", x1=4, x2=width - 6, y1=below, y2=below, class_="l-rail"))
        parts.append(svg.element("text", row.name, x=4, y=middle + 4, class_="l-name"))
        parts += _ranges(row, x, top)
        parts += _moments(row, x, middle, width)
    return svg.Picture(svg.Box(0, 0, width, bottom + 22), svg.join(parts), title, text)


def _height(row: Row) -> float:
    ranges = sum(span.end is not None for span in row.spans)
    return max(_HIGH, 8 + _BAR * min(ranges, _STACKED))


def _ticks(window: Window, x: scale.Scale) -> list[tuple[float, str]]:
    wanted = max(2, int((x.end - x.start) // 95))
    kept: list[tuple[float, str]] = []
    free = x.start - 24
    for at, label in scale.time_ticks(window.start, max(window.end, window.start + 1), window.zone, wanted):
        half = svg.text_width(label, _TEXT) / 2
        if x(at) - half >= free and x(at) + half <= x.end + 13:
            kept.append((at, label))
            free = x(at) + half + 10
    return kept


def _ranges(row: Row, x: scale.Scale, top: float) -> list[Markup]:
    """Ranges one under the other, so that none hides another; beyond eight they share the last place."""
    parts: list[Markup] = []
    ranges = sorted((span for span in row.spans if span.end is not None), key=lambda item: item.start)
    inset = (_height(row) - _BAR * min(len(ranges), _STACKED)) / 2
    for index, span in enumerate(ranges):
        left, right = x(span.start), x(span.end if span.end is not None else span.start)
        bar = svg.element(
            "rect",
            x=min(left, x.end - 4),
            y=top + inset + _BAR * min(index, _STACKED - 1) + 1,
            width=max(right - left, 4),
            height=_BAR - 2,
            rx=2,
            class_=f"l-mark {row.class_} {span.class_} l-range".replace("  ", " "),
        )
        parts.append(svg.element("g", svg.element("title", span.label) + bar))
    return parts


def _moments(row: Row, x: scale.Scale, middle: float, width: float) -> list[Markup]:
    parts: list[Markup] = []
    ordered = sorted((span for span in row.spans if span.end is None), key=lambda item: item.start)
    for span, after in zip_longest(ordered, ordered[1:]):
        at = x(span.start)
        shape = _shape(row.shape, at, middle, f"l-mark {row.class_} {span.class_}".strip())
        parts.append(svg.element("g", svg.element("title", span.label) + shape))
        # A caption stands only where it touches neither the next mark nor the edge.
        edge = x(after.start) - 8 if after else width - 6
        if span.caption and at + 10 + svg.text_width(span.caption, _TEXT) <= edge:
            parts.append(svg.element("text", span.caption, x=at + 10, y=middle + 4, class_="l-caption"))
    return parts


def _shape(name: str, x: float, y: float, class_: str) -> Markup:
    if name == "circle":
        return svg.element("circle", cx=x, cy=y, r=5, class_=class_)
    if name == "square":
        return svg.element("rect", x=x - 4.5, y=y - 4.5, width=9, height=9, class_=class_)
    if name == "bar":
        return svg.element("rect", x=x - 2, y=y - 7, width=4, height=14, class_=class_)
    corners = {
        "diamond": [(x, y - 6), (x + 6, y), (x, y + 6), (x - 6, y)],
        "triangle": [(x, y - 6), (x + 6, y + 5), (x - 6, y + 5)],
    }[name if name in _SHAPES else "diamond"]
    return svg.element("polygon", points=svg.points(corners), class_=class_)
