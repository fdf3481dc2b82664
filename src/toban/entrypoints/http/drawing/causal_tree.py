"""The causal graph as an indented tree, one node under the other, for narrow screens. Called by the incident page.

Each node hangs under the cause that carries most evidence for it; its other causes are named in its words.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from toban.entrypoints.http.drawing import causal_parts, svg
from toban.model.diagnosis import GraphEdge, GraphNode

_INDENT, _LEAST_INDENT = 28.0, 22.0
_SPINE = 5.0
_GAP = 12.0
_LEAST_BOX = 150.0


@dataclass(frozen=True)
class _Branch:
    node: GraphNode
    depth: int
    edge: GraphEdge | None
    others: tuple[str, ...]


def draw(
    nodes: Sequence[GraphNode],
    edges: Sequence[GraphEdge],
    *,
    say: Callable[..., str],
    title: str,
    width: float,
) -> svg.Picture | None:
    """The picture, `width` wide unless the tree is very deep; None without nodes. `say` as for `causal_graph.draw`."""
    if not nodes:
        return None
    root = causal_parts.root_of(nodes, edges)
    branches = _branches(nodes, causal_parts.inner(nodes, edges))
    deepest = max(branch.depth for branch in branches)
    room = width - 2 * causal_parts.NOSE  # the frame's own margin is about as wide
    indent = max(_LEAST_INDENT, min(_INDENT, (room - _LEAST_BOX) / max(deepest, 1)))
    right = max(room, deepest * indent + _LEAST_BOX)
    canvas = causal_parts.Canvas()
    spots: dict[str, tuple[float, float]] = {}
    top = 0.0
    for branch in branches:
        left = branch.depth * indent
        node = _told(branch, say)
        box = right - left - 2 * causal_parts.NOSE
        item = causal_parts.measured(node, say(causal_parts.word_of(node, root)), width=box)
        middle = top + item.height / 2
        if branch.edge is not None:
            spine, start = spots[branch.edge.cause]
            causal_parts.draw_edge(canvas, branch.edge, [(spine, start), (spine, middle), (left, middle)])
        causal_parts.draw_node(canvas, item, ((left + right) / 2, middle), root=node.id == root)
        spots[node.id] = (left + _SPINE, top + item.height)
        top += item.height + _GAP
    return svg.Picture(canvas.frame(), svg.join(canvas.parts), title)


def _told(branch: _Branch, say: Callable[..., str]) -> GraphNode:
    if not branch.others:
        return branch.node
    also = say("graph.also", names=", ".join(branch.others))
    detail = f"{branch.node.detail}; {also}" if branch.node.detail else also
    return branch.node.model_copy(update={"detail": detail})


def _branches(nodes: Sequence[GraphNode], edges: Sequence[GraphEdge]) -> list[_Branch]:
    """All nodes, each after the cause it hangs under. A circle is cut where it is entered."""
    known = {node.id: node for node in nodes}
    causes: dict[str, list[GraphEdge]] = {node.id: [] for node in nodes}
    for edge in edges:
        causes[edge.effect].append(edge)
    parents = {id_: max(found, key=lambda edge: edge.weight) for id_, found in causes.items() if found}
    effects: dict[str, list[GraphEdge]] = {node.id: [] for node in nodes}
    for edge in parents.values():
        effects[edge.cause].append(edge)
    result: list[_Branch] = []
    seen: set[str] = set()
    starts = [node.id for node in nodes if node.id not in parents] + list(known)
    for start in starts:
        waiting: list[tuple[str, int, GraphEdge | None]] = [(start, 0, None)]
        while waiting:
            id_, depth, above = waiting.pop()
            if id_ in seen:
                continue
            seen.add(id_)
            others = tuple(known[one.cause].label for one in causes[id_] if one is not above)
            result.append(_Branch(known[id_], depth, above, others))
            # Leaves first: an alert stands beside its service, the next service opens a branch of its own.
            below = sorted(effects[id_], key=lambda one: bool(effects[one.effect]))
            waiting += [(one.effect, depth + 1, one) for one in reversed(below)]
    return result
