"""Label sets as sorted tuples of pairs: what identifies a series. Used by promql, metrics, alerts; no matching here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

Labels = tuple[tuple[str, str], ...]
NAME = "__name__"
EMPTY: Labels = ()


def canonical(pairs: Mapping[str, str]) -> Labels:
    """The label set of a mapping: sorted by name, without empty values (an empty label is an absent one)."""
    return tuple(sorted((name, value) for name, value in pairs.items() if value))


def value_of(labels: Labels, name: str) -> str:
    """The label's value, or an empty string when the set does not have it."""
    for key, value in labels:
        if key == name:
            return value
    return ""


@lru_cache(maxsize=16384)
def keep(labels: Labels, names: frozenset[str]) -> Labels:
    return tuple(pair for pair in labels if pair[0] in names)


@lru_cache(maxsize=16384)
def drop(labels: Labels, names: frozenset[str]) -> Labels:
    return tuple(pair for pair in labels if pair[0] not in names)


_NAME_ONLY = frozenset([NAME])


def drop_name(labels: Labels) -> Labels:
    return drop(labels, _NAME_ONLY)


def replace(labels: Labels, changes: Iterable[tuple[str, str]]) -> Labels:
    """The set with some labels set; an empty value removes a label."""
    merged = dict(labels)
    merged.update(changes)
    return canonical(merged)


def show(labels: Labels) -> str:
    """The set in Prometheus's notation: `name{a="b"}`."""
    name = value_of(labels, NAME)
    inner = ", ".join(f"{key}={quote(value)}" for key, value in labels if key != NAME)
    return f"{name}{{{inner}}}" if inner or not name else name


def quote(text: str) -> str:
    """The text in double quotes with PromQL's escapes."""
    escaped = (
        text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
    )
    return '"' + "".join(char if char >= " " else f"\\x{ord(char):02x}" for char in escaped) + '"'
