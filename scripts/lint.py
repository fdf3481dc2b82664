"""Run every check of `make lint`, two at a time, and print what each that failed has to say.

Called by the Makefile. It runs no tests. Exit code 1 if one check failed, and the names of all that did.
"""

import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_ROOT = Path(__file__).parent.parent
_BIN = Path(sys.executable).parent

_CHECKS: dict[str, list[str]] = {
    "mypy": [str(_BIN / "mypy")],
    "import contracts": [str(_BIN / "lint-imports")],
    "ruff check": [str(_BIN / "ruff"), "check"],
    "ruff format": [str(_BIN / "ruff"), "format", "--check"],
    "unused dependencies": [str(_BIN / "deptry"), "src"],
    "dead code": [str(_BIN / "vulture")],
    "the tree's own rules": [sys.executable, "scripts/check_tree.py"],
    "configuration docs": [sys.executable, "scripts/write_configuration_docs.py", "--check"],
}

# A record's field is read by templates, JSON and the database, which vulture does not see; functions are not.
_FIELD = re.compile(r"unused (variable|attribute|property) .*\(60% confidence\)$")
# `main.py` names the command line's functions in texts and keywords, so that `--help` loads none of them.
_COMMAND = re.compile(r"src/toban/entrypoints/cli/.*unused function '(\w+)'")


def _dead_code(output: str) -> str:
    named = set(re.findall(r"\w+", (_ROOT / "src" / "toban" / "main.py").read_text("utf-8")))
    kept = []
    for line in output.splitlines():
        command = _COMMAND.match(line)
        names = {command[1], command[1].partition("_")[2]} if command else set()  # user_add is `user add`
        if not _FIELD.search(line) and not names & named:
            kept.append(line)
    return "\n".join(kept)


def run(name: str) -> tuple[str, str, float]:
    """One check: its name, what it complains about (empty: nothing), and seconds."""
    began = time.monotonic()
    done = subprocess.run(_CHECKS[name], cwd=_ROOT, capture_output=True, text=True, check=False)
    output = (done.stdout + done.stderr).strip()
    complaint = output if done.returncode else ""
    if name == "dead code" and complaint:
        complaint = _dead_code(complaint)
    return name, complaint, time.monotonic() - began


def main() -> int:
    """Run all of them."""
    failed = []
    with ThreadPoolExecutor(max_workers=2) as pool:
        for name, complaint, seconds in pool.map(run, _CHECKS):
            print(f"{'FAILED' if complaint else 'ok':6}  {name} ({seconds:.1f} s)", flush=True)
            if complaint:
                failed.append(name)
                print(complaint, flush=True)
    if failed:
        print(f"lint failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
