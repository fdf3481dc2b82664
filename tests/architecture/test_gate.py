"""Only the Gate calls what an integration can do: nobody else opens it, and every action stands behind the guard."""

import ast

import pytest

from architecture import source_tree as source
from toban.plugins import registry
from toban.plugins.action import ReadAction, WriteAction

GATE = source.SRC / "toban" / "governance" / "gate.py"
DEFINED = source.SRC / "toban" / "plugins" / "action.py"


def _concrete(base):
    """All installed classes of actions below `base` that can be built."""
    for integration in registry.integrations().values():
        if "action_provider" in integration.provides:
            # the factory imports the module in which the actions are defined
            __import__(f"{integration.settings.__module__}.provider")
    waiting = list(base.__subclasses__())
    while waiting:
        cls = waiting.pop()
        waiting.extend(cls.__subclasses__())
        if not cls.__abstractmethods__ and cls.__module__.startswith("toban."):
            yield cls


def _is_guarded(cls, method):
    return getattr(cls, method).__code__.co_qualname == "_guarded.<locals>.call"


def test_only_the_gate_names_the_function_that_opens_it():
    users = {
        source.shown(path)
        for path in source.files()
        for node in ast.walk(source.tree(path))
        if "gate_open" in {getattr(node, "id", ""), getattr(node, "attr", ""), getattr(node, "name", "")}
    }
    assert users == {source.shown(GATE), source.shown(DEFINED)}


@pytest.mark.parametrize("base", [ReadAction, WriteAction])
def test_every_method_of_every_action_stands_behind_the_guard(base):
    classes = list(_concrete(base))
    assert classes
    open_ones = {f"{cls.__name__}.{name}" for cls in classes for name in cls._methods if not _is_guarded(cls, name)}
    assert open_ones == set()


@pytest.mark.parametrize("base", [ReadAction, WriteAction])
def test_an_action_that_takes_a_method_from_an_unguarded_class_is_noticed(base):
    method = min(base._methods)

    async def borrowed(self): ...

    mixed = type("Mixed", (type("Mixin", (), {method: borrowed}), base), {})
    assert not _is_guarded(mixed, method)
