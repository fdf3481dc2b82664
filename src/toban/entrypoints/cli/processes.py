"""Child processes: started in a group of their own, stopped at exit, and by the kernel where this process dies.

Used for the sandbox and for the demo's Toban. Nothing here knows what the child is.
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_STOP_S = 5.0


def start(
    command: Sequence[str],
    *,
    log: Path,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    outlives: bool = False,
) -> subprocess.Popen[bytes]:
    """Start a child that gets SIGTERM when this process dies, however it dies; stderr goes to `log`.

    With `outlives` it goes on in the background instead.
    """
    bound = sys.platform == "linux" and not outlives
    with log.open("w", encoding="utf-8") as errors:
        return subprocess.Popen(  # noqa: S603 - our own modules, by list
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            cwd=folder,
            env=None if environment is None else dict(environment),
            start_new_session=True,
            preexec_fn=_die_with(os.getpid()) if bound else None,  # noqa: PLW1509 - no threads yet
        )


def _die_with(parent: int) -> Callable[[], None]:
    """Ask the kernel for a signal at the parent's death. Prepared before the fork: after it, little may be called."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it died in between
            os._exit(1)

    return ask


def stop(child: subprocess.Popen[bytes], *, within_s: float = _STOP_S) -> None:
    """Ask the child to stop, and end its whole group when it does not in time."""
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(within_s)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def last_line(log: Path) -> str:
    """What the child said last, for an error's sentence."""
    try:
        lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    except OSError:
        return ""
    return lines[-1] if lines else ""
