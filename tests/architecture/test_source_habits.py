"""Habits that a linter does not know: modules introduce themselves, catching everything needs a reason."""

import ast
import re

import pytest

from architecture import source_tree as source

REASON = re.compile(r"# noqa: (?:[A-Z]+\d+, ?)*BLE001(?:, ?[A-Z]+\d+)* --? \w.{10,}")


def _catches_everything(handler):
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(one is None or getattr(one, "id", "") in {"Exception", "BaseException"} for one in caught)


def _reraises(handler):
    return any(isinstance(node, ast.Raise) for statement in handler.body for node in ast.walk(statement))


def test_every_module_opens_with_a_docstring():
    silent = {source.shown(path) for path in source.files() if not ast.get_docstring(source.tree(path))}
    assert silent == set()


def test_catching_everything_gives_its_reason_or_raises_again():
    unexplained = {
        f"{source.shown(path)}:{node.lineno}"
        for path in source.files()
        for node in ast.walk(source.tree(path))
        if isinstance(node, ast.ExceptHandler)
        and _catches_everything(node)
        and not _reraises(node)
        and not REASON.search(source.lines(path)[node.lineno - 1])
    }
    assert unexplained == set()


def test_every_suppressed_warning_names_its_rule_and_gives_its_reason():
    bare = {
        f"{source.shown(path)}:{number}"
        for path in source.files()
        for number, line in enumerate(source.lines(path), 1)
        if "# noqa" in line and not re.search(r"# noqa: [A-Z]+\d+(?:, ?[A-Z]+\d+)* --? \w", line)
    }
    assert bare == set()


@pytest.mark.parametrize("line", ["except Exception:  # noqa: BLE001", "except Exception:  # noqa: BLE001 - so"])
def test_a_reason_of_one_short_word_is_no_reason(line):
    assert not REASON.search(line)
