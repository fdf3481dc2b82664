"""Nodes and edges of the causal pictures: their shapes, sizes and words. Called by `causal_graph` and `causal_tree`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from toban.entrypoints.http.drawing import svg
from toban.model.diagnosis import GraphEdge, GraphNode

NOSE = 12.0  # a cause's pointed sides reach this far beyond its text; other boxes are as wide
_LABEL, _SMALL = 13.0, 11.0
_LINE, _SMALL_LINE = 17.0, 15.0
_PAD = 10.0
_LEAST, _MOST = 112.0, 184.0
_MARGIN = 10.0
_HEAD = 9.0
_ROLES = frozenset({"cause", "effect", "change", "context"})


@dataclass(frozen=True)
class Item:
    """A node with its lines and its size; `width` is without the noses."""

    node: GraphNode
    label: list[str]
    detail: str
    word: str
    width: float
    height: float


@dataclass
class Canvas:
    """What is drawn, and how far it reaches."""

    parts: list[Markup] = field(default_factory=list)
    xs: list[float] = field(default_factory=list)
    ys: list[float] = field(default_factory=list)

    def add(self, markup: Markup, corners: Iterable[tuple[float, float]], *, grow: float = 0.0) -> None:
        """Draw something that touches `corners`, `grow` beyond them."""
        self.parts.append(markup)
        for x, y in corners:
            self.xs += [x - grow, x + grow]
            self.ys += [y - grow, y + grow]

    def frame(self) -> svg.Box:
        """Everything drawn, with a margin."""
        return svg.Box(min(self.xs) - _MARGIN, min(self.ys) - _MARGIN, max(self.xs) + _MARGIN, max(self.ys) + _MARGIN)


def root_of(nodes: Sequence[GraphNode], edges: Sequence[GraphEdge]) -> str | None:
    """The id of the root: the cause that nothing else of its kind causes and that carries most; None without one."""
    causes = [node.id for node in nodes if node.role == "cause"]
    caused = {edge.effect for edge in edges if edge.cause in causes and edge.cause != edge.effect}
    carried = {id_: sum(edge.weight for edge in edges if edge.cause == id_) for id_ in causes}
    first = [cause for cause in causes if cause not in caused] or causes
    return max(first, key=lambda id_: carried[id_], default=None)


def inner(nodes: Sequence[GraphNode], edges: Sequence[GraphEdge]) -> list[GraphEdge]:
    """The edges between two different nodes that are there."""
    known = {node.id for node in nodes}
    return [edge for edge in edges if edge.cause in known and edge.effect in known and edge.cause != edge.effect]


def word_of(node: GraphNode, root: str | None) -> str:
    """The key of what a node is: root, cause, change, alert, service (affected or only near), or its bare role."""
    if node.id == root:
        return "role.root"
    prefix = node.id.partition(":")[0]
    if prefix == "alert":
        return "role.alert"
    if prefix == "service":
        return "role.affected" if node.role == "effect" else "role.service"
    return f"role.{node.role}" if node.role in _ROLES else "role.context"


def measured(node: GraphNode, word: str, *, width: float | None = None) -> Item:
    """A node with its lines, as wide as they need or exactly `width`."""
    room = (width or _MOST) - 2 * _PAD
    label = svg.wrapped(node.label, _LABEL, room, lines=2)
    detail = svg.fitted(node.detail, _SMALL, room) if node.detail else ""
    word = svg.fitted(word, _SMALL, room)
    if width is None:
        widths = [svg.text_width(line, _LABEL) for line in label]
        widths += [svg.text_width(words, _SMALL) for words in (detail, word)]
        width = min(max(*widths, _LEAST - 2 * _PAD), room) + 2 * _PAD
    height = 8.0 + _SMALL_LINE + _LINE * len(label) + (_SMALL_LINE if detail else 0.0) + 6.0
    return Item(node, label, detail, word, width, height)


def stroke(weight: float) -> float:
    """How thick an edge is drawn."""
    return 1.2 + 4.3 * min(max(weight, 0.0), 1.0)


def draw_edge(canvas: Canvas, edge: GraphEdge, route: Sequence[tuple[float, float]]) -> None:
    """An arrow along `route`, thicker where more evidence carries it."""
    thick = stroke(edge.weight)
    (x0, y0), (x1, y1) = route[-2], route[-1]
    length = max(((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5, 1e-6)
    dx, dy = (x1 - x0) / length, (y1 - y0) / length
    head = _HEAD + thick
    half = head * 0.55
    neck = (x1 - dx * head, y1 - dy * head)
    tip = [(x1, y1), (neck[0] - dy * half, neck[1] + dx * half), (neck[0] + dy * half, neck[1] - dx * half)]
    body = [*route[:-1], neck]
    line = svg.element("polyline", points=svg.points(body), class_="g-edge", stroke_width=thick)
    canvas.add(line, body, grow=thick)
    canvas.add(svg.element("polygon", points=svg.points(tip), class_="g-head"), tip)


def _outline(item: Item, centre: tuple[float, float], *, root: bool) -> Markup:
    x, y = centre
    half, tall = item.width / 2, item.height / 2
    role = item.node.role if item.node.role in _ROLES else "context"
    class_ = f"g-node g-{role}" + (" g-root" if root else "")
    if role == "cause":
        left, right = x - half, x + half
        corners = [
            (left - NOSE, y), (left, y - tall), (right, y - tall),
            (right + NOSE, y), (right, y + tall), (left, y + tall),
        ]  # fmt: skip
        return svg.element("polygon", points=svg.points(corners), class_=class_)
    wide = half + NOSE
    radius = 4.0 if role == "change" else 9.0
    return svg.element("rect", x=x - wide, y=y - tall, width=2 * wide, height=2 * tall, rx=radius, class_=class_)


def draw_node(canvas: Canvas, item: Item, centre: tuple[float, float], *, root: bool) -> None:
    """A node around its centre: a pointed box for causes, rounded ones for the rest, the root with a thick outline."""
    x, y = centre
    wide, tall = item.width / 2 + NOSE, item.height / 2
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
