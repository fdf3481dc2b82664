"""Pictures are well-formed, say what they show, and keep everything inside their frame."""

import math
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from browser.support import web_cases
from toban.entrypoints.http.drawing import causal_graph, causal_tree, chart, lanes, scale, svg
from toban.entrypoints.http.i18n.words import Words
from toban.entrypoints.http.views import evidence, pictures
from toban.model.diagnosis import GraphEdge, GraphNode

_SVG = "{http://www.w3.org/2000/svg}"
_SIZES = {"g-label": 13, "g-root ": 13}
_SLACK = 0.02
_TEXTS = st.text(st.characters(blacklist_categories=("Cs",)), max_size=60)


def _say(key):
    return Words("en")(key)


def _tree(picture):
    return ET.fromstring(str(picture.markup(id_="p")))


def _corners(element):
    """All coordinates that a shape or text touches."""
    tag, a = element.tag.removeprefix(_SVG), element.attrib
    if tag == "rect":
        x, y = float(a["x"]), float(a["y"])
        return [(x, y), (x + float(a["width"]), y + float(a["height"]))]
    if tag == "circle":
        x, y, r = (float(a[name]) for name in ("cx", "cy", "r"))
        return [(x - r, y - r), (x + r, y + r)]
    if tag == "line":
        return [(float(a["x1"]), float(a["y1"])), (float(a["x2"]), float(a["y2"]))]
    if tag in {"polyline", "polygon"}:
        return [tuple(map(float, pair.split(","))) for pair in a["points"].split()]
    if tag == "text":
        size = _SIZES.get(a["class"], 11)
        wide = svg.text_width(element.text or "", size)
        x, y = float(a["x"]), float(a["y"])
        left = x - {"middle": wide / 2, "end": wide}.get(a.get("text-anchor", "start"), 0.0)
        return [(left, y - size * 0.8), (left + wide, y + size * 0.2)]
    return []


def assert_inside(picture):
    tree = _tree(picture)
    left, top, width, height = map(float, tree.attrib["viewBox"].split())
    seen = 0
    for element in tree.iter():
        for x, y in _corners(element):
            seen += 1
            assert math.isfinite(x)
            assert math.isfinite(y)
            assert left - _SLACK <= x <= left + width + _SLACK, ET.tostring(element)
            assert top - _SLACK <= y <= top + height + _SLACK, ET.tostring(element)
    assert seen
    assert tree.attrib["role"] == "img"
    assert tree.find(f"{_SVG}title").text


@st.composite
def _graphs(draw):
    count = draw(st.integers(1, 10))
    roles = st.sampled_from(["cause", "effect", "change", "context", "other"])
    nodes = [
        GraphNode(id=f"n{index}", label=draw(_TEXTS), detail=draw(_TEXTS), role=draw(roles)) for index in range(count)
    ]
    ends = st.integers(0, count - 1)
    pairs = draw(st.lists(st.tuples(ends, ends), max_size=14, unique=True))
    weights = st.floats(-1, 2, allow_nan=False)
    return nodes, [GraphEdge(cause=f"n{a}", effect=f"n{b}", weight=draw(weights)) for a, b in pairs]


@given(graph=_graphs(), narrow=st.booleans())
@settings(max_examples=60, deadline=None)
def test_any_graph_lies_inside_its_frame(graph, narrow):
    nodes, edges = graph
    if narrow:
        picture = causal_tree.draw(nodes, edges, say=Words("en"), title="Causal graph", width=336)
    else:
        picture = causal_graph.draw(nodes, edges, say=_say, title="Causal graph")
    assert picture is not None
    assert_inside(picture)


def test_a_graph_without_nodes_is_no_picture():
    assert causal_graph.draw([], [], say=_say, title="x") is None


def test_edges_to_unknown_nodes_are_left_out():
    node = GraphNode(id="a", label="a", role="cause")
    picture = causal_graph.draw([node], [GraphEdge(cause="a", effect="gone", weight=1)], say=_say, title="x")
    assert "g-edge" not in str(picture.body)


@given(graph=_graphs())
@settings(max_examples=40, deadline=None)
def test_the_narrow_graph_shows_every_node_once(graph):
    nodes, edges = graph
    picture = causal_tree.draw(nodes, edges, say=Words("en"), title="x", width=336)
    boxes = [one for one in _tree(picture).iter() if "g-node" in one.attrib.get("class", "")]
    assert len(boxes) == len(nodes)


def test_the_narrow_graph_is_as_narrow_as_a_telephone_and_names_what_it_leaves_out():
    more = GraphEdge(cause="change:F-1", effect="service:frontend", weight=0.2)
    edges = (*web_cases.edges(), more)
    picture = causal_tree.draw(web_cases.nodes(), edges, say=Words("en"), title="x", width=336)
    assert picture.frame.width <= 336
    assert "also from checkout" in str(picture.body)


def test_the_root_is_told_by_a_word_and_a_shape_of_its_own():
    picture = causal_graph.draw(web_cases.nodes(), web_cases.edges(), say=_say, title="x")
    shapes = [element for element in _tree(picture).iter() if "g-root" in element.attrib.get("class", "")]
    assert [shape.tag for shape in shapes] == [f"{_SVG}polygon"]
    assert "root cause" in str(picture.body)


def test_a_heavier_edge_is_drawn_thicker():
    nodes = [GraphNode(id=name, label=name) for name in "abc"]
    edges = [GraphEdge(cause="a", effect="b", weight=0.1), GraphEdge(cause="a", effect="c", weight=0.9)]
    lines = list(_tree(causal_graph.draw(nodes, edges, say=_say, title="x")).iter(f"{_SVG}polyline"))
    thin, thick = (float(line.attrib["stroke-width"]) for line in lines)
    assert thin < thick


@given(
    values=st.lists(st.floats(-1e12, 1e12), min_size=2, max_size=60),
    band=st.none() | st.tuples(st.floats(-1e12, 1e12), st.floats(0, 1e12)),
    onset=st.none() | st.floats(-100, 4000),
    marks=st.lists(st.tuples(st.floats(-100, 4000), _TEXTS), max_size=5),
    width=st.sampled_from([336.0, 452.0, 720.0]),
)
@settings(max_examples=120, deadline=None)
def test_any_chart_lies_inside_its_frame(values, band, onset, marks, width):
    start = web_cases.NOW.timestamp()
    low, high = (None, None) if band is None else (band[0], band[0] + band[1])
    series = chart.Series(
        tuple((start + 60 * index, value) for index, value in enumerate(values)),
        low,
        high,
        None if onset is None else start + onset,
        None,
        tuple(chart.Mark(start + at, label) for at, label in marks),
        high,
    )
    labels = chart.Labels("Metric", "in words", "normal 1 to 2", "left normal at 12:00:00", "Limit 1Gi")
    picture = chart.draw(series, labels, zone=UTC, width=width, height=190)
    assert picture is not None
    assert_inside(picture)


def test_a_chart_of_one_point_is_no_picture():
    labels = chart.Labels("a", "b", "c", "d")
    assert chart.draw(chart.Series(((1.0, 1.0),)), labels, zone=UTC, width=300, height=100) is None


def test_a_chart_leaves_out_what_is_not_a_number():
    series = chart.Series(((0.0, 1.0), (60.0, math.nan), (120.0, math.inf), (180.0, 2.0)))
    assert_inside(chart.draw(series, chart.Labels("a", "b", "c", "d"), zone=UTC, width=300, height=100))


@st.composite
def _rows(draw):
    moment = st.floats(0, 7200)
    rows = []
    for _ in range(draw(st.integers(1, 5))):
        spans = []
        for _ in range(draw(st.integers(0, 10))):
            start = draw(moment)
            end = draw(st.none() | moment.map(lambda length, start=start: start + length))
            spans.append(lanes.Span(start, end, draw(_TEXTS), caption=draw(_TEXTS)))
        shape = draw(st.sampled_from(["circle", "square", "bar", "diamond", "triangle"]))
        rows.append(lanes.Row(draw(st.sampled_from(["Alerts", "アラート", "x"])), tuple(spans), shape))
    return rows


@given(rows=_rows(), width=st.sampled_from([336.0, 1320.0]))
@settings(max_examples=80, deadline=None)
def test_any_lanes_lie_inside_their_frame(rows, width):
    picture = lanes.draw(rows, lanes.Window(0, 7200, UTC), title="Lanes", width=width)
    if any(row.spans for row in rows):
        assert_inside(picture)
    else:
        assert picture is None


@given(low=st.floats(-1e15, 1e15), span=st.floats(1e-9, 1e15))
def test_ticks_enclose_the_range_and_are_few(low, span):
    ticks = scale.nice_ticks(low, low + span)
    assert ticks[0] <= low + abs(low) * 1e-9 + 1e-11
    assert ticks[-1] >= (low + span) - abs(low + span) * 1e-9 - 1e-11
    assert 2 <= len(ticks) <= 12


def test_time_ticks_stand_on_full_local_times_and_name_a_new_day():
    start = datetime(2026, 11, 21, 14, 50, tzinfo=UTC)
    end = start + timedelta(minutes=30)
    ticks = scale.time_ticks(start.timestamp(), end.timestamp(), ZoneInfo("Asia/Tokyo"), 3)
    assert [label for _, label in ticks] == ["23:50", "11-22 00:00", "00:10", "00:20"] or [
        label for _, label in ticks
    ] == ["23:50", "11-22 00:00", "00:10"]


@given(words=_TEXTS, room=st.floats(5, 300))
def test_a_fitted_text_is_never_wider_than_its_room_or_one_ellipsis(words, room):
    fitted = svg.fitted(words, 11, room)
    assert svg.text_width(fitted, 11) <= max(room, svg.text_width("…", 11))


def test_hidden_characters_and_markup_from_outside_are_shown_as_text():
    node = GraphNode(id="x", label=web_cases.HOSTILE, detail=web_cases.HOSTILE)
    markup = str(causal_graph.draw([node], [], say=_say, title=web_cases.HOSTILE).markup(id_="p"))
    assert "<script" not in markup
    assert "<img" not in markup
    assert "\u202e" not in markup
    ET.fromstring(markup)


@pytest.mark.parametrize("id_", sorted(web_cases.all_cases()))
def test_the_pictures_of_every_case_lie_inside_their_frames(id_):
    case, words = web_cases.all_cases()[id_], Words("ja")
    nodes, edges = pictures.spoken_graph(case, words)
    graph = causal_graph.draw(nodes, edges, say=words, title="graph")
    assert (graph is None) == (case.diagnosis is None)
    drawn = [graph] if graph else []
    rows, start, end = pictures.story_rows(case, words, web_cases.NOW)
    drawn.append(lanes.draw(rows, lanes.Window(start, end, UTC), title="story", width=1320))
    for finding in evidence.charted(case):
        found = pictures.series(finding, case, words)
        labels = pictures.chart_labels(finding, found.unit, words, lambda at: f"{at:%Y-%m-%d %H:%M:%S}")
        drawn.append(chart.draw(found.series, labels, zone=UTC, width=452, height=200))
    for picture in drawn:
        assert_inside(picture)


def test_bytes_are_drawn_in_mebibytes_with_their_limit():
    case = web_cases.awaiting()
    found = pictures.series(web_cases.near_limit(), case, Words("en"))
    assert found.unit == "MiB"
    assert found.series.ceiling == 128


@pytest.mark.parametrize("points", [None, [], [[1, 2]], [["a", "b"], ["c", "d"]], [[1, 2, 3], [4, 5, 6]], "12"])
def test_points_of_another_form_are_not_drawn(points):
    finding = web_cases.near_limit()
    odd = finding.model_copy(update={"facts": {**finding.facts, "points": points}})
    assert pictures.series(odd, web_cases.awaiting(), Words("en")) is None
