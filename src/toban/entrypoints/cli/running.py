"""Where things are on this machine: the state folder, and `run.json` that a running Toban leaves in it.

Read by commands that talk to a server or start one. `http.server` writes `run.json`; settings are not read here, since
that takes longer than most commands.
"""

import fcntl
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toban.entrypoints.cli.exits import CommandError, Exit

RUN_FILE = "run.json"


@dataclass(frozen=True)
class Running:
    """A Toban that runs here: `sandbox` is what its own sandbox said of itself, empty without one."""

    pid: int
    url: str
    sandbox: dict[str, Any]


def home(variables: Mapping[str, str] | None = None) -> Path:
    """The state folder, as `toban.settings.home_folder` has it."""
    given = os.environ if variables is None else variables
    return Path(given.get("TOBAN_HOME") or Path.home() / ".local" / "state" / "toban").expanduser()


def make(state: Path) -> None:
    """Make the state folder, for its owner alone. Raises CommandError."""
    try:
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        usable = os.access(state, os.W_OK | os.X_OK)
    except OSError as error:
        reason, usable = error.strerror or str(error), False
    else:
        reason = "it cannot be written"
    if not usable:
        raise CommandError(
            f"the state folder {state} cannot be used: {reason}",
            exit_code=Exit.USAGE,
            hint="set TOBAN_HOME to a folder that you may write to",
        )


def sandbox_folder(state: Path) -> Path:
    """Where a sandbox that belongs to a state folder keeps its files."""
    return state / "sandbox"


def find(state: Path) -> Running | None:
    """The Toban that runs on a state folder; None when there is none, or only what a dead one left behind."""
    try:
        found = json.loads((state / RUN_FILE).read_text("utf-8"))
        running = Running(int(found["pid"]), str(found["url"]), dict(found.get("sandbox") or {}))
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return running if is_locked(state) else None


def is_locked(folder: Path) -> bool:
    """Whether a living process holds the folder's lock: unlike a number in a file, a lock dies with its holder."""
    try:
        with (folder / "lock").open("r", encoding="utf-8") as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
