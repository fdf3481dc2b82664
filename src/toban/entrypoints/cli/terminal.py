"""The terminal: where data and progress go, how wide it is, and questions to the person in front of it.

Colours only on a terminal, never with NO_COLOR (the console sees to that). Markup and guesses are off: what is printed
came from outside more often than not.
"""

import os
import sys
from typing import TYPE_CHECKING, TextIO

from toban.entrypoints.cli.exits import CommandError, Exit

if TYPE_CHECKING:
    from rich.console import Console

_UNBOUNDED = 10_000


def _console(stream: TextIO, *, bounded: bool) -> "Console":
    from rich.console import Console

    width = None if bounded or stream.isatty() or os.environ.get("COLUMNS") else _UNBOUNDED
    return Console(file=stream, width=width, highlight=False, markup=False, emoji=False)


def data() -> "Console":
    """Where results go: stdout, as wide as they are when nobody looks."""
    return _console(sys.stdout, bounded=False)


def progress() -> "Console":
    """Where everything else goes: stderr, wrapped as for people."""
    return _console(sys.stderr, bounded=True)


def is_person() -> bool:
    """Whether somebody can answer."""
    return sys.stdin.isatty()


def ask(question: str) -> bool:
    """Ask on the terminal; anything but a yes is a no. Raises CommandError when nobody can answer."""
    if not is_person():
        raise CommandError(
            "this needs a person's answer, and there is no terminal to ask on",
            exit_code=Exit.REFUSED,
            hint="look at the plan with `toban change show`, then repeat it with --yes",
        )
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return is_yes(sys.stdin.readline())


def is_yes(answer: str) -> bool:
    """Whether this line means yes, in English or Japanese."""
    return answer.strip().lower() in {"y", "yes", "はい"}


def secret(prompt: str) -> str:
    """A password typed unseen. Raises CommandError when nobody can type."""
    import getpass

    if not is_person():
        raise CommandError(
            "a password is needed, and there is no terminal to ask on",
            exit_code=Exit.USAGE,
            hint="give it with --password-file",
        )
    return getpass.getpass(f"{prompt}: ", stream=sys.stderr)
