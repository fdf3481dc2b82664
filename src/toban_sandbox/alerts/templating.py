"""Go templates as Prometheus's annotations use them: labels, the value, pipes and a few functions.

Parsed when rules are loaded, so that a mistake is found then; rendered at each evaluation. Conditions and loops are not
supported and say so.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from toban_sandbox.promql.numbers import show_number

_ACTION = re.compile(r"(\s*)\{\{(-?)(.*?)(-?)\}\}(\s*)", re.DOTALL)
_WORD = re.compile(r'\s*(?:("(?:[^"\\]|\\.)*"|`[^`]*`)|(\|)|(\$?[.\w$]+)|(\S))')
_FORMAT = re.compile(r"%(%|(?:\.\d+)?[fgevds])")
_QUOTED = re.compile(r"\\(.)")

Value = str | float


class TemplateError(ValueError):
    """A template that cannot be used; the message names the part."""


@dataclass(frozen=True)
class _Command:
    """A function with its written arguments; a single value is a command without a function."""

    function: str
    args: tuple[str, ...]


@dataclass(frozen=True)
class Template:
    """A parsed template: text pieces and pipelines of commands in turn."""

    pieces: tuple[str | tuple[_Command, ...], ...]

    def render(self, *, labels: Mapping[str, str], value: float) -> str:
        return "".join(piece if isinstance(piece, str) else _run(piece, labels, value) for piece in self.pieces)


def parse(text: str) -> Template:
    """The template; raises TemplateError."""
    pieces: list[str | tuple[_Command, ...]] = []
    position = 0
    for match in _ACTION.finditer(text):
        before, trim_left, body, trim_right, after = match.groups()
        pieces.append(text[position : match.start()] + ("" if trim_left else before))
        pieces.append(_pipeline(body))
        pieces.append("" if trim_right else after)
        position = match.end()
    pieces.append(text[position:])
    if any("{{" in piece or "}}" in piece for piece in pieces if isinstance(piece, str)):
        raise TemplateError("unclosed action: {{ and }} must come in pairs")
    return Template(tuple(piece for piece in pieces if piece))


def _pipeline(body: str) -> tuple[_Command, ...]:
    words: list[list[str]] = [[]]
    for match in _WORD.finditer(body):
        text, pipe, word, other = match.groups()
        if other:
            raise TemplateError(f"unexpected {other!r} in {{{{{body}}}}}")
        if pipe:
            words.append([])
        else:
            words[-1].append(text or word)
    return tuple(_command(command, first=index == 0, body=body) for index, command in enumerate(words))


def _command(words: list[str], *, first: bool, body: str) -> _Command:
    if not words:
        raise TemplateError(f"missing value for command in {{{{{body}}}}}")
    if words[0] in _FUNCTIONS:
        command = _Command(words[0], tuple(words[1:]))
    elif first and len(words) == 1:
        command = _Command("", tuple(words))
    else:
        raise TemplateError(f"function {words[0]!r} is not supported in {{{{{body}}}}}")
    for arg in command.args:
        if not _is_value(arg):
            raise TemplateError(f"undefined variable {arg!r} in {{{{{body}}}}}")
    return command


def _is_value(word: str) -> bool:
    known = word in ("$value", ".Value") or word.startswith(("$labels.", ".Labels.", '"', "`"))
    return known or re.fullmatch(r"-?\d+(?:\.\d+)?", word) is not None


def _argument(word: str, labels: Mapping[str, str], value: float) -> Value:
    if word in ("$value", ".Value"):
        return value
    for prefix in ("$labels.", ".Labels."):
        if word.startswith(prefix):
            return labels.get(word.removeprefix(prefix), "")
    if word.startswith("`"):
        return word[1:-1]
    if word.startswith('"'):
        return _QUOTED.sub(lambda match: {"n": "\n", "t": "\t"}.get(match[1], match[1]), word[1:-1])
    return float(word)


def _run(commands: tuple[_Command, ...], labels: Mapping[str, str], value: float) -> str:
    result: list[Value] = []
    for command in commands:
        args = [_argument(arg, labels, value) for arg in command.args] + result
        result = [_FUNCTIONS[command.function](*args) if command.function else args[0]]
    return _text(result[0])


def _text(value: Value) -> str:
    if isinstance(value, str):
        return value
    # Go's default format of a float: exponents from 1e21 on and below 1e-4.
    return show_number(value) if value == 0 or abs(value) >= 1e-4 or math.isnan(value) else _general(value, None)  # noqa: PLR2004 - Go's own bound


def _number(value: Value) -> float:
    return float(value)


_LARGE = ("", "k", "M", "G", "T", "P", "E", "Z", "Y")
_SMALL = ("", "m", "u", "n", "p", "f", "a", "z", "y")
_KIBI = 1024.0


def _humanize(value: Value) -> str:
    number = _number(value)
    if number == 0 or not math.isfinite(number):
        return _significant(number)
    prefixes, step = (_LARGE, 1 / 1000) if abs(number) >= 1 else (_SMALL, 1000.0)
    index = 0
    while index + 1 < len(prefixes) and not 1 <= abs(number) < 1000:  # noqa: PLR2004 - three digits
        number *= step
        index += 1
    return _significant(number) + prefixes[index]


def _humanize1024(value: Value) -> str:
    number = _number(value)
    if abs(number) <= 1 or not math.isfinite(number):
        return _significant(number)
    units = ("", "ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi")
    index = 0
    while index + 1 < len(units) and abs(number) >= _KIBI:
        number /= _KIBI
        index += 1
    return _significant(number) + units[index]


def _humanize_percentage(value: Value) -> str:
    return _significant(_number(value) * 100) + "%"


def _humanize_duration(value: Value) -> str:
    number = _number(value)
    if not math.isfinite(number):
        return _significant(number)
    if abs(number) < 1 and number != 0:
        return _humanize(number) + "s"
    if abs(number) < 60:  # noqa: PLR2004 - seconds of a minute
        return _significant(number) + "s"
    rest, sign = int(abs(number)), "-" if number < 0 else ""
    days, rest = divmod(rest, 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, seconds = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "m"), (seconds, "s")]
    while parts[0][0] == 0:
        parts.pop(0)
    return sign + " ".join(f"{count}{unit}" for count, unit in parts)


def _significant(number: float) -> str:
    return _general(number, 4)


def _general(number: float, digits: int | None) -> str:
    """Go's %g and %.4g."""
    if not math.isfinite(number):
        return show_number(number)
    return repr(number).removesuffix(".0") if digits is None else f"{number:.{digits}g}"


def _printf(*args: Value) -> str:
    template, rest = str(args[0]), list(args[1:])

    def fill(match: re.Match[str]) -> str:
        if match[1] == "%":
            return "%"
        if not rest:
            return f"%!{match[1][-1]}(MISSING)"
        value = rest.pop(0)
        kind = match[1][-1]
        if kind in "vs":
            return _text(value)
        if kind == "d":
            return str(int(_number(value)))
        return f"{_number(value):{match[1] if match[1] != 'g' else ''}}" if kind != "g" else _printed_g(value, match[1])

    return _FORMAT.sub(fill, template)


def _printed_g(value: Value, spec: str) -> str:
    return _general(_number(value), int(spec[1:-1]) if spec.startswith(".") else None)


_FUNCTIONS: dict[str, Callable[..., Value]] = {
    "humanize": _humanize,
    "humanize1024": _humanize1024,
    "humanizePercentage": _humanize_percentage,
    "humanizeDuration": _humanize_duration,
    "printf": _printf,
    "title": lambda value: str(value).title(),
    "toUpper": lambda value: str(value).upper(),
    "toLower": lambda value: str(value).lower(),
}
