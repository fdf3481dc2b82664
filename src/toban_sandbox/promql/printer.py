"""Writes a parsed expression back as text, as Prometheus shows a rule's query. `parse(show(tree))` is the same tree."""

from __future__ import annotations

from toban_sandbox.promql import tree
from toban_sandbox.promql.labels import NAME, quote
from toban_sandbox.promql.numbers import show_duration, show_number


def show(node: tree.Expr) -> str:
    match node:
        case tree.Number():
            return show_number(node.value)
        case tree.String():
            return quote(node.value)
        case tree.Selector() | tree.Range() | tree.Subquery():
            return _series(node)
        case tree.Paren():
            return f"({show(node.expr)})"
        case tree.Unary():
            return f"{node.operator}{show(node.expr)}"
        case _:
            return _operation(node)


def _operation(node: tree.Call | tree.Aggregate | tree.Binary) -> str:
    if isinstance(node, tree.Call):
        return f"{node.function}({', '.join(show(arg) for arg in node.args)})"
    return _aggregate(node) if isinstance(node, tree.Aggregate) else _binary(node)


def _series(node: tree.Selector | tree.Range | tree.Subquery) -> str:
    if isinstance(node, tree.Selector):
        return _selector(node) + _when(node.when)
    if isinstance(node, tree.Range):
        return f"{_selector(node.selector)}[{show_duration(node.range_ms)}]{_when(node.selector.when)}"
    step = show_duration(node.step_ms) if node.step_ms else ""
    return f"{show(node.expr)}[{show_duration(node.range_ms)}:{step}]{_when(node.when)}"


def _selector(node: tree.Selector) -> str:
    shown = [str(m) for m in node.matchers if not (node.name and m.name == NAME and m.operator == "=")]
    return node.name + (f"{{{','.join(shown)}}}" if shown or not node.name else "")


def _when(when: tree.When) -> str:
    at = ""
    if when.at is not None:
        at = f" @ {when.at}()" if isinstance(when.at, str) else f" @ {when.at / 1000:.3f}"
    offset = f" offset {show_duration(when.offset_ms)}" if when.offset_ms else ""
    return at + offset


def _aggregate(node: tree.Aggregate) -> str:
    grouping = (
        f" {'without' if node.without else 'by'} ({', '.join(node.grouping)}) " if node.grouping or node.without else ""
    )
    param = f"{show(node.param)}, " if node.param is not None else ""
    return f"{node.operator}{grouping}({param}{show(node.expr)})"


def _binary(node: tree.Binary) -> str:
    matching = node.matching
    words = node.operator + (" bool" if node.returns_bool else "")
    if matching.on or matching.labels or matching.group:
        words += f" {'on' if matching.on else 'ignoring'} ({', '.join(matching.labels)})"
    if matching.group:
        words += f" group_{matching.group}" + (f" ({', '.join(matching.include)})" if matching.include else "")
    return f"{show(node.left)} {words} {show(node.right)}"
