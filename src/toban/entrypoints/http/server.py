"""The web server: uvicorn that ends open event streams when it is told to stop, so that it does stop.

Called by `toban up`, the demo and tests.
"""

from types import FrameType

import uvicorn
from fastapi import FastAPI

_GRACE_S = 2


class Server(uvicorn.Server):
    """Stops within two seconds, open streams or not."""

    def __init__(self, app: FastAPI, *, host: str, port: int) -> None:
        self._application = app
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

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal came: streams end first."""
        self.stop()
        super().handle_exit(sig, frame)

    def stop(self) -> None:
        """Begin to stop, from any code on the server's own loop."""
        self._application.state.closing.event.set()
        self.should_exit = True

    @property
    def port(self) -> int:
        """The port it listens on, once started."""
        for server in self.servers:
            for socket in server.sockets:
                return int(socket.getsockname()[1])
        return int(self.config.port)
