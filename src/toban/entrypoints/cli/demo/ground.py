"""The demo's own ground: a fresh state folder, a Toban with a sandbox on it as a child process, and its end.

Nothing of the person's own configuration, variables or state is read or written.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from toban.entrypoints.cli import client, processes, running, sandboxes
from toban.entrypoints.cli.exits import CommandError, Exit
from toban.entrypoints.cli.paper import Paper
from toban.entrypoints.cli.speech import Speaker

_LOG = "toban.log"
_PORT = 8420
_READY_S = 30.0
_POLL_S = 0.05
_CONFIGURATION = "# the demo runs on defaults\n"


@dataclass(frozen=True)
class Ground:
    """A Toban that runs for this demo alone."""

    child: subprocess.Popen[bytes]
    folder: Path
    url: str
    sandbox: sandboxes.Sandbox
    api: client.Api

    @property
    def log_hint(self) -> str:
        """Where to look when something went wrong."""
        return f"its log is {self.folder / _LOG}"

    def check(self) -> None:
        """Raise CommandError when Toban ended by itself."""
        code = self.child.poll()
        if code is not None:
            raise _ended(self.folder, code)

    def wait(self) -> None:
        """Wait until it ends."""
        self.child.wait()


@contextmanager
def taken(speaker: Speaker, paper: Paper) -> Iterator[Ground]:
    """The ground, ready for a fault, and gone at the end. Raises CommandError."""
    folder = _fresh(running.home() / "demo")
    began = time.monotonic()
    paper.print(speaker("demo.starting"), "dim")
    child = _start(folder)
    try:
        found = _until_ready(child, folder)
        with client.Api(found.url) as api:
            ground = Ground(child, folder, found.url, sandboxes.from_told(found.sandbox), api)
            _tell_ports(ground, speaker, paper)
            paper.print(speaker("demo.duty", url=found.url, seconds=f"{time.monotonic() - began:.1f}"))
            yield ground
    finally:
        processes.stop(child)


def _fresh(folder: Path) -> Path:
    if running.is_locked(folder):
        raise CommandError("another demo runs on this machine", hint="wait until it ends, or set another TOBAN_HOME")
    if folder.is_symlink():
        raise CommandError(f"{folder} is a link, and the demo begins by emptying this folder", hint="remove the link")
    try:
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True, mode=0o700)
        (folder / "toban.yaml").write_text(_CONFIGURATION, "utf-8")
    except OSError as error:
        raise CommandError(
            f"the demo's folder {folder} cannot be made anew: {error.strerror}",
            exit_code=Exit.USAGE,
            hint="set TOBAN_HOME to a folder that you may write to",
        ) from error
    return folder


def _start(folder: Path) -> subprocess.Popen[bytes]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TOBAN_")}
    own = {"TOBAN_HOME": str(folder), "TOBAN_CONFIG": str(folder / "toban.yaml"), "TOBAN_LOG": "json"}
    command = [sys.executable, "-m", "toban.main", "up", "--sandbox", "--any-port"]
    return processes.start(command, log=folder / _LOG, folder=folder, environment=kept | own)


def _until_ready(child: subprocess.Popen[bytes], folder: Path) -> running.Running:
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline:
        code = child.poll()
        if code is not None:
            raise _ended(folder, code)
        found = running.find(folder)
        if found is not None:
            return found
        time.sleep(_POLL_S)
    raise CommandError(
        f"Toban was not ready within {_READY_S:.0f} s", exit_code=Exit.TIME_OUT, hint=f"its log is {folder / _LOG}"
    )


def _ended(folder: Path, code: int) -> CommandError:
    log = folder / _LOG
    try:
        lines = log.read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    said = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    exit_code = Exit(code) if code in set(Exit) and code != Exit.OK else Exit.FAILED
    return CommandError(
        *(said or [f"the demo's Toban ended with exit code {code}"]), exit_code=exit_code, hint=f"its log is {log}"
    )


def _tell_ports(ground: Ground, speaker: Speaker, paper: Paper) -> None:
    """Say it when a usual port was in use."""
    own, world = sandboxes.PORTS, ground.sandbox
    usual = {_PORT: ground.url, own["kubernetes"]: world.kubernetes, own["metrics"]: world.metrics}
    usual[own["control"]] = world.control
    moved = {port: urlsplit(url).port for port, url in usual.items() if urlsplit(url).port != port}
    if moved:
        busy, instead = (", ".join(str(port) for port in ports) for ports in (moved.keys(), moved.values()))
        paper.print(speaker("demo.ports", busy=busy, taken=instead), "yellow")
