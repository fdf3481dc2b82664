"""The causal graph: what led to what, how strongly, and which node is the root.

Called by the incident page, once lying (left to right) and once standing for narrow screens. Layout is graphlay's. The
root is told by its shape and a word, never by colour alone. The table beside the picture says the same in words.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import graphlay
from markupsafe import Markup

from toban.entrypoints.http.drawing import svg
from toban.model.diagnosis import GraphEdge, GraphNode

_LABEL, _SMALL = 13.0, 11.0
_LINE, _SMALL_LINE = 17.0, 15.0
_PAD, _NOSE = 10.0, 12.0
_LEAST, _MOST = 112.0, 184.0
_MARGIN = 10.0
_HEAD = 9.0
_ROLES = frozenset({"cause", "effect", "change", "context"})


@dataclass(frozen=True)
class _Drawn:
    node: GraphNode
    label: list[str]
    detail: str
    word: str
    width: float
    height: float


@dataclass
class _Canvas:
    parts: list[Markup] = field(default_factory=list)
    xs: list[float] = field(default_factory=list)
    ys: list[float] = field(default_factory=list)

    def add(self, markup: Markup, corners: Iterable[tuple[float, float]], *, grow: float = 0.0) -> None:
        self.parts.append(markup)
        for x, y in corners:
            self.xs += [x - grow, x + grow]
            self.ys += [y - grow, y + grow]

    def frame(self) -> svg.Box:
        return svg.Box(min(self.xs) - _MARGIN, min(self.ys) - _MARGIN, max(self.xs) + _MARGIN, max(self.ys) + _MARGIN)


def root_of(nodes: Sequence[GraphNode], edges: Sequence[GraphEdge]) -> str | None:
    """The id of the root: the cause that nothing else causes and that carries most; None without a cause."""
    effects = {edge.effect for edge in edges}
    carried = {node.id: sum(edge.weight for edge in edges if edge.cause == node.id) for node in nodes}
    causes = [node.id for node in nodes if node.role == "cause"]
    first = [cause for cause in causes if cause not in effects] or causes
    return max(first, key=lambda id_: carried[id_], default=None)


def draw(
    nodes: Sequence[GraphNode],
    edges: Sequence[GraphEdge],
    *,
    say: Callable[[str], str],
    title: str,
    standing: bool = False,
) -> svg.Picture | None:
    """The picture; None without nodes or when no layout is found. `say` gives the words for `role.root` and so on."""
    if not nodes:
        return None
    root = root_of(nodes, edges)
    drawn = [_measured(node, say(_word(node, root))) for node in nodes]
    known = {node.id for node in nodes}
    lines = [edge for edge in edges if edge.cause in known and edge.effect in known and edge.cause != edge.effect]
    try:
        placed = _place(drawn, lines, standing=standing)
    except graphlay.GraphlayError:
        return None  # the table beside the picture still tells it
    canvas = _Canvas()
    for edge, route in zip(lines, placed.edges, strict=True):
        _edge(canvas, edge, [(point["x"], point["y"]) for point in route["points"]])
    for item, place in zip(drawn, placed.nodes, strict=True):
        _node(canvas, item, (place["center"]["x"], place["center"]["y"]), root=item.node.id == root)
    return svg.Picture(canvas.frame(), svg.join(canvas.parts), title)


def _word(node: GraphNode, root: str | None) -> str:
    """The key of what a node is: root, cause, change, alert, service (affected or only near), or its bare role."""
    if node.id == root:
        return "role.root"
    prefix = node.id.partition(":")[0]
    if prefix == "alert":
        return "role.alert"
    if prefix == "service":
        return "role.affected" if node.role == "effect" else "role.service"
    return f"role.{node.role}" if node.role in _ROLES else "role.context"


def _measured(node: GraphNode, word: str) -> _Drawn:
    room = _MOST - 2 * _PAD
    label = svg.wrapped(node.label, _LABEL, room, lines=2)
    detail = svg.fitted(node.detail, _SMALL, room) if node.detail else ""
    widths = [svg.text_width(line, _LABEL) for line in label]
    widths += [svg.text_width(words, _SMALL) for words in (detail, word)]
    width = min(max(*widths, _LEAST - 2 * _PAD), room) + 2 * _PAD
    height = 8.0 + _SMALL_LINE + _LINE * len(label) + (_SMALL_LINE if detail else 0.0) + 6.0
    return _Drawn(node, label, detail, svg.fitted(word, _SMALL, room), width, height)


def _place(drawn: Sequence[_Drawn], edges: Sequence[GraphEdge], *, standing: bool) -> graphlay.Layout:
    graph = graphlay.Graph()
    for item in drawn:
        # The cause's pointed sides reach beyond its text, so it asks for more room.
        graph.node(item.node.id, width=item.width + 2 * _NOSE, height=item.height)
    for edge in edges:
        graph.edge(edge.cause, edge.effect, weight=max(edge.weight, 0.05), thickness=_stroke(edge.weight))
    spacing = {"layer_gap": 40.0, "node_gap": 20.0} if standing else {"layer_gap": 44.0, "node_gap": 26.0}
    direction = "topbottom" if standing else "leftright"
    return graphlay.layout(graph, options={"direction": direction, "spacing": spacing})


def _stroke(weight: float) -> float:
    return 1.2 + 4.3 * min(max(weight, 0.0), 1.0)


def _edge(canvas: _Canvas, edge: GraphEdge, route: list[tuple[float, float]]) -> None:
    stroke = _stroke(edge.weight)
    (x0, y0), (x1, y1) = route[-2], route[-1]
    length = max(((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5, 1e-6)
    dx, dy = (x1 - x0) / length, (y1 - y0) / length
    head = _HEAD + stroke
    half = head * 0.55
    neck = (x1 - dx * head, y1 - dy * head)
    tip = [(x1, y1), (neck[0] - dy * half, neck[1] + dx * half), (neck[0] + dy * half, neck[1] - dx * half)]
    body = [*route[:-1], neck]
    line = svg.element("polyline", points=svg.points(body), class_="g-edge", stroke_width=stroke)
    canvas.add(line, body, grow=stroke)
    canvas.add(svg.element("polygon", points=svg.points(tip), class_="g-head"), tip)


def _outline(item: _Drawn, centre: tuple[float, float], *, root: bool) -> Markup:
    x, y = centre
    half, tall = item.width / 2, item.height / 2
    role = item.node.role if item.node.role in _ROLES else "context"
    class_ = f"g-node g-{role}" + (" g-root" if root else "")
    if role == "cause":
        left, right = x - half, x + half
        corners = [
            (left - _NOSE, y), (left, y - tall), (right, y - tall),
            (right + _NOSE, y), (right, y + tall), (left, y + tall),
        ]  # fmt: skip
        return svg.element("polygon", points=svg.points(corners), class_=class_)
    wide = half + _NOSE
    radius = 4.0 if role == "change" else 9.0
    return svg.element("rect", x=x - wide, y=y - tall, width=2 * wide, height=2 * tall, rx=radius, class_=class_)


def _node(canvas: _Canvas, item: _Drawn, centre: tuple[float, float], *, root: bool) -> None:
    x, y = centre
    wide, tall = item.width / 2 + _NOSE, item.height / 2
    lines: list[tuple[str, str, float]] = [(item.word, "g-word", _SMALL_LINE)]
    lines += [(line, "g-label", _LINE) for line in item.label]
    if item.detail:
        lines.append((item.detail, "g-detail", _SMALL_LINE))
    parts = [_outline(item, centre, root=root)]
    baseline = y - tall + 4.0
    for words, class_, step in lines:
        baseline += step
        parts.append(svg.element("text", words, x=x, y=baseline, text_anchor="middle", class_=class_))
    full = f"{item.word}: {item.node.label}" + (f" ({item.node.detail})" if item.node.detail else "")
    group = svg.element("g", svg.element("title", full) + svg.join(parts))
    canvas.add(group, [(x - wide, y - tall), (x + wide, y + tall)], grow=2.0)
