"""Label matchers with RE2-like anchored expressions. Used by selectors, `match[]` parameters and the series store."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from toban_sandbox.promql.labels import Labels, quote, value_of

OPERATORS = ("=", "!=", "=~", "!~")
# What only one of Python and RE2 understands is refused, so that an answer never differs from Prometheus's.
_NOT_RE2 = re.compile(r"\(\?(?:=|!|<=|<!|#|P=|\()|\(\?>|[*+?}]\+|\[\[:")
_ESCAPES_NOT_RE2 = re.compile(r"\\[1-9ZQEpPCkg]")


@lru_cache(maxsize=512)
def compile_pattern(pattern: str) -> re.Pattern[str]:
    """The pattern, to be used with fullmatch; raises ValueError with what is wrong or unsupported."""
    escapes = re.findall(r"\\.", pattern)
    foreign = next((escape for escape in escapes if _ESCAPES_NOT_RE2.fullmatch(escape)), None)
    found = _NOT_RE2.search(re.sub(r"\\.", "", pattern))
    if foreign or found:
        raise ValueError(f"invalid or unsupported regular expression syntax: `{foreign or (found and found.group())}`")
    try:
        return re.compile(pattern.replace(r"\z", r"\Z"), re.ASCII)
    except (re.error, RecursionError, OverflowError) as error:
        raise ValueError(f"error parsing regexp: {error}") from error


@dataclass(frozen=True, slots=True)
class Matcher:
    """`name operator "value"`; an expression must match the whole value, and a missing label counts as empty."""

    name: str
    operator: str
    value: str

    def accepts(self, value: str) -> bool:
        if self.operator == "=":
            return value == self.value
        if self.operator == "!=":
            return value != self.value
        matched = compile_pattern(self.value).fullmatch(value) is not None
        return matched if self.operator == "=~" else not matched

    def matches(self, labels: Labels) -> bool:
        return self.accepts(value_of(labels, self.name))

    def __str__(self) -> str:
        return f"{self.name}{self.operator}{quote(self.value)}"


def matches_all(matchers: tuple[Matcher, ...], labels: Labels) -> bool:
    return all(matcher.matches(labels) for matcher in matchers)
