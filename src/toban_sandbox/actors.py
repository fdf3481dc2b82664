"""Talks to the simulated cluster's API from within, as somebody: a pipeline, a cleanup job, the platform team.

Used to build a world's past and to inject scenarios, so that what they do is checked and recorded like anybody's.
"""

from __future__ import annotations

import json
import secrets
from typing import Any
from urllib.parse import urlencode

from starlette.types import ASGIApp, Message

from toban_sandbox.kube import auth

Json = dict[str, Any]
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
_NAMES = ("platform", "ci-bot", "cleanup-job", "developer")
_AGENTS = {
    "platform": "kubectl/v1.36.0 (linux/amd64)",
    "ci-bot": "ci-bot/2.3.1 (deploy pipeline)",
    "cleanup-job": "cleanup-job/0.4 (linux/amd64)",
    "developer": "kubectl/v1.36.0 (darwin/arm64)",
}
_REFUSED = 400


class RefusedError(Exception):
    """The API refused what an actor wanted; the message is the API's."""


def make_users() -> dict[str, auth.User]:
    """A user with a random token for each actor; they may do everything."""
    return {secrets.token_urlsafe(32): auth.User(name, auth.ADMIN) for name in _NAMES}


class Actor:
    """One user at work. `collection` paths are like `/api/v1/namespaces/shop/configmaps`."""

    def __init__(self, app: ASGIApp, *, token: str, name: str) -> None:
        self._app = app
        self._token = token
        self.name = name

    async def create(self, collection: str, obj: Json) -> Json:
        return await self._request("POST", collection, obj)

    async def patch(self, path: str, body: Json, *, content_type: str = STRATEGIC) -> Json:
        return await self._request("PATCH", path, body, content_type=content_type)

    async def delete(self, path: str) -> Json:
        return await self._request("DELETE", path)

    async def _request(
        self, method: str, path: str, body: Json | None = None, *, content_type: str = "application/json"
    ) -> Json:
        query = {"fieldManager": self.name} | ({"force": "true"} if content_type == APPLY else {})
        content = b"" if body is None else json.dumps(body).encode()
        headers = {
            "authorization": f"Bearer {self._token}",
            "accept": "application/json",
            "user-agent": _AGENTS.get(self.name, self.name),
            "host": "127.0.0.1",
        }
        if body is not None:
            headers |= {"content-type": content_type, "content-length": str(len(content))}
        status, answer = await _call(self._app, _scope(method, path, query, headers), content)
        if status >= _REFUSED:
            raise RefusedError(f"{method} {path}: {answer.get('message', status)}")
        return answer


def _scope(method: str, path: str, query: dict[str, str], headers: dict[str, str]) -> Json:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "https",
        "path": path,
        "raw_path": path.encode(),
        "query_string": urlencode(query).encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 0),
        "server": ("127.0.0.1", 0),
    }


async def _call(app: ASGIApp, scope: Json, content: bytes) -> tuple[int, Json]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    status = next((message["status"] for message in sent if message["type"] == "http.response.start"), 500)
    text = b"".join(message.get("body", b"") for message in sent if message["type"] == "http.response.body")
    answer: Json = json.loads(text) if text else {}
    return status, answer
