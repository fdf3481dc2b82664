"""Functions that look at more than one value: absent, histogram_quantile, label_replace, sort."""

from __future__ import annotations

import math
import re

from toban_sandbox.promql import labels as labelling
from toban_sandbox.promql import tree
from toban_sandbox.promql.errors import ExecutionError
from toban_sandbox.promql.labels import NAME, Labels
from toban_sandbox.promql.matchers import compile_pattern
from toban_sandbox.promql.numbers import parse_number

Vector = list[tuple[Labels, float]]

_LABEL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_REFERENCE = re.compile(r"\$(?:\$|\{(\w+)\}|(\w+))", re.ASCII)
_BUCKET_LABELS = frozenset(["le", NAME])


def absent_labels(node: tree.Expr) -> Labels:
    """The labels of an `absent` result: what the selector's equality matchers say, unless they name a label twice."""
    selector = node.selector if isinstance(node, tree.Range) else node
    if not isinstance(selector, tree.Selector):
        return labelling.EMPTY
    found: dict[str, str] = {}
    seen: set[str] = set()
    for matcher in selector.matchers:
        if matcher.name == NAME:
            continue
        if matcher.operator == "=" and matcher.name not in seen:
            found[matcher.name] = matcher.value
        else:
            found.pop(matcher.name, None)
        seen.add(matcher.name)
    return labelling.canonical(found)


def scalar(vector: Vector) -> float:
    return vector[0][1] if len(vector) == 1 else math.nan


def sort(vector: Vector, *, descending: bool) -> Vector:
    """Ordered by value, NaN last."""
    return sorted(vector, key=lambda sample: (math.isnan(sample[1]), -sample[1] if descending else sample[1]))


def label_replace(vector: Vector, target: str, replacement: str, source: str, pattern: str) -> Vector:
    """Sets a label from an expression over another one; raises ExecutionError for a bad name, pattern or clash."""
    try:
        compiled = compile_pattern(pattern)
    except ValueError as error:
        raise ExecutionError(f"invalid regular expression in label_replace(): {pattern}") from error
    if not _LABEL_NAME.fullmatch(target):
        raise ExecutionError(f"invalid destination label name in label_replace(): {target}")
    result: Vector = []
    for labels, value in vector:
        match = compiled.fullmatch(labelling.value_of(labels, source))
        changed = labels if match is None else labelling.replace(labels, [(target, _expand(replacement, match))])
        result.append((changed, value))
    return result


def _expand(template: str, match: re.Match[str]) -> str:
    def reference(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if name is None:
            return "$"
        try:
            return match[int(name) if name.isdigit() else name] or ""
        except IndexError:
            return ""

    return _REFERENCE.sub(reference, template)


def histogram_quantile(share: float, vector: Vector) -> Vector:
    """The share-quantile of each classic histogram in the vector, by linear interpolation within a bucket."""
    histograms: dict[Labels, list[tuple[float, float]]] = {}
    for labels, value in vector:
        bound = parse_number(labelling.value_of(labels, "le"))
        if bound is not None:
            histograms.setdefault(labelling.drop(labels, _BUCKET_LABELS), []).append((bound, value))
    return [(labels, _bucket_quantile(share, buckets)) for labels, buckets in histograms.items()]


def _bucket_quantile(share: float, buckets: list[tuple[float, float]]) -> float:
    if math.isnan(share):
        return math.nan
    if not 0 <= share <= 1:
        return -math.inf if share < 0 else math.inf
    merged = _cumulative(buckets)
    if len(merged) < 2 or not math.isinf(merged[-1][0]) or merged[-1][1] == 0 or math.isnan(merged[-1][1]):  # noqa: PLR2004 - one finite bucket and +Inf
        return math.nan
    rank = share * merged[-1][1]
    index = next((i for i, (_, count) in enumerate(merged[:-1]) if count >= rank), len(merged) - 1)
    if index == len(merged) - 1:
        return merged[-2][0]
    upper, count = merged[index]
    if index == 0:
        return upper if upper <= 0 else upper * rank / count
    lower, below = merged[index - 1]
    return lower + (upper - lower) * ((rank - below) / (count - below))


def _cumulative(buckets: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Buckets by bound, those of one bound added up, and never falling (a scrape may see them half-updated)."""
    totals: dict[float, float] = {}
    for bound, count in buckets:
        totals[bound] = totals.get(bound, 0.0) + count
    result: list[tuple[float, float]] = []
    highest = -math.inf
    for bound in sorted(totals):
        highest = max(highest, totals[bound])
        result.append((bound, highest))
    return result
