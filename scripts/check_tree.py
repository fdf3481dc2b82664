"""The tree's own rules: what no file may name, what lock files may hold, and that both READMEs tell the same.

Called by `make lint`. It reads only files that git keeps or would keep; it changes nothing.
"""

import itertools
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path(__file__).parent.parent

# Put together here, so that this file itself names none of them.
_SITES = ("pypi", "pythonhosted", "npmjs", "yarnpkg", "jsr", "debian", "ubuntu", "crates")
_ENDINGS = ("org", "com", "io", "net")
_HOSTS = re.compile(
    r"\b(?:" + "|".join(f"{site}[.]{ending}" for site, ending in itertools.product(_SITES, _ENDINGS)) + r")\b",
    re.IGNORECASE,
)
# A folder of somebody's machine: no two machines have it, and a public project must not tell of one.
_MACHINE = re.compile(r"(?<![\w.$}<>-])/(?:" + "|".join(("wo" + "rk", "ro" + "ot", "ho" + "me/[a-z]+")) + r")/")
_ADDRESS = re.compile(r"https?://|file:")
_BINARY = frozenset({".png", ".woff2", ".ico", ".gz", ".zst"})
_LOCKS = ("requirements.lock", "requirements-dev.lock")
_NPM_LOCK = "web/package-lock.json"
_PAIRS = (("README.md", "README.ja.md"),)


def kept_files() -> list[Path]:
    """All files that are committed or would be by `git add`, relative to the project."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=_ROOT, capture_output=True, check=True,
    )  # fmt: skip
    names = listed.stdout.decode().split("\0")
    return [Path(name) for name in sorted(set(names)) if name and (_ROOT / name).is_file()]


def named(path: Path) -> Iterator[str]:
    """Hosts of package registries and folders of a machine that a file names."""
    if path.suffix in _BINARY:
        return
    for number, line in enumerate((_ROOT / path).read_text("utf-8", errors="replace").splitlines(), 1):
        if _HOSTS.search(line):
            yield f"{path}:{number}: names a package registry's host"
        if _MACHINE.search(line):
            yield f"{path}:{number}: names a folder of one machine"


def locked() -> Iterator[str]:
    """What is wrong with the lock files: an address, or a package without a hash."""
    for name in _LOCKS:
        text = (_ROOT / name).read_text("utf-8")
        if _ADDRESS.search(text):
            yield f"{name}: holds an address; write it with `make lock`"
        packages = re.findall(r"^[A-Za-z0-9_.-]+(?:\[[^]]*\])?==.*(?:\n    --hash=.*)*", text, re.MULTILINE)
        yield from (f"{name}: no hash for {one.split()[0]}" for one in packages if "--hash=sha256:" not in one)
        if not packages:
            yield f"{name}: holds no package"
    if (_ROOT / _NPM_LOCK).exists():
        packages = json.loads((_ROOT / _NPM_LOCK).read_text("utf-8"))["packages"]
        yield from (
            f"{_NPM_LOCK}: {name or '.'} holds an address" for name, one in packages.items() if "resolved" in one
        )


def outline(path: str) -> list[int]:
    """The levels of a Markdown file's headings, in order; code blocks do not count."""
    inside = False
    levels = []
    for line in (_ROOT / path).read_text("utf-8").splitlines():
        if line.startswith("```"):
            inside = not inside
        elif not inside and (found := re.match(r"(#+) ", line)):
            levels.append(len(found[1]))
    return levels


def commands(path: str) -> list[str]:
    """The lines of a Markdown file's shell blocks, without comments."""
    blocks = re.findall(
        r"^```(?:sh|bash|console)\n(.*?)^```", (_ROOT / path).read_text("utf-8"), re.MULTILINE | re.DOTALL
    )
    return [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]


def twins() -> Iterator[str]:
    """Where a page and its translation differ in headings or commands."""
    for first, second in _PAIRS:
        if outline(first) != outline(second):
            yield f"{second}: its headings are not those of {first}"
        if commands(first) != commands(second):
            yield f"{second}: its commands are not those of {first}"


def main() -> int:
    """Print every complaint."""
    complaints = [one for path in kept_files() for one in named(path)] + [*locked(), *twins()]
    print("\n".join(complaints))
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
