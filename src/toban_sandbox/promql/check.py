"""Type rules of PromQL: what may stand where. Called by the parser, which adds the place to a complaint."""

from __future__ import annotations

from collections.abc import Callable

from toban_sandbox.promql import tree
from toban_sandbox.promql.functions import FUNCTIONS, Function
from toban_sandbox.promql.tree import Type

Fail = Callable[[str], Exception]
COMPARISONS = frozenset(["==", "!=", "<=", "<", ">=", ">"])
SET_OPERATORS = frozenset(["and", "or", "unless"])


def type_of(node: tree.Expr) -> Type:
    match node:
        case tree.Number():
            return Type.SCALAR
        case tree.String():
            return Type.STRING
        case tree.Range() | tree.Subquery():
            return Type.RANGE
        case tree.Call():
            return FUNCTIONS[node.function].returns
        case tree.Unary() | tree.Paren():
            return type_of(node.expr)
        case tree.Binary():
            both_scalar = type_of(node.left) is Type.SCALAR and type_of(node.right) is Type.SCALAR
            return Type.SCALAR if both_scalar else Type.VECTOR
        case _:
            return Type.VECTOR


def binary(node: tree.Binary, *, explicit_matching: bool, fail: Fail) -> None:
    left, right = type_of(node.left), type_of(node.right)
    if {left, right} - {Type.SCALAR, Type.VECTOR}:
        raise fail("binary expression must contain only scalar and instant vector types")
    scalar = Type.SCALAR in (left, right)
    if node.returns_bool and node.operator not in COMPARISONS:
        raise fail("bool modifier can only be used on comparison operators")
    if node.operator in COMPARISONS and left is right is Type.SCALAR and not node.returns_bool:
        raise fail("comparisons between scalars must use BOOL modifier")
    if node.operator in SET_OPERATORS:
        if scalar:
            raise fail(f'set operator "{node.operator}" not allowed in binary scalar expression')
        if node.matching.group:
            raise fail(f'no grouping allowed for "{node.operator}" operation')
    if explicit_matching and scalar:
        raise fail("vector matching only allowed between instant vectors")


def aggregate(node: tree.Aggregate, *, fail: Fail) -> None:
    if type_of(node.expr) is not Type.VECTOR:
        raise fail(f"expected type instant vector in aggregation expression, got {type_of(node.expr)}")
    if node.param is None:
        return
    wanted = Type.STRING if node.operator == "count_values" else Type.SCALAR
    if type_of(node.param) is not wanted:
        raise fail(f"expected type {wanted} in aggregation parameter, got {type_of(node.param)}")


def call(node: tree.Call, function: Function, *, fail: Fail) -> None:
    given = len(node.args)
    required = len(function.args) - function.optional
    if given < required:
        at_least = "at least " if function.optional else ""
        raise fail(f'expected {at_least}{required} argument(s) in call to "{node.function}", got {given}')
    if given > len(function.args):
        at_most = "at most " if function.optional else ""
        raise fail(f'expected {at_most}{len(function.args)} argument(s) in call to "{node.function}", got {given}')
    for wanted, arg in zip(function.args, node.args, strict=False):
        if type_of(arg) is not wanted:
            raise fail(f'expected type {wanted} in call to function "{node.function}", got {type_of(arg)}')
