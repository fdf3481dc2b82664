"""The checks at the door, before any route: request id, host name, origin, size; and the headers on every answer.

Plain ASGI, since thousands of deliveries a second pass here. Who asks is not decided here (see `asking`).
"""

import ipaddress
import re
import uuid
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from toban.entrypoints.http import problems
from toban.errors import TobanError, TooLargeError

BODY_LIMIT = 1024 * 1024
_REQUEST_ID = re.compile(r"[A-Za-z0-9-]{8,64}")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
_PROBES = frozenset({"/livez", "/readyz", "/metrics"})
_HOOKS = "/hooks/"

ErrorPage = Callable[[Request, TobanError], Response]
"""Draws an error for a browser."""

CONTENT_POLICY = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self'; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": CONTENT_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",  # with no-referrer, browsers would hide the origin of our own forms too
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


def host_of(value: str) -> str:
    """The host name in a Host header or authority, lower case, without port and brackets; empty when it is none."""
    try:
        name = urlsplit(f"//{value}").hostname or ""
    except ValueError:
        return ""
    return name.rstrip(".")


def is_loopback(name: str) -> bool:
    """Whether a host name means this machine only."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


class Door:
    """One middleware for all of it: sets `state.request_id`, refuses what must not come in, writes the headers."""

    def __init__(self, app: ASGIApp, hosts: Iterable[str] = (), page: ErrorPage | None = None) -> None:
        self._app = app
        self._page = page
        self._hosts = frozenset(host_of(host) for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = self._request_id(headers)
        scope.setdefault("state", {})["request_id"] = request_id
        started = False

        async def answer(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                self._dress(message, scope, request_id)
            await send(message)

        with structlog.contextvars.bound_contextvars(request=request_id):
            try:
                self._check(scope, headers)
                if scope["method"] not in _SAFE and not scope["path"].startswith(_HOOKS):
                    receive = await _bounded(receive, headers)
                await self._app(scope, receive, answer)
            except Exception as error:
                if started:
                    raise
                problem = self._told(scope, problems.of(error), request_id)
                await problem(scope, receive, answer)

    def _told(self, scope: Scope, error: TobanError, request_id: str) -> Response:
        if self._page is not None and wants_page(scope):
            try:
                return self._page(Request(scope), error)
            except Exception as broken:  # noqa: BLE001 - the page itself may be what is broken
                problems.of(broken)
        return problems.response(error, instance=scope["path"], request_id=request_id)

    @staticmethod
    def _request_id(headers: Headers) -> str:
        given = headers.get("x-request-id", "")
        return given if _REQUEST_ID.fullmatch(given) else str(uuid.uuid4())

    @staticmethod
    def _dress(message: Message, scope: Scope, request_id: str) -> None:
        headers = MutableHeaders(scope=message)
        for name, value in _HEADERS.items():
            headers.setdefault(name, value)
        headers["x-request-id"] = request_id
        if scope.get("scheme") == "https":
            headers.setdefault("strict-transport-security", "max-age=31536000")
        if not scope["path"].startswith("/static/"):
            headers.setdefault("cache-control", "no-store")

    def _check(self, scope: Scope, headers: Headers) -> None:
        path = scope["path"]
        if path in _PROBES:
            return  # probes come by address; they tell no secrets
        bearer = headers.get("authorization", "").lower().startswith("bearer ")
        hook = path.startswith(_HOOKS)
        if not (hook and bearer):  # whoever knows a hook's token is no page that was led here by a false name
            self._check_host(headers)
        if scope["method"] not in _SAFE and not bearer:
            self._check_origin(scope, headers)

    def _check_host(self, headers: Headers) -> None:
        name = host_of(headers.get("host", ""))
        if not (is_loopback(name) or (name and name in self._hosts)):
            raise problems.MisdirectedError(
                f"Toban is not reached under the name {name or '(none)'!r}; add it to http.public_hosts if it is yours"
            )

    @staticmethod
    def _check_origin(scope: Scope, headers: Headers) -> None:
        site = headers.get("sec-fetch-site")
        if site is not None and site not in {"same-origin", "none"}:
            raise problems.ForbiddenOriginError
        origin = headers.get("origin")
        if origin is None:
            return
        own = f"{scope.get('scheme', 'http')}://{headers.get('host', '')}"
        if origin.lower() != own.lower():
            raise problems.ForbiddenOriginError


async def _bounded(receive: Receive, headers: Headers) -> Receive:
    """A receive that gives back the body read so far. Raises TooLargeError above 1 MiB."""
    told = f"the body is larger than {BODY_LIMIT} bytes"
    length = headers.get("content-length", "")
    if length.isdigit() and int(length) > BODY_LIMIT:
        raise TooLargeError(told)
    kept: list[Message] = []
    size = 0
    while True:
        message = await receive()
        kept.append(message)
        size += len(message.get("body", b""))
        if size > BODY_LIMIT:
            raise TooLargeError(told)
        if message["type"] != "http.request" or not message.get("more_body", False):
            break

    async def replay() -> Message:
        return kept.pop(0) if kept else await receive()

    return replay


def wants_page(scope: Scope) -> bool:
    """Whether an error should be a page: a browser asks, and not for the API, hooks, events or probes."""
    path = scope["path"]
    if path.startswith(("/api/", _HOOKS, "/events")) or path in _PROBES:
        return False
    return "text/html" in Headers(scope=scope).get("accept", "")
