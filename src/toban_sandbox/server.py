"""Serves the sandbox on three loopback sockets until it is told to stop. Called by the command line.

Also writes what others need to find it: certificates, kubeconfigs, the control token and `sandbox.json`.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import ipaddress
import json
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from toban_sandbox import control
from toban_sandbox.alerts.delivery import Receiver
from toban_sandbox.alerts.notifications import Policy
from toban_sandbox.audit import AuditLog
from toban_sandbox.kube import serve as kube_serve
from toban_sandbox.metrics import api as metrics_api
from toban_sandbox.sandbox import CurrentReadings, Sandbox
from toban_sandbox.scenario import Scenario
from toban_sandbox.world import World

TOKEN_BYTES = 32
_BACKLOG = 512
_GRACE_S = 1
Json = dict[str, Any]


class StartError(Exception):
    """The sandbox cannot start; the message says what to do."""


class PortInUseError(StartError):
    """Somebody else listens on a port."""


@dataclass(frozen=True)
class Options:
    """What the command line says. Ports of 0 mean any free one; `repeat_interval_s` is in simulated seconds."""

    state_dir: Path
    world: World
    scenario: Scenario | None
    host: str
    ports: dict[str, int]
    seed: int
    speed: float
    receiver: Receiver | None
    repeat_interval_s: float


class _Server(uvicorn.Server):
    """uvicorn without its own handling of signals, since three of them share the process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def loopback(host: str) -> str:
    """The host itself when it is this machine only. Raises StartError."""
    with contextlib.suppress(ValueError):
        if host == "localhost" or ipaddress.ip_address(host).is_loopback:
            return host
    raise StartError(f"--host must be a loopback address such as 127.0.0.1, not {host!r}")


async def serve(options: Options) -> None:
    """Runs until SIGTERM or SIGINT. Raises StartError, and UnsettledError for a world that cannot run."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    with _state_directory(options.state_dir) as folder, contextlib.ExitStack() as stack:
        sockets = {name: stack.enter_context(_listen(options.host, port)) for name, port in options.ports.items()}
        await _serve(options, folder, sockets, stop)


async def _serve(options: Options, folder: Path, sockets: dict[str, socket.socket], stop: asyncio.Event) -> None:
    urls = {name: _url("https" if name == "kubernetes" else "http", sock) for name, sock in sockets.items()}
    certificates = kube_serve.ensure_certificates(folder)
    users = kube_serve.ensure_users(folder)
    kubeconfigs = kube_serve.write_kubeconfigs(folder, url=urls["kubernetes"], certificates=certificates)
    token = _control_token(folder / "control-token")
    sandbox = Sandbox(
        options.world,
        seed=options.seed,
        speed=options.speed,
        users=users,
        audit=AuditLog(folder / "audit.jsonl"),
        policy=Policy(repeat_interval_s=options.repeat_interval_s),
    )
    servers: list[_Server] = []
    running: list[asyncio.Task[None]] = []
    try:
        await sandbox.start(metrics_url=urls["metrics"], now=time.time)
        apps: dict[str, ASGIApp] = {
            "kubernetes": sandbox.kubernetes,
            "metrics": metrics_api.build_app(CurrentReadings(sandbox)),
            "control": control.build_app(sandbox, token=token),
        }
        servers = [_server(apps[name], certificates if name == "kubernetes" else None) for name in sockets]
        running = [
            asyncio.create_task(server.serve(sockets=[sock]))
            for server, sock in zip(servers, sockets.values(), strict=True)
        ]
        await _until_started(servers, running)
        if options.receiver:
            sandbox.sender.add(options.receiver)
        if options.scenario:
            sandbox.start_scenario(options.scenario)
        _announce(folder, {**urls, "kubeconfigs": {name: str(path) for name, path in kubeconfigs.items()}})
        await _first(stop, sandbox, running)
    finally:
        for server in servers:
            server.should_exit = True
        await sandbox.close()
        await asyncio.gather(*running, return_exceptions=True)
        (folder / "sandbox.json").unlink(missing_ok=True)


def _server(app: ASGIApp, certificates: kube_serve.Certificates | None) -> _Server:
    tls: Json = {}
    if certificates:
        tls = {
            "ssl_certfile": str(certificates.server_certificate),
            "ssl_keyfile": str(certificates.server_key),
        }
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="critical",
        access_log=False,
        lifespan="off",
        server_header=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=_GRACE_S,
        **tls,
    )
    return _Server(config)


async def _until_started(servers: list[_Server], running: list[asyncio.Task[None]]) -> None:
    while not all(server.started for server in servers):
        for task in running:
            if task.done():
                task.result()
                raise StartError("a server ended before it had started")
        await asyncio.sleep(0.005)


async def _first(stop: asyncio.Event, sandbox: Sandbox, running: list[asyncio.Task[None]]) -> None:
    """Waits for the order to stop, or for anything that should not end to end."""
    stopped = asyncio.ensure_future(stop.wait())
    waited: list[asyncio.Future[Any]] = [stopped, sandbox.failed, *running]
    try:
        done, _ = await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()
    if stopped not in done:
        for ended in done:
            ended.result()
        raise StartError("a server of the sandbox ended by itself")


def _announce(folder: Path, found: Json) -> None:
    """Says on stdout and in `sandbox.json` that everything is ready, and where."""
    line = json.dumps({"ready": True, **found, "pid": os.getpid()})
    _write_private(folder / "sandbox.json", line + "\n")
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _control_token(path: Path) -> str:
    """The token in the file, made when it does not exist."""
    with contextlib.suppress(OSError):
        kept = path.read_text(encoding="utf-8").strip()
        if kept:
            return kept
    token = secrets.token_urlsafe(TOKEN_BYTES)
    _write_private(path, token + "\n")
    return token


def _write_private(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    temporary.replace(path)


@contextlib.contextmanager
def _state_directory(folder: Path) -> Iterator[Path]:
    """The directory, made and held by this process alone. Raises StartError."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (folder / "lock").open("w", encoding="utf-8")
    except OSError as error:
        raise StartError(
            f"the state directory {folder} cannot be written ({error.strerror}); give another one with --state-dir"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StartError(
                f"another sandbox uses the state directory {folder}; stop it or give another one with --state-dir"
            ) from error
        yield folder


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(_BACKLOG)
    except OSError as error:
        sock.close()
        raise PortInUseError(
            f"port {port} on {host} cannot be used ({error.strerror}); stop what uses it or choose another (0 is any)"
        ) from error
    return sock


def _url(scheme: str, sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
