"""Writes samples in Prometheus's text format, with TYPE and HELP lines. Called by the metrics API's `/metrics`."""

from __future__ import annotations

from collections.abc import Iterable

from toban_sandbox.promql.labels import NAME, Labels, quote, value_of
from toban_sandbox.promql.numbers import show_number

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_PARTS = ("_bucket", "_sum", "_count")


def _family(name: str) -> tuple[str, str]:
    """The metric family's name and type, by Prometheus's naming conventions."""
    for part in _PARTS:
        if name.endswith("_seconds" + part):
            return name.removesuffix(part), "histogram"
    return name, "counter" if name.endswith("_total") else "gauge"


def write(samples: Iterable[tuple[Labels, float]]) -> str:
    """The text: families in alphabetical order, series in the order given."""
    families: dict[str, tuple[str, list[str]]] = {}
    for labels, value in samples:
        name = value_of(labels, NAME)
        family, kind = _family(name)
        inner = ",".join(f"{key}={quote(text)}" for key, text in labels if key != NAME)
        line = f"{name}{{{inner}}} {show_number(value)}" if inner else f"{name} {show_number(value)}"
        families.setdefault(family, (kind, []))[1].append(line)
    parts: list[str] = []
    for family in sorted(families):
        kind, lines = families[family]
        parts.append(f"# HELP {family} Simulated by the sandbox.\n# TYPE {family} {kind}\n" + "\n".join(lines) + "\n")
    return "".join(parts)


def metadata(names: Iterable[str]) -> dict[str, list[dict[str, str]]]:
    """Type and help of each family, as `/api/v1/metadata` gives them."""
    families = sorted({_family(name) for name in names})
    return {family: [{"type": kind, "help": "Simulated by the sandbox.", "unit": ""}] for family, kind in families}
