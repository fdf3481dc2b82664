"""Lanes over time: points and ranges, one lane for alerts, changes, analysis, people and actions, or one a severity.

Called by the incident page (its story) and by the first page (a week of incidents). The list below says the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo

from markupsafe import Markup

from toban.entrypoints.http.drawing import scale, svg

_TEXT = 11.0
_HIGH = 26.0
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
    bottom = 6 + _HIGH * len(rows)
    parts: list[Markup] = []
    for at, label in _ticks(window, x):
        parts.append(svg.element("line", x1=x(at), x2=x(at), y1=6, y2=bottom, class_="c-grid"))
        parts.append(svg.element("text", label, x=x(at), y=bottom + 15, text_anchor="middle", class_="c-tick"))
    for index, row in enumerate(rows):
        middle = 6 + _HIGH * (index + 0.5)
        parts.append(svg.element("line", x1=gutter, x2=width - 6, y1=middle, y2=middle, class_="l-rail"))
        parts.append(svg.element("text", row.name, x=4, y=middle + 4, class_="l-name"))
        parts += _spans(row, x, middle, width)
    return svg.Picture(svg.Box(0, 0, width, bottom + 22), svg.join(parts), title, text)


def _ticks(window: Window, x: scale.Scale) -> list[tuple[float, str]]:
    wanted = max(2, int((x.end - x.start) // 120))
    kept: list[tuple[float, str]] = []
    free = x.start - 24
    for at, label in scale.time_ticks(window.start, max(window.end, window.start + 1), window.zone, wanted):
        half = svg.text_width(label, _TEXT) / 2
        if x(at) - half >= free and x(at) + half <= x.end + 13:
            kept.append((at, label))
            free = x(at) + half + 10
    return kept


def _spans(row: Row, x: scale.Scale, middle: float, width: float) -> list[Markup]:
    parts: list[Markup] = []
    ordered = sorted(row.spans, key=lambda item: item.start)
    for span, after in zip(ordered, [*ordered[1:], None], strict=True):
        class_ = f"l-mark {row.class_} {span.class_}".strip()
        left = x(span.start)
        right = x(span.end) if span.end is not None else left
        if span.end is not None:
            shape = svg.element(
                "rect", x=left, y=middle - 6, width=max(right - left, 3), height=12, rx=3, class_=f"{class_} l-range"
            )
        else:
            shape = _shape(row.shape, left, middle, class_)
        parts.append(svg.element("g", svg.element("title", span.label) + shape))
        # A caption stands only where it touches neither the next mark nor the edge.
        edge = x(after.start) - 8 if after else width - 6
        start = max(right, left + 3) + 7
        if span.caption and start + svg.text_width(span.caption, _TEXT) <= edge:
            parts.append(svg.element("text", span.caption, x=start, y=middle + 4, class_="l-caption"))
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
