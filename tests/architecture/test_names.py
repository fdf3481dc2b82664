"""Names say what a thing is; words that fit everything are not used for modules and classes."""

import ast
import re

import pytest

from architecture import source_tree as source

EMPTY_WORDS = frozenset(
    {"manager", "managers", "helper", "helpers", "util", "utils", "utility", "utilities", "core", "common", "misc"}
)
# Words of the systems that we talk to; renaming them would hide what they are.
FOREIGN = frozenset({"src/toban_sandbox/kube/patch/ownership.py: Manager"})  # an entry of Kubernetes' managedFields


def words(name):
    """The words of a snake_case or CamelCase name, in lower case."""
    return {part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)}


def test_no_module_or_package_has_an_empty_name():
    parts = {part for path in source.files() for part in path.relative_to(source.SRC).with_suffix("").parts}
    assert {part for part in parts if words(part) & EMPTY_WORDS} == set()


def test_no_class_has_an_empty_name():
    classes = {
        f"{source.shown(path)}: {node.name}"
        for path in source.files()
        for node in ast.walk(source.tree(path))
        if isinstance(node, ast.ClassDef) and words(node.name) & EMPTY_WORDS
    }
    assert classes - FOREIGN == set()
    assert classes >= FOREIGN


@pytest.mark.parametrize("name", ["IncidentManager", "http_utils", "CoreAPI", "URLHelper"])
def test_an_empty_word_is_found_inside_a_longer_name(name):
    assert words(name) & EMPTY_WORDS


@pytest.mark.parametrize("name", ["Scorecard", "managed_fields", "Commonwealth", "gate"])
def test_a_word_that_only_begins_alike_is_allowed(name):
    assert not words(name) & EMPTY_WORDS
