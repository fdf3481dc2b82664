"""Directed graphs given as `{node: its predecessors}`: order and cycles."""

from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter


def order(graph: Mapping[str, Iterable[str]]) -> list[str]:
    """Nodes with predecessors first; ties keep the order of `graph`. Raises ValueError naming a cycle."""
    sorter: TopologicalSorter[str] = TopologicalSorter({node: list(before) for node, before in graph.items()})
    try:
        sorter.prepare()
    except CycleError as error:
        raise ValueError(" → ".join(reversed(error.args[1]))) from error
    position = {node: index for index, node in enumerate(graph)}
    result: list[str] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=lambda node: position.get(node, len(position)))
        result.extend(ready)
        sorter.done(*ready)
    return result
