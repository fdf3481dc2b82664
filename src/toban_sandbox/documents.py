"""Reads the sandbox's YAML files (worlds, scenarios, rules) field by field, with the line of everything that is wrong.

Called by `world`, `scenario` and `alerts.rules`. It knows YAML and types, not what the files mean.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

_REQUIRED: Any = object()
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhd])", re.ASCII)
_BYTES = {"": 1, "Ki": 1024, "Mi": 1024**2, "Gi": 1024**3}
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)(|Ki|Mi|Gi)", re.ASCII)


class DocumentError(Exception):
    """A file cannot be used; the message names the file, the line and what to do."""


class _Loader(yaml.CSafeLoader):
    """Safe YAML that leaves dates as text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def load(path: Path) -> Section:
    """The file's mapping. Raises DocumentError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DocumentError(f"{path}: cannot be read: {error}") from error
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise DocumentError(f"{path}:{line}: not valid YAML: {error.problem}") from error
    except yaml.YAMLError as error:
        raise DocumentError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(node, yaml.MappingNode):
        raise DocumentError(f"{path}:1: a mapping of fields was expected")
    return Section(path, node)


def _plain(node: yaml.Node) -> Any:
    loader = _Loader("")
    try:
        return loader.construct_document(node)
    finally:
        loader.dispose()


class Section:
    """One mapping of the file; each reader takes a field, `finish` complains about fields that nobody took."""

    def __init__(self, path: Path, node: yaml.MappingNode) -> None:
        self.path = path
        self._node = node
        self._fields: dict[str, yaml.Node] = {}
        self._keys: dict[str, yaml.Node] = {}
        self._taken: set[str] = set()
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise self._problem(key, "a field's name must be a word")
            if key.value in self._fields:
                raise self._problem(key, f"the field `{key.value}` stands here twice")
            self._fields[key.value] = value
            self._keys[key.value] = key

    def error(self, message: str, field: str | None = None) -> DocumentError:
        """The complaint at the field's line, or at the section's."""
        return self._problem(self._keys.get(field or "", self._node), message)

    def _problem(self, node: yaml.Node, message: str) -> DocumentError:
        return DocumentError(f"{self.path}:{node.start_mark.line + 1}: {message}")

    def __contains__(self, field: str) -> bool:
        return field in self._fields

    def fields(self) -> list[str]:
        return list(self._fields)

    def _value(self, field: str, default: Any) -> Any:
        self._taken.add(field)
        if field not in self._fields:
            if default is _REQUIRED:
                raise self.error(f"the field `{field}` is missing")
            return default
        return _plain(self._fields[field])

    def _typed(self, field: str, default: Any, check: Callable[[Any], bool], wanted: str) -> Any:
        value = self._value(field, default)
        if field in self._fields and not check(value):
            raise self.error(f"`{field}` must be {wanted}, not {value!r}", field)
        return value

    def text(self, field: str, default: Any = _REQUIRED) -> str:
        value: str = self._typed(field, default, lambda v: isinstance(v, str), "text")
        return value

    def choice(self, field: str, choices: tuple[str, ...], default: Any = _REQUIRED) -> str:
        value: str = self._typed(field, default, lambda v: v in choices, f"one of {', '.join(choices)}")
        return value

    def number(self, field: str, default: Any = _REQUIRED, *, least: float = 0.0) -> float:
        def good(value: Any) -> bool:
            return isinstance(value, int | float) and not isinstance(value, bool) and value >= least

        return float(self._typed(field, default, good, f"a number of at least {least:g}"))

    def whole(self, field: str, default: Any = _REQUIRED, *, least: int = 0) -> int:
        def good(value: Any) -> bool:
            return isinstance(value, int) and not isinstance(value, bool) and value >= least

        value: int = self._typed(field, default, good, f"a whole number of at least {least}")
        return value

    def flag(self, field: str, *, default: bool = False) -> bool:
        value: bool = self._typed(field, default, lambda v: isinstance(v, bool), "true or false")
        return value

    def names(self, field: str, default: Any = _REQUIRED) -> tuple[str, ...]:
        def good(value: Any) -> bool:
            return isinstance(value, list) and all(isinstance(item, str) for item in value)

        return tuple(self._typed(field, default, good, "a list of words"))

    def texts(self, field: str) -> dict[str, str]:
        """A mapping of words to words; empty when it is not there."""

        def good(value: Any) -> bool:
            return isinstance(value, dict) and all(isinstance(item, str) for pair in value.items() for item in pair)

        value: dict[str, str] = self._typed(field, {}, good, "a mapping of words to words")
        return value

    def plain(self, field: str, default: Any = _REQUIRED) -> Any:
        """The field as it is, whatever its type."""
        return self._value(field, default)

    def seconds(self, field: str, default: Any = _REQUIRED) -> float:
        """A duration such as `90s`, `10m` or `6d`, in seconds."""
        text = str(self._value(field, default))
        found = _DURATION.fullmatch(text)
        if not found:
            raise self.error(f"`{field}` must be a duration like 30s, 10m or 2d, not {text!r}", field)
        return float(found[1]) * _SECONDS[found[2]]

    def size(self, field: str, default: Any = _REQUIRED) -> int:
        """A size such as `128Mi`, in bytes."""
        text = str(self._value(field, default))
        found = _QUANTITY.fullmatch(text)
        if not found:
            raise self.error(f"`{field}` must be a size like 64Ki, 128Mi or 1Gi, not {text!r}", field)
        return round(float(found[1]) * _BYTES[found[2]])

    def section(self, field: str) -> Section | None:
        """A mapping within this one, or None when it is not there."""
        self._taken.add(field)
        node = self._fields.get(field)
        if node is None:
            return None
        if not isinstance(node, yaml.MappingNode):
            raise self.error(f"`{field}` must be a mapping", field)
        return Section(self.path, node)

    def required_section(self, field: str) -> Section:
        found = self.section(field)
        if found is None:
            raise self.error(f"the field `{field}` is missing")
        return found

    def sections(self, field: str) -> list[Section]:
        """A list of mappings; empty when the field is not there."""
        self._taken.add(field)
        node = self._fields.get(field)
        if node is None:
            return []
        if not isinstance(node, yaml.SequenceNode):
            raise self.error(f"`{field}` must be a list", field)
        for item in node.value:
            if not isinstance(item, yaml.MappingNode):
                raise self._problem(item, f"each entry of `{field}` must be a mapping")
        return [Section(self.path, item) for item in node.value]

    def finish(self) -> None:
        """Complains about a field that is not known, with the nearest names that are."""
        for field in self._fields:
            if field not in self._taken:
                known = ", ".join(sorted(self._taken))
                raise self.error(f"the field `{field}` is not known here; known are: {known}", field)
