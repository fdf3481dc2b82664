"""Parses PromQL by precedence climbing into the nodes of `tree`, checking types as it goes.

Called with a query's or a rule's text by the metrics API and the alert rules. Where the text is outside the supported
language the error names the thing and its place.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from toban_sandbox.promql import check, tree
from toban_sandbox.promql.errors import ParseError
from toban_sandbox.promql.functions import AGGREGATES, FUNCTIONS, PARAMETRIC
from toban_sandbox.promql.labels import NAME
from toban_sandbox.promql.lexer import Token, tokenize, unquote
from toban_sandbox.promql.matchers import OPERATORS, Matcher, compile_pattern
from toban_sandbox.promql.numbers import parse_duration, parse_number

_PRECEDENCE = {
    "or": 1,
    "and": 2,
    "unless": 2,
    **dict.fromkeys(("==", "!=", "<=", "<", ">=", ">"), 3),
    "+": 4,
    "-": 4,
    "*": 5,
    "/": 5,
    "%": 5,
    "atan2": 5,
    "^": 6,
}
_UNARY = 6
_WORD_OPERATORS = ("and", "or", "unless")
_MAX_DEPTH = 64  # the text comes from outside; the parser and the evaluator recurse


def parse(text: str) -> tree.Expr:
    """The expression's tree; raises ParseError."""
    if not text.strip():
        raise ParseError("no expression found in input", text=text, position=0)
    parser = _Parser(text)
    expression = parser.expression(0)
    parser.expect_end()
    return expression


def parse_selector(text: str) -> tuple[Matcher, ...]:
    """The matchers of a bare series selector, as `match[]` takes it; raises ParseError."""
    expression = parse(text)
    if not isinstance(expression, tree.Selector) or expression.when != tree.NOW:
        raise ParseError("expected a series selector", text=text, position=0)
    return expression.matchers


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokenize(text)
        self._index = 0
        self._depth = 0

    # -- tokens ---------------------------------------------------------------------------------------------------
    @property
    def _token(self) -> Token:
        return self._tokens[self._index]

    @property
    def _following(self) -> Token:
        return self._tokens[min(self._index + 1, len(self._tokens) - 1)]

    def _advance(self) -> Token:
        token = self._token
        if token.kind != "end":
            self._index += 1
        return token

    def _is(self, text: str) -> bool:
        return self._token.kind == "operator" and self._token.text == text

    def _word(self) -> str:
        return self._token.text.lower() if self._token.kind == "word" else ""

    def _take(self, text: str) -> bool:
        if self._is(text):
            self._advance()
            return True
        return False

    def _expect(self, text: str, context: str) -> None:
        if not self._take(text):
            raise self._unexpected(context, expected=f'"{text}"')

    def expect_end(self) -> None:
        if self._token.kind != "end":
            raise self._unexpected("")

    def _error(self, message: str, position: int | None = None) -> ParseError:
        return ParseError(message, text=self._text, position=self._token.position if position is None else position)

    def _unexpected(self, context: str, *, expected: str = "") -> ParseError:
        token = self._token
        what = (
            "end of input"
            if token.kind == "end"
            else f'{"identifier" if token.kind == "word" else token.kind} "{token.text}"'
        )
        where = f" in {context}" if context else ""
        return self._error(f"unexpected {what}{where}{f', expected {expected}' if expected else ''}")

    @contextlib.contextmanager
    def _nested(self) -> Iterator[None]:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise self._error(f"expression is nested deeper than {_MAX_DEPTH} levels")
        yield
        self._depth -= 1

    # -- expressions ----------------------------------------------------------------------------------------------
    def expression(self, minimum: int) -> tree.Expr:
        with self._nested():
            left = self._unary()
            chained = 0
            while (operator := self._operator()) and _PRECEDENCE[operator] >= minimum and _PRECEDENCE[operator]:
                chained += 1
                if chained > _MAX_DEPTH:
                    raise self._error(f"more than {_MAX_DEPTH} operations in a row; use parentheses or fewer operands")
                left = self._binary(left, operator)
            return left

    def _operator(self) -> str:
        token = self._token
        if token.kind == "operator" and token.text in _PRECEDENCE:
            return token.text
        if self._word() in _WORD_OPERATORS:
            return self._word()
        if self._word() == "atan2":
            raise self._error("operator atan2 is not supported")
        return ""

    def _binary(self, left: tree.Expr, operator: str) -> tree.Expr:
        position = self._advance().position
        returns_bool = self._word() == "bool"
        if returns_bool:
            self._advance()
        matching, explicit = self._matching()
        precedence = _PRECEDENCE[operator]
        right = self.expression(precedence if operator == "^" else precedence + 1)
        node = tree.Binary(operator, left, right, returns_bool, matching)
        check.binary(node, explicit_matching=explicit, fail=lambda message: self._error(message, position))
        return node

    def _matching(self) -> tuple[tree.Matching, bool]:
        if self._word() not in ("on", "ignoring"):
            return tree.Matching(), False
        on = self._advance().text.lower() == "on"
        labels = self._label_list()
        group = ""
        include: tuple[str, ...] = ()
        if self._word() in ("group_left", "group_right"):
            group = self._advance().text.lower().removeprefix("group_")
            include = self._label_list() if self._is("(") else ()
        for label in include:
            if on and label in labels:
                raise self._error(f'label "{label}" must not occur in ON and GROUP clause at once')
        return tree.Matching(labels, on, group, include), True

    def _unary(self) -> tree.Expr:
        if not (self._is("-") or self._is("+")):
            return self._postfix(self._primary())
        token = self._advance()
        with self._nested():
            operand = self.expression(_UNARY)
        if isinstance(operand, tree.Number):
            return tree.Number(-operand.value) if token.text == "-" else operand
        if check.type_of(operand) not in (tree.Type.SCALAR, tree.Type.VECTOR):
            kind = check.type_of(operand)
            message = f'unary expression only allowed on expressions of type scalar or instant vector, got "{kind}"'
            raise self._error(message, token.position)
        return tree.Unary(token.text, operand)

    def _primary(self) -> tree.Expr:
        token = self._token
        if token.kind in ("number", "string"):
            self._advance()
            return self._literal(token)
        if self._take("("):
            inner = self.expression(0)
            self._expect(")", "paren expression")
            return tree.Paren(inner)
        if self._is("{"):
            return self._selector("")
        if token.kind == "word":
            return self._named()
        raise self._unexpected("")

    def _literal(self, token: Token) -> tree.Expr:
        if token.kind == "string":
            return tree.String(unquote(token, self._text))
        value = parse_number(token.text)
        if value is None:
            raise self._error(f'bad number or duration syntax: "{token.text}"', token.position)
        return tree.Number(value)

    def _named(self) -> tree.Expr:
        token = self._token
        lowered = token.text.lower()
        following = self._following
        opens = following.kind == "operator" and following.text == "("
        grouped = following.kind == "word" and following.text.lower() in ("by", "without")
        if lowered in AGGREGATES and (opens or grouped):
            return self._aggregate()
        if lowered in ("inf", "nan") and not opens:
            self._advance()
            return tree.Number(float(lowered))
        if opens:
            return self._call()
        self._advance()
        return self._selector(token.text)

    # -- aggregations and calls -----------------------------------------------------------------------------------
    def _aggregate(self) -> tree.Expr:
        token = self._advance()
        operator = token.text.lower()
        grouping, without, given = self._grouping()
        self._expect("(", "aggregation")
        args = self._arguments()
        if not given:
            grouping, without, _ = self._grouping()
        wanted = 2 if operator in PARAMETRIC else 1
        if len(args) != wanted:
            message = f"wrong number of arguments for aggregate expression provided, expected {wanted}, got {len(args)}"
            raise self._error(message, token.position)
        node = tree.Aggregate(operator, args[-1], args[0] if wanted > 1 else None, grouping, without)
        check.aggregate(node, fail=lambda message: self._error(message, token.position))
        return node

    def _grouping(self) -> tuple[tuple[str, ...], bool, bool]:
        if self._word() not in ("by", "without"):
            return (), False, False
        without = self._advance().text.lower() == "without"
        return self._label_list(), without, True

    def _label_list(self) -> tuple[str, ...]:
        self._expect("(", "grouping opts")
        labels: list[str] = []
        while not self._take(")"):
            if self._token.kind != "word" or ":" in self._token.text:
                raise self._unexpected("grouping opts", expected="label")
            labels.append(self._advance().text)
            if not self._take(",") and not self._is(")"):
                raise self._unexpected("grouping opts", expected='"," or ")"')
        return tuple(labels)

    def _arguments(self) -> tuple[tree.Expr, ...]:
        args: list[tree.Expr] = []
        while not self._take(")"):
            args.append(self.expression(0))
            if self._take(","):
                if self._is(")"):
                    raise self._error("trailing commas not allowed in function call args")
            elif not self._is(")"):
                raise self._unexpected("", expected='"," or ")"')
        return tuple(args)

    def _call(self) -> tree.Expr:
        token = self._advance()
        function = FUNCTIONS.get(token.text)
        if function is None:
            raise self._error(f'unknown function with name "{token.text}"', token.position)
        self._expect("(", "function call")
        node = tree.Call(token.text, self._arguments())
        check.call(node, function, fail=lambda message: self._error(message, token.position))
        return node

    # -- selectors ------------------------------------------------------------------------------------------------
    def _selector(self, name: str) -> tree.Expr:
        position = self._token.position
        matchers = [Matcher(NAME, "=", name)] if name else []
        if self._take("{"):
            while not self._take("}"):
                matchers.append(self._matcher(name))
                if not self._take(",") and not self._is("}"):
                    raise self._unexpected("label matching", expected='"," or "}"')
        # A selector that an empty series satisfies would select everything.
        if all(matcher.accepts("") for matcher in matchers):
            raise self._error("vector selector must contain at least one non-empty matcher", position)
        return tree.Selector(tuple(matchers), name)

    def _matcher(self, name: str) -> Matcher:
        label = self._token
        if label.kind != "word" or ":" in label.text:
            raise self._unexpected("label matching", expected='identifier or "}"')
        self._advance()
        operator = self._token
        if operator.kind != "operator" or operator.text not in OPERATORS:
            raise self._unexpected("label matching", expected="label matching operator")
        self._advance()
        value = self._token
        if value.kind != "string":
            raise self._unexpected("label matching", expected="string")
        self._advance()
        matcher = Matcher(label.text, operator.text, unquote(value, self._text))
        if name and label.text == NAME and operator.text == "=":
            raise self._error(f'metric name must not be set twice: "{name}" or "{matcher.value}"', label.position)
        if operator.text in ("=~", "!~"):
            try:
                compile_pattern(matcher.value)
            except ValueError as error:
                raise self._error(str(error), value.position) from error
        return matcher

    def _postfix(self, node: tree.Expr) -> tree.Expr:
        while True:
            if self._is("["):
                node = self._range(node)
            elif self._word() == "offset":
                node = self._moved(node, offset_ms=self._offset())
            elif self._is("@"):
                node = self._moved(node, at=self._at())
            else:
                return node

    def _range(self, node: tree.Expr) -> tree.Expr:
        position = self._advance().position
        range_ms = self._duration("range")
        if self._take(":"):
            step_ms = None if self._is("]") else self._duration("subquery step")
            self._expect("]", "subquery selector")
            if check.type_of(node) is not tree.Type.VECTOR and check.type_of(node) is not tree.Type.SCALAR:
                raise self._error(
                    f"subquery is only allowed on instant vector, got {check.type_of(node)} instead", position
                )
            if check.type_of(node) is tree.Type.SCALAR:
                raise self._error("subquery is only allowed on instant vector, got scalar instead", position)
            return tree.Subquery(node, range_ms, step_ms)
        self._expect("]", "range selector")
        if not isinstance(node, tree.Selector):
            raise self._error("ranges only allowed for vector selectors", position)
        if node.when != tree.NOW:
            raise self._error("no offset modifiers allowed before range", position)
        return tree.Range(node, range_ms)

    def _duration(self, context: str) -> int:
        token = self._token
        value = parse_duration(token.text) if token.kind == "duration" else None
        if value is None:
            raise self._unexpected(context, expected="duration")
        if value == 0:
            raise self._error("duration must be greater than 0")
        self._advance()
        return value

    def _offset(self) -> int:
        self._advance()
        sign = -1 if self._take("-") else 1
        token = self._token
        value = parse_duration(token.text) if token.kind == "duration" else None
        if value is None:
            raise self._unexpected("offset", expected="duration")
        self._advance()
        return sign * value

    def _at(self) -> int | str:
        self._advance()
        if self._word() in ("start", "end"):
            word = self._advance().text.lower()
            self._expect("(", "@ modifier")
            self._expect(")", "@ modifier")
            return word
        sign = -1 if self._take("-") else 1
        value = parse_number(self._token.text) if self._token.kind == "number" else None
        if value is None or abs(value) > 1e12:  # noqa: PLR2004 - far outside any timestamp in seconds
            raise self._unexpected("@ modifier", expected="timestamp")
        self._advance()
        return round(sign * value * 1000)

    def _moved(self, node: tree.Expr, *, offset_ms: int = 0, at: int | str | None = None) -> tree.Expr:
        selector = node.selector if isinstance(node, tree.Range) else node
        if not isinstance(selector, tree.Selector | tree.Subquery):
            what = "offset modifier" if at is None else "@ modifier"
            message = f"{what} must be preceded by an instant vector selector or range vector selector or a subquery"
            raise self._error(message)
        if (offset_ms and selector.when.offset_ms) or (at is not None and selector.when.at is not None):
            raise self._error("offset or @ may not be set multiple times")
        when = tree.When(offset_ms or selector.when.offset_ms, selector.when.at if at is None else at)
        if isinstance(selector, tree.Subquery):
            return tree.Subquery(selector.expr, selector.range_ms, selector.step_ms, when)
        moved = tree.Selector(selector.matchers, selector.name, when)
        return tree.Range(moved, node.range_ms) if isinstance(node, tree.Range) else moved
