"""`toban up`: Toban in the foreground, with a sandbox beside it if wanted. What serves is handed in by `main`."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from toban.entrypoints.cli import processes, running, sandboxes
from toban.entrypoints.cli.exits import CommandError, Exit

if TYPE_CHECKING:
    from toban.settings import Settings

_NAMESPACES = ("shop",)


@dataclass(frozen=True)
class Wishes:
    """What the command line says; None where the settings decide. `any_port`: a free one where the usual is taken."""

    host: str | None = None
    port: int | None = None
    sandbox: bool = False
    scenario: str | None = None
    any_port: bool = False


@contextmanager
def stopped_by_term() -> Iterator[None]:
    """Before the server's loop runs, SIGTERM ends the start as Ctrl-C does, so that children are stopped."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def check(wishes: Wishes) -> None:
    """Raise CommandError for wishes that do not go together."""
    if wishes.scenario and not wishes.sandbox:
        raise CommandError("--scenario happens in a sandbox", exit_code=Exit.USAGE, hint="add --sandbox")
    if wishes.scenario:
        sandboxes.scenario(wishes.scenario)


class World:
    """A sandbox that starts while Toban is loaded."""

    def __init__(self, home: Path, *, any_port: bool) -> None:
        self._folder = running.sandbox_folder(home)
        self._log = home / sandboxes.LOG
        self._any_port = any_port
        free = {name: port if not any_port or sandboxes.is_free(port) else 0 for name, port in sandboxes.PORTS.items()}
        self._child = self._start(free)

    def _start(self, ports: Mapping[str, int]) -> subprocess.Popen[bytes]:
        return processes.start(sandboxes.command(self._folder, ports), log=self._log)

    def wait(self) -> sandboxes.Sandbox:
        """The sandbox, once it is ready. Raises CommandError."""
        try:
            return sandboxes.wait_ready(self._child, self._folder, self._log)
        except CommandError as error:
            if not (self._any_port and error.exit_code is Exit.CONNECTION):
                raise
        self._child = self._start(dict.fromkeys(sandboxes.PORTS, 0))  # somebody took a port in between
        return sandboxes.wait_ready(self._child, self._folder, self._log)

    def stop(self) -> None:
        """End it."""
        processes.stop(self._child)


@contextmanager
def world(wishes: Wishes, home: Path) -> Iterator[World | None]:
    """The sandbox on its way, stopped at the end; None without one."""
    if not wishes.sandbox:
        yield None
        return
    found = World(home, any_port=wishes.any_port)
    try:
        yield found
    finally:
        found.stop()


def pointed_at(settings: "Settings", sandbox: sandboxes.Sandbox) -> "Settings":
    """The settings with cluster and metrics of the sandbox, whatever they said before: practice touches nothing real.

    Environments come from the sandbox's own labels.
    """
    from toban.plugins import registry

    known = registry.integrations()
    wanted: Mapping[str, dict[str, Any]] = {
        "kubernetes": {"kubeconfig": Path(sandbox.kubeconfigs["operator"])},
        "prometheus": {"url": sandbox.metrics},
    }
    integrations = {name: known[name].settings(**values) for name, values in wanted.items()}
    workspace = settings.workspace.model_copy(update={"namespaces": _NAMESPACES, "environments": {}})
    return settings.model_copy(
        update={"integrations": settings.integrations.model_copy(update=integrations), "workspace": workspace}
    )


def introduce(sandbox: sandboxes.Sandbox, url: str, settings: "Settings", scenario: str | None) -> None:
    """Let the sandbox post its alerts to Toban, then begin the scenario. Raises CommandError."""
    hook = getattr(settings.integrations, "alertmanager", None)
    token = hook.token.get_secret_value() if hook is not None and hook.token else ""
    receiver = {"name": "toban", "url": f"{url}/hooks/alertmanager", "token": token}
    sandboxes.control(sandbox, "POST", "/receivers", receiver)
    if scenario:
        sandboxes.control(sandbox, "POST", f"/scenarios/{scenario}/start")


def say(line: str) -> None:
    """A line for the person who started it; logs go the same way."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def load_settings(wishes: Wishes) -> "Settings":
    """Configuration with the command line's wishes on top. Raises ConfigurationError."""
    from toban.entrypoints.cli import configuration

    settings = configuration.load()
    given = {"host": wishes.host, "port": wishes.port}
    http = settings.http.model_copy(update={key: value for key, value in given.items() if value is not None})
    return settings.model_copy(update={"http": http})


def configure_logs() -> None:
    """Structured logs to stderr, secrets masked."""
    from toban.governance import redaction
    from toban.telemetry import logging

    as_json = logging.wants_json(os.environ, sys.stderr)
    colors = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    logging.configure(sys.stderr, as_json=as_json, colors=colors, mask=redaction.mask_tree)
