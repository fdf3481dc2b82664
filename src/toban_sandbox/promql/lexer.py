"""Cuts PromQL text into tokens. Called by the parser only; it judges spelling, not grammar."""

from __future__ import annotations

import re
from typing import NamedTuple

from toban_sandbox.promql.errors import ParseError

_TOKEN = re.compile(
    r"""
    (?P<space>[ \t\r\n]+|\#[^\n]*)
  | (?P<duration>(?:[0-9]+(?:ms|[smhdwy]))+(?![A-Za-z0-9_]))
  | (?P<number>(?:0[xX][0-9a-fA-F]+|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)(?![A-Za-z0-9_.]))
  | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)
  | (?P<operator>==|=~|!=|!~|<=|>=|[-+*/%^<>=(){}\[\],@])
    """,
    re.VERBOSE,
)
_METRIC_NAME = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))", re.DOTALL)
_SIMPLE_ESCAPES = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    '"': '"',
    "'": "'",
}


class Token(NamedTuple):
    """One piece of the text; kind is duration, number, string, word, operator or end."""

    kind: str
    text: str
    position: int


def tokenize(text: str) -> list[Token]:
    """All tokens, the last one of kind `end`. Raises ParseError."""
    tokens: list[Token] = []
    position, in_brackets = 0, False
    while position < len(text):
        token = _next(text, position, in_brackets=in_brackets)
        if token.text == "[" and token.kind == "operator":
            in_brackets = True
        elif token.text == "]" and token.kind == "operator":
            in_brackets = False
        if token.kind != "space":
            tokens.append(token)
        position += len(token.text)
    tokens.append(Token("end", "", len(text)))
    return tokens


def _next(text: str, position: int, *, in_brackets: bool) -> Token:
    match = _TOKEN.match(text, position)
    if match:
        return Token(match.lastgroup or "", match.group(), position)
    # Between brackets a colon separates a subquery's range from its step; elsewhere it is part of a name.
    if in_brackets and text[position] == ":":
        return Token("operator", ":", position)
    name = (_WORD if in_brackets else _METRIC_NAME).match(text, position)
    if name:
        return Token("word", name.group(), position)
    raise ParseError(_complaint(text, position), text=text, position=position)


def _complaint(text: str, position: int) -> str:
    char = text[position]
    if char in "\"'`":
        return "unterminated quoted string" if char != "`" else "unterminated raw string"
    if char in "0123456789.":
        wrong = re.match(r"[\w.:]*", text[position:])
        return f'bad number or duration syntax: "{wrong.group() if wrong else char}"'
    if char == "!":
        return "unexpected character after '!'"
    return f"unexpected character: {char!r}"


def unquote(token: Token, text: str) -> str:
    """The value of a string token; raises ParseError for an escape that Go does not know."""
    body = token.text[1:-1]
    if token.text[0] == "`" or "\\" not in body:
        return body

    def replace(match: re.Match[str]) -> str:
        two, four, eight, octal, simple = match.groups()
        if simple is not None:
            if simple not in _SIMPLE_ESCAPES:
                raise ParseError(f"unknown escape sequence \\{simple}", text=text, position=token.position)
            return _SIMPLE_ESCAPES[simple]
        code = int(octal, 8) if octal else int(two or four or eight, 16)
        if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:  # noqa: PLR2004 - the limits of Unicode
            raise ParseError("escape sequence is an invalid Unicode code point", text=text, position=token.position)
        return chr(code)

    return _ESCAPE.sub(replace, body)
