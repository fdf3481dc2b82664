"""Sends notifications to receivers by HTTP, with a bearer token, retries and back-off as Alertmanager has them.

The world's tick calls `AlertSender.tick`; the control API adds and removes receivers.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from toban_sandbox.alerts import payload
from toban_sandbox.alerts.evaluation import Alert
from toban_sandbox.alerts.notifications import Dispatcher, Flush, Policy
from toban_sandbox.clock import Clock

TIMEOUT_S = 10.0
RETRIED_FOR_S = 10.0
_FIRST_WAIT_S, _LONGEST_WAIT_S, _GROWTH = 0.5, 8.0, 1.5
_OK, _SERVER_ERROR = range(200, 300), 500
_log = logging.getLogger(__name__)

Post = Callable[[str, bytes, dict[str, str]], Awaitable[int]]


@dataclass(frozen=True)
class Receiver:
    """Where notifications go. `token` is sent as a bearer token when it is not empty."""

    name: str
    url: str
    token: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"a receiver's URL must start with http:// or https:// and name a host, not {self.url!r}")


class HttpPoster:
    """Posts bodies with one shared client, made at the first use since most runs have no receiver at the start."""

    def __init__(self) -> None:
        self._client: Any = None
        self._making = asyncio.Lock()

    async def __call__(self, url: str, body: bytes, headers: dict[str, str]) -> int:
        """The answer's status. Raises OSError when there is none."""
        async with self._making:
            if self._client is None:
                library = await asyncio.to_thread(importlib.import_module, "httpx2")
                self._client = library.AsyncClient(timeout=TIMEOUT_S, trust_env=False)
        library = importlib.import_module("httpx2")
        try:
            answer = await self._client.post(url, content=body, headers=headers)
        except library.HTTPError as error:
            raise OSError(str(error) or type(error).__name__) from error
        return int(answer.status_code)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()


class AlertSender:
    """All receivers; for each one its own groups and its own record of what it was told.

    `clock` tells which clock runs now, since a reset brings a new one.
    """

    def __init__(self, policy: Policy, *, clock: Callable[[], Clock], metrics_url: str, post: Post) -> None:
        self._clock = clock
        self._policy = policy
        self._metrics_url = metrics_url
        self._post = post
        self._receivers: dict[str, tuple[Receiver, Dispatcher]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def add(self, receiver: Receiver) -> None:
        """Adds a receiver, or replaces the one of that name; it is told of everything that fires now."""
        self._receivers[receiver.name] = (receiver, Dispatcher(self._policy, graph_url=self._metrics_url))

    def remove(self, name: str) -> bool:
        return self._receivers.pop(name, None) is not None

    def receivers(self) -> list[Receiver]:
        return [receiver for receiver, _ in self._receivers.values()]

    def tick(self, alerts: list[Alert]) -> None:
        """Looks at the alerts' state and starts sending what is due."""
        now = self._clock().time()
        for receiver, dispatcher in self._receivers.values():
            dispatcher.take_in(alerts, now)
            for flush in dispatcher.due(now):
                task = asyncio.get_running_loop().create_task(self._deliver(receiver, dispatcher, flush))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)

    async def _deliver(self, receiver: Receiver, dispatcher: Dispatcher, flush: Flush) -> None:
        success = False
        try:
            body = payload.message(receiver.name, flush.group, flush.notices, external_url=self._metrics_url)
            success = await self._send(receiver, json.dumps(body).encode())
        finally:
            dispatcher.delivered(flush, success=success, now=self._clock().time())

    async def _send(self, receiver: Receiver, body: bytes) -> bool:
        """Whether the receiver took it; tries again after 5xx and connection errors for a while, not after 4xx."""
        headers = {"Content-Type": "application/json", "User-Agent": "Alertmanager/0.25.0"}
        if receiver.token:
            headers["Authorization"] = f"Bearer {receiver.token}"
        wait, end = _FIRST_WAIT_S, self._clock().time() + RETRIED_FOR_S
        while True:
            try:
                status = await self._post(receiver.url, body, headers)
            except OSError as error:
                reason, final = str(error), False
            else:
                if status in _OK:
                    return True
                reason, final = f"unexpected status code {status}", status < _SERVER_ERROR
            current = self._receivers.get(receiver.name)
            removed = current is None or current[0] is not receiver
            if final or removed or self._clock().time() + wait > end:
                _log.warning("receiver %s was not told: %s", receiver.name, reason)
                return False
            await self._clock().sleep(wait)
            wait = min(wait * _GROWTH, _LONGEST_WAIT_S)

    async def close(self) -> None:
        """Gives up what is being sent."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
