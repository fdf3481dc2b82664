"""The web server: takes the port, starts Toban on its own loop, serves until it is told to stop, ends open streams.

`Server` is uvicorn that does stop; `run` is the whole life of one process, called by `main` for `toban up`. While it is
ready, `run.json` in the state folder says where: `{pid, url, host, port, sandbox}`, readable by its owner alone.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn

from toban.errors import TobanError

if TYPE_CHECKING:
    from fastapi import FastAPI

    from toban.app import Toban
    from toban.settings import Settings

RUN_FILE = "run.json"
_GRACE_S = 2
_BACKLOG = 2048
_LOOK_TRIES = 5
_LOOK_PAUSE_S = 0.5


class PortInUseError(TobanError):
    """Somebody else listens on this port."""

    code = "PORT_IN_USE"


class ListenError(TobanError):
    """Toban cannot listen at this address."""

    code = "CONFIGURATION"


class Server(uvicorn.Server):
    """Stops within two seconds, open streams or not."""

    def __init__(self, app: "FastAPI", *, host: str = "", port: int = 0) -> None:
        self._application = app
        self.ready = asyncio.Event()
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=_GRACE_S,
                lifespan="on",
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals belong to whoever runs the process: uvicorn would raise them again after a clean stop."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and tell it."""
        await super().startup(sockets)
        self.ready.set()

    def stop(self) -> None:
        """Begin to stop, from any code on the server's own loop; open streams end first."""
        self._application.state.closing.event.set()
        self.should_exit = True

    @property
    def port(self) -> int:
        """The port it listens on, once started."""
        for server in self.servers:
            for listener in server.sockets:
                return int(listener.getsockname()[1])
        return int(self.config.port)


@dataclass(frozen=True)
class Door:
    """What `run` needs beside the settings: the taken port, what is done when Toban serves, and then who is told.

    `sandbox` goes into `run.json` as it is; with one, Toban is ready when it has learned the sandbox's services.
    `prepare` and `tell` get the address; `run.json` is written between them.
    """

    listener: socket.socket
    sandbox: Mapping[str, Any] = field(default_factory=dict)
    prepare: Callable[[str], None] = lambda _url: None
    tell: Callable[[str], None] = lambda _url: None


def listen(host: str, port: int, *, any_port: bool = False) -> socket.socket:
    """Take the port before anything else is started, with `any_port` a free one where it is taken.

    Raises PortInUseError and ListenError, which say what to change.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError as error:
        raise ListenError(f"http.host {host}: {error.strerror}; give an address of this machine with --host") from error
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(address)
        listener.listen(_BACKLOG)
    except PermissionError as error:
        listener.close()
        raise ListenError(f"port {port} on {host}: {error.strerror}; choose one above 1023 with --port") from error
    except OSError as error:
        listener.close()
        if any_port:
            return listen(host, 0)
        raise PortInUseError(
            f"port {port} on {host} cannot be used: {error.strerror}. Stop what uses it, "
            "or choose another with --port or the setting http.port (0 takes a free one)"
        ) from error
    return listener


def url_of(listener: socket.socket) -> str:
    """The address that browsers and commands on this machine can use."""
    host, port = listener.getsockname()[:2]
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def run(settings: "Settings", door: Door) -> None:
    """Start Toban, serve until SIGTERM or SIGINT, stop. Raises ConfigurationError and StorageError."""
    from toban.app import Toban
    from toban.entrypoints.http import application

    loop = asyncio.get_running_loop()
    asked_to_stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked_to_stop.set)
    toban = Toban(settings)
    try:
        await toban.start()
        server = Server(application.create(toban))
        serving = asyncio.create_task(server.serve(sockets=[door.listener]))
        await _first(serving, server.ready)
        if door.sandbox:
            await _learn(toban)
        url = url_of(door.listener)
        await asyncio.to_thread(door.prepare, url)
        with _announced(settings.home, door):
            door.tell(url)
            await _first(serving, asked_to_stop)
        server.stop()
        await serving
    finally:
        await toban.stop()
        door.listener.close()


async def _first(serving: asyncio.Task[None], event: asyncio.Event) -> None:
    """Return when the event is set, or when the server ended by itself."""
    waiting = asyncio.create_task(event.wait())
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()


async def _learn(toban: "Toban") -> None:
    """A first look at the sandbox, so that whoever is told that Toban is ready finds its services known."""
    for _ in range(_LOOK_TRIES):
        if await toban.look():
            return
        await asyncio.sleep(_LOOK_PAUSE_S)


@contextlib.contextmanager
def _announced(home: Path, door: Door) -> Iterator[None]:
    url = url_of(door.listener)
    host, port = door.listener.getsockname()[:2]
    content = {"pid": os.getpid(), "url": url, "host": host, "port": port, "sandbox": dict(door.sandbox)}
    path = home / RUN_FILE
    handle, name = tempfile.mkstemp(dir=home, prefix=f".{RUN_FILE}-")  # readable by its owner alone
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump(content, file)
    Path(name).replace(path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
