"""A metric over time: its line, the normal band, where it left the band, and the changes near it.

Called by the incident page for metric findings, once wide and once for narrow screens. A list beside it says the same.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo

from markupsafe import Markup

from toban.entrypoints.http.drawing import scale, svg

_TEXT = 11.0
_ROW = 15.0
_POINTS_SHOWN = 480
_LINE = 2  # points that make a line


@dataclass(frozen=True)
class Mark:
    """A moment (Unix seconds) with a short label, drawn as a dashed line."""

    at: float
    label: str


@dataclass(frozen=True)
class Series:
    """Points (Unix seconds, value) in order, the normal band, when it left the band, a limit above (`ceiling`)."""

    points: tuple[tuple[float, float], ...]
    low: float | None = None
    high: float | None = None
    onset: float | None = None
    end: float | None = None
    marks: tuple[Mark, ...] = ()
    ceiling: float | None = None


@dataclass(frozen=True)
class Labels:
    """The words in the picture."""

    title: str
    text: str
    normal: str
    anomaly: str
    ceiling: str = ""


def draw(series: Series, labels: Labels, *, zone: tzinfo, width: float, height: float) -> svg.Picture | None:
    """The chart, or None with fewer than two finite points."""
    points = [(at, value) for at, value in series.points if math.isfinite(at) and math.isfinite(value)]
    points = points[-_POINTS_SHOWN:]
    if len(points) < _LINE or points[-1][0] <= points[0][0]:
        return None
    marks = [mark for mark in series.marks if points[0][0] <= mark.at <= points[-1][0]]
    ticks = scale.nice_ticks(*_range(series, points))
    left = 10 + max(svg.text_width(scale.tick_label(tick), _TEXT) for tick in ticks)
    rows = _rows(marks, scale.Scale(points[0][0], points[-1][0], left, width - 12), width)
    top = 8 + _ROW * (max(rows, default=-1) + 1) + (_ROW if series.onset is not None else 0)
    plot = svg.Box(left, top, width - 12, max(height, top + 110) - 22)
    x = scale.Scale(points[0][0], points[-1][0], plot.left, plot.right)
    y = scale.Scale(ticks[0], ticks[-1], plot.bottom, plot.top)
    parts = [
        *_grid(ticks, plot, y),
        *_times(points, plot, x, zone),
        *_band(series, plot, y, labels),
        *_anomaly(series, plot, x, labels),
        *_ceiling(series, plot, y, labels),
        svg.element("polyline", points=svg.points([(x(at), y(value)) for at, value in points]), class_="c-line"),
        svg.element("circle", cx=x(points[-1][0]), cy=y(points[-1][1]), r=3.5, class_="c-last"),
        *_changes(marks, rows, plot, x),
    ]
    return svg.Picture(svg.Box(0, 0, width, plot.bottom + 22), svg.join(parts), labels.title, labels.text)


def _range(series: Series, points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    values = [value for _, value in points]
    extra = (series.low, series.high, series.ceiling)
    values += [value for value in extra if value is not None and math.isfinite(value)]
    low, high = min(values), max(values)
    if low >= 0 and high > 0 and low < 0.5 * high:
        low = 0.0  # a scale from zero shows how much, where zero is near
    return low, high


def _grid(ticks: Sequence[float], plot: svg.Box, y: scale.Scale) -> list[Markup]:
    parts = []
    for tick in ticks:
        at = y(tick)
        parts.append(svg.element("line", x1=plot.left, x2=plot.right, y1=at, y2=at, class_="c-grid"))
        label = scale.tick_label(tick)
        parts.append(svg.element("text", label, x=plot.left - 5, y=at + 4, text_anchor="end", class_="c-tick"))
    return parts


def _times(points: Sequence[tuple[float, float]], plot: svg.Box, x: scale.Scale, zone: tzinfo) -> list[Markup]:
    parts = []
    free = 0.0
    for at, label in scale.time_ticks(points[0][0], points[-1][0], zone, max(2, int(plot.width // 85))):
        half = svg.text_width(label, _TEXT) / 2
        place = min(max(x(at), half + 1), plot.right + 12 - half - 1)
        if place - half < free:
            continue
        free = place + half + 8
        parts.append(svg.element("line", x1=x(at), x2=x(at), y1=plot.bottom, y2=plot.bottom + 4, class_="c-axis"))
        parts.append(svg.element("text", label, x=place, y=plot.bottom + 17, text_anchor="middle", class_="c-tick"))
    return parts


def _band(series: Series, plot: svg.Box, y: scale.Scale, labels: Labels) -> list[Markup]:
    if series.low is None or series.high is None or not math.isfinite(series.low + series.high):
        return []
    top, bottom = y(series.high), y(series.low)
    height = max(bottom - top, 2.0)
    top = min(top, plot.bottom - height)
    band = svg.element("rect", x=plot.left, y=top, width=plot.width, height=height, class_="c-band")
    words = svg.fitted(labels.normal, _TEXT, plot.width * 0.75)
    # Above the band where there is room, else inside it.
    at = top - 4 if top - _ROW > plot.top else min(top + 12, plot.bottom - 3)
    return [band, svg.element("text", words, x=plot.left + 4, y=at, class_="c-note")]


def _ceiling(series: Series, plot: svg.Box, y: scale.Scale, labels: Labels) -> list[Markup]:
    if series.ceiling is None:
        return []
    at = y(series.ceiling)
    words = svg.fitted(labels.ceiling, _TEXT, plot.width / 2)
    return [
        svg.element("line", x1=plot.left, x2=plot.right, y1=at, y2=at, class_="c-ceiling"),
        svg.element("text", words, x=plot.left + 4, y=at - 5 if at - 16 > plot.top else at + 13, class_="c-warn"),
    ]


def _anomaly(series: Series, plot: svg.Box, x: scale.Scale, labels: Labels) -> list[Markup]:
    if series.onset is None or not x.low <= series.onset <= x.high:
        return []
    left = x(series.onset)
    right = x(series.end) if series.end is not None else plot.right
    words = svg.fitted(labels.anomaly, _TEXT, plot.right - 4)
    half = svg.text_width(words, _TEXT)
    ends = left + half > plot.right
    return [
        svg.element("rect", x=left, y=plot.top, width=max(right - left, 1), height=plot.height, class_="c-bad"),
        svg.element("line", x1=left, x2=left, y1=plot.top - 4, y2=plot.bottom, class_="c-onset"),
        svg.element(
            "text",
            words,
            x=plot.right if ends else left,
            y=plot.top - 7,
            text_anchor="end" if ends else "start",
            class_="c-warn",
        ),
    ]


def _rows(marks: Sequence[Mark], x: scale.Scale, width: float) -> list[int]:
    """The row above the plot for each mark's label, so that no two labels touch."""
    ends: list[float] = []
    rows = []
    for mark in marks:
        wide = min(svg.text_width(mark.label, _TEXT), width * 0.6)
        start = min(x(mark.at), width - 4 - wide)
        row = next((index for index, end in enumerate(ends) if end + 8 <= start), len(ends))
        ends[row : row + 1] = [start + wide]
        rows.append(row)
    return rows


def _changes(marks: Sequence[Mark], rows: Sequence[int], plot: svg.Box, x: scale.Scale) -> list[Markup]:
    parts = []
    for mark, row in zip(marks, rows, strict=True):
        at, y = x(mark.at), 4 + _ROW * (row + 1) - 4
        label = svg.fitted(mark.label, _TEXT, (plot.right + 12) * 0.6)
        start = min(at, plot.right + 8 - svg.text_width(label, _TEXT))
        parts.append(svg.element("line", x1=at, x2=at, y1=y + 3, y2=plot.bottom, class_="c-change"))
        parts.append(svg.element("text", label, x=max(start, 2), y=y, class_="c-mark"))
    return parts
