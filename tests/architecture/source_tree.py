"""The project's Python sources as text and syntax trees, for the tests of this folder."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
SRC = ROOT / "src"
GENERATED = SRC / "toban" / "store" / "migrations" / "versions"


@cache
def files(folder: Path = SRC) -> tuple[Path, ...]:
    """All Python files below a folder, without caches."""
    found = tuple(sorted(folder.rglob("*.py")))
    assert found, f"no sources below {folder}"
    return found


@cache
def lines(path: Path) -> tuple[str, ...]:
    return tuple(path.read_text("utf-8").splitlines())


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), filename=str(path))


def shown(path: Path) -> str:
    """The path as people know it."""
    return str(path.relative_to(ROOT))
