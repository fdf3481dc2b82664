"""The causal graph: what led to what, how strongly, and which node is the root.

Called by the incident page for wide screens; `causal_tree` is its twin for narrow ones. Layout is graphlay's. The root
is told by its shape and a word, never by colour alone. The table beside the picture says the same in words.
"""

from collections.abc import Callable, Sequence

import graphlay

from toban.entrypoints.http.drawing import causal_parts, svg
from toban.model.diagnosis import GraphEdge, GraphNode

_WIDEST = 1000.0


def draw(
    nodes: Sequence[GraphNode], edges: Sequence[GraphEdge], *, say: Callable[..., str], title: str
) -> svg.Picture | None:
    """The picture, from left to right where it is not too wide, else downwards.

    None without nodes or when no layout is found. `say` gives the words for `role.root` and so on.
    """
    if not nodes:
        return None
    root = causal_parts.root_of(nodes, edges)
    items = [causal_parts.measured(node, say(causal_parts.word_of(node, root))) for node in nodes]
    lines = causal_parts.inner(nodes, edges)
    try:
        placed = _place(items, lines, downwards=False)
        bounds = placed.bounds
        if bounds["max"]["x"] - bounds["min"]["x"] > _WIDEST:
            placed = _place(items, lines, downwards=True)
    except graphlay.GraphlayError:
        return None  # the table beside the picture still tells it
    canvas = causal_parts.Canvas()
    for edge, route in zip(lines, placed.edges, strict=True):
        causal_parts.draw_edge(canvas, edge, [(point["x"], point["y"]) for point in route["points"]])
    for item, place in zip(items, placed.nodes, strict=True):
        centre = (place["center"]["x"], place["center"]["y"])
        causal_parts.draw_node(canvas, item, centre, root=item.node.id == root)
    return svg.Picture(canvas.frame(), svg.join(canvas.parts), title)


def _place(items: Sequence[causal_parts.Item], edges: Sequence[GraphEdge], *, downwards: bool) -> graphlay.Layout:
    graph = graphlay.Graph()
    for item in items:
        graph.node(item.node.id, width=item.width + 2 * causal_parts.NOSE, height=item.height)
    for edge in edges:
        thick = causal_parts.stroke(edge.weight)
        graph.edge(edge.cause, edge.effect, weight=max(edge.weight, 0.05), thickness=thick)
    spacing = {"layer_gap": 40.0, "node_gap": 20.0} if downwards else {"layer_gap": 44.0, "node_gap": 26.0}
    direction = "topbottom" if downwards else "leftright"
    return graphlay.layout(graph, options={"direction": direction, "spacing": spacing})
