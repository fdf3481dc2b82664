"""The sandbox as a process: start it, wait for it, find it, talk to its control port, stop it.

Used by `up --sandbox`, `demo` and the `sandbox` commands. The sandbox is reached over its sockets and files only.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toban.entrypoints.cli import processes, running
from toban.entrypoints.cli.exits import CommandError, Exit

PORTS = {"kubernetes": 8421, "metrics": 8422, "control": 8423}
LOG = "sandbox.log"
_READY_S = 15.0
_STOP_S = 5.0
_POLL_S = 0.02
_REQUEST_S = 10.0
_EXITS = {3: Exit.NOT_FOUND, 6: Exit.CONNECTION}


@dataclass(frozen=True)
class Sandbox:
    """A sandbox that is ready: its process, its addresses, the files to come in with."""

    pid: int
    kubernetes: str
    metrics: str
    control: str
    kubeconfigs: Mapping[str, str]
    folder: Path

    def told(self) -> dict[str, Any]:
        """As it stands in `run.json`."""
        return {
            "pid": self.pid,
            "kubernetes": self.kubernetes,
            "metrics": self.metrics,
            "control": self.control,
            "kubeconfigs": dict(self.kubeconfigs),
            "folder": str(self.folder),
        }


def from_told(told: Mapping[str, Any]) -> Sandbox:
    """The other way round."""
    return Sandbox(**{**told, "folder": Path(told["folder"])})


def command(folder: Path, ports: Mapping[str, int], *more: str) -> list[str]:
    """How a sandbox is started."""
    given = [word for name, port in ports.items() for word in (f"--{name}-port", str(port))]
    return [sys.executable, "-m", "toban_sandbox", "serve", "--state-dir", str(folder), *given, *more]


def is_free(port: int) -> bool:
    """Whether nobody listens on this port of the loopback interface."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def read(folder: Path) -> Sandbox | None:
    """What a sandbox wrote when it became ready; None when there is no such file."""
    try:
        found = json.loads((folder / "sandbox.json").read_text("utf-8"))
        return Sandbox(
            found["pid"], found["kubernetes"], found["metrics"], found["control"], found["kubeconfigs"], folder
        )
    except (OSError, ValueError, KeyError):
        return None


def find(state: Path) -> Sandbox:
    """The sandbox that runs on this state folder. Raises CommandError."""
    folder = running.sandbox_folder(state)
    found = read(folder)
    if found is None or not running.is_locked(folder):
        raise CommandError(
            "no sandbox runs here",
            exit_code=Exit.CONNECTION,
            hint="start one with `toban sandbox up` or `toban up --sandbox`",
        )
    return found


def wait_ready(child: subprocess.Popen[bytes], folder: Path, log: Path) -> Sandbox:
    """Wait until the child is ready. Raises CommandError with the child's own words and exit code."""
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline:
        found = read(folder)
        if found is not None and found.pid == child.pid:
            return found
        code = child.poll()
        if code is not None:
            said = processes.last_line(log).removeprefix("toban_sandbox: ").partition(";")[0]
            raise CommandError(
                f"the sandbox did not start: {said or f'it ended with exit code {code}'}",
                exit_code=_EXITS.get(code, Exit.FAILED),
                hint=_hint(said),
            )
        time.sleep(_POLL_S)
    raise CommandError(
        f"the sandbox was not ready within {_READY_S:.0f} s", exit_code=Exit.TIME_OUT, hint=f"its log is {log}"
    )


def _hint(said: str) -> str:
    if said.startswith("port "):
        return "`--any-port` takes free ports where the usual ones are in use"
    return "stop it with `toban sandbox down`" if "another sandbox" in said else ""


def stop(sandbox: Sandbox) -> None:
    """Stop a sandbox that is no child of ours."""
    os.kill(sandbox.pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_S
    while time.monotonic() < deadline:
        if not running.is_locked(sandbox.folder):
            return
        time.sleep(_POLL_S)
    os.kill(sandbox.pid, signal.SIGKILL)


def scenarios() -> list[dict[str, Any]]:
    """The scenarios that the installed sandbox knows: `name`, `title` {en, ja}, `family`, `harmless`."""
    try:
        done = subprocess.run(
            [sys.executable, "-m", "toban_sandbox", "scenarios", "--json"],
            capture_output=True,
            timeout=_REQUEST_S,
            check=True,
        )
    except (subprocess.SubprocessError, OSError) as error:
        raise CommandError(f"the sandbox cannot list its scenarios: {error}") from error
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def scenario(name: str) -> dict[str, Any]:
    """One scenario by name. Raises CommandError that lists the known names."""
    known = {one["name"]: one for one in scenarios()}
    if name not in known:
        raise CommandError(
            f"there is no scenario {name!r}",
            exit_code=Exit.NOT_FOUND,
            hint=f"known are: {', '.join(sorted(known))}",
        )
    return known[name]


def control(sandbox: Sandbox, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Ask the sandbox's control port. Raises CommandError with the sandbox's own words."""
    import httpx2

    try:
        token = (sandbox.folder / "control-token").read_text("utf-8").strip()
        answer = httpx2.request(
            method,
            f"{sandbox.control}{path}",
            json=body,
            headers={"Authorization": f"Bearer {token}"},
            timeout=_REQUEST_S,
            trust_env=False,  # loopback: no proxy stands in between
        )
        found: dict[str, Any] = answer.json() if answer.content else {}
    except (httpx2.HTTPError, OSError, ValueError) as error:
        raise CommandError(f"the sandbox does not answer: {error}", exit_code=Exit.CONNECTION) from error
    if answer.is_success:
        return found
    known = ", ".join(found.get("known", []))
    raise CommandError(
        f"the sandbox refuses: {found.get('error', answer.status_code)}",
        exit_code=Exit.NOT_FOUND if known else Exit.FAILED,
        hint=f"known are: {known}" if known else "",
    )
