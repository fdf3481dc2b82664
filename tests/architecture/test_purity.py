"""`analysis/` and `model/` are pure: they never wait, never read a clock, never open a file, never roll dice."""

import ast

import pytest

from architecture import source_tree as source

PURE = tuple(path for room in ("analysis", "model") for path in source.files(source.SRC / "toban" / room))
CLOCKS = frozenset({"now", "utcnow", "today", "monotonic", "perf_counter", "time_ns"})
FILES = frozenset({"open", "read_text", "read_bytes", "write_text", "write_bytes"})
IMPURE_MODULES = frozenset({"asyncio", "io", "os", "pathlib", "random", "secrets", "socket", "subprocess", "time"})
WAITING = (ast.Await, ast.AsyncFor, ast.AsyncWith, ast.AsyncFunctionDef)


def impurities(tree):
    """What in a syntax tree waits, reads a clock, touches a file or imports what would; with line numbers."""
    for node in ast.walk(tree):
        if isinstance(node, WAITING):
            yield f"{node.lineno}: waits"
        elif isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in CLOCKS | FILES:
                yield f"{node.lineno}: calls {name}()"
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] in IMPURE_MODULES:
                    yield f"{node.lineno}: imports {alias.name}"
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in IMPURE_MODULES:
            yield f"{node.lineno}: imports from {node.module}"
        elif isinstance(node, ast.ImportFrom) and "clock" in (node.module or "").split("."):
            yield f"{node.lineno}: imports a clock"


def test_analysis_and_model_do_no_input_or_output():
    found = [f"{source.shown(path)}:{one}" for path in PURE for one in impurities(source.tree(path))]
    assert found == []


@pytest.mark.parametrize(
    "code",
    [
        "async def f(): ...",
        "datetime.now(UTC)",
        "open('x')",
        "path.read_text()",
        "import os.path",
        "from time import monotonic",
        "from toban.kit.clock import Clock",
    ],
)
def test_each_kind_of_impurity_is_found(code):
    assert list(impurities(ast.parse(code)))
