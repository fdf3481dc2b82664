"""Operators between scalars and vectors, with vector matching and grouping. Called by the evaluator."""

from __future__ import annotations

import operator as compare
from collections.abc import Callable

from toban_sandbox.promql import labels as labelling
from toban_sandbox.promql import numbers, tree
from toban_sandbox.promql.check import COMPARISONS
from toban_sandbox.promql.errors import ExecutionError
from toban_sandbox.promql.labels import NAME, Labels

Vector = list[tuple[Labels, float]]

_ARITHMETIC: dict[str, Callable[[float, float], float]] = {
    "+": compare.add,
    "-": compare.sub,
    "*": compare.mul,
    "/": numbers.divide,
    "%": numbers.modulo,
    "^": numbers.power,
}
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "==": compare.eq,
    "!=": compare.ne,
    "<": compare.lt,
    "<=": compare.le,
    ">": compare.gt,
    ">=": compare.ge,
}


def scalars(operator: str, left: float, right: float) -> float:
    if operator in COMPARISONS:
        return 1.0 if _COMPARE[operator](left, right) else 0.0
    return _ARITHMETIC[operator](left, right)


def vector_scalar(node: tree.Binary, vector: Vector, scalar: float, *, swapped: bool) -> Vector:
    """The operator applied to each sample; `swapped` when the scalar stands on the left."""
    result: Vector = []
    for labels, value in vector:
        left, right = (scalar, value) if swapped else (value, scalar)
        if node.operator not in COMPARISONS:
            result.append((labelling.drop_name(labels), _ARITHMETIC[node.operator](left, right)))
        elif node.returns_bool:
            result.append((labelling.drop_name(labels), scalars(node.operator, left, right)))
        elif _COMPARE[node.operator](left, right):
            result.append((labels, value))
    return result


def _signature(matching: tree.Matching) -> Callable[[Labels], Labels]:
    if matching.on:
        wanted = frozenset(matching.labels)
        return lambda labels: labelling.keep(labels, wanted)
    unwanted = frozenset(matching.labels) | {NAME}
    return lambda labels: labelling.drop(labels, unwanted)


def sets(node: tree.Binary, left: Vector, right: Vector) -> Vector:
    """`and`, `or`, `unless`."""
    signature = _signature(node.matching)
    if node.operator == "or":
        present = {signature(labels) for labels, _ in left}
        return left + [sample for sample in right if signature(sample[0]) not in present]
    present = {signature(labels) for labels, _ in right}
    wanted = node.operator == "and"
    return [sample for sample in left if (signature(sample[0]) in present) is wanted]


def vectors(node: tree.Binary, left: Vector, right: Vector) -> Vector:
    """Arithmetic and comparison between two vectors; raises ExecutionError when the matching is ambiguous."""
    if not left or not right:
        return []
    matching = node.matching
    many, one = (right, left) if matching.group == "right" else (left, right)
    signature = _signature(matching)
    partners = _partners(one, signature, matching)
    result: Vector = []
    seen: set[tuple[Labels, Labels]] = set()
    for labels, value in many:
        key = signature(labels)
        partner = partners.get(key)
        if partner is None:
            continue
        lhs, rhs = (partner[1], value) if matching.group == "right" else (value, partner[1])
        outcome = _apply(node, lhs, rhs)
        if outcome is None:
            continue
        merged = _result_labels(node, labels, partner[0])
        _refuse_repeated(seen, key, merged, grouped=bool(matching.group))
        result.append((merged, outcome))
    return result


def _apply(node: tree.Binary, left: float, right: float) -> float | None:
    if node.operator not in COMPARISONS:
        return _ARITHMETIC[node.operator](left, right)
    if node.returns_bool:
        return scalars(node.operator, left, right)
    return left if _COMPARE[node.operator](left, right) else None


def _partners(
    one: Vector, signature: Callable[[Labels], Labels], matching: tree.Matching
) -> dict[Labels, tuple[Labels, float]]:
    partners: dict[Labels, tuple[Labels, float]] = {}
    for sample in one:
        key = signature(sample[0])
        if key in partners:
            group = labelling.show(key)
            pair = f"[{labelling.show(sample[0])}, {labelling.show(partners[key][0])}]"
            side = "left" if matching.group == "right" else "right"
            raise ExecutionError(
                f"found duplicate series for the match group {group} on the {side} hand-side of the operation: {pair};"
                "many-to-many matching not allowed: matching labels must be unique on one side"
            )
        partners[key] = sample
    return partners


def _refuse_repeated(seen: set[tuple[Labels, Labels]], key: Labels, merged: Labels, *, grouped: bool) -> None:
    """One result per match group (one-to-one) or per label set within it (grouped)."""
    mark = (key, merged if grouped else labelling.EMPTY)
    if mark in seen:
        if grouped:
            raise ExecutionError("multiple matches for labels: grouping labels must ensure unique matches")
        raise ExecutionError(
            "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
        )
    seen.add(mark)


def _result_labels(node: tree.Binary, many: Labels, one: Labels) -> Labels:
    matching = node.matching
    result = many
    if node.operator not in COMPARISONS or node.returns_bool:
        result = labelling.drop_name(result)
    if not matching.group:
        names = frozenset(matching.labels)
        return labelling.keep(result, names) if matching.on else labelling.drop(result, names)
    return labelling.replace(result, [(label, labelling.value_of(one, label)) for label in matching.include])
