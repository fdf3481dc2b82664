"""The control API: scenarios, resets, receivers of alerts, speed, faults of the API server, the record of requests.

Plain HTTP on loopback for Toban's demo and tests. Everything but `/healthz` needs the token in `control-token`.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Awaitable, Callable
from dataclasses import fields
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from toban_sandbox import scenario as scenarios
from toban_sandbox.alerts.delivery import Receiver
from toban_sandbox.documents import DocumentError
from toban_sandbox.kube.faults import FaultRule
from toban_sandbox.sandbox import BusyError, Sandbox
from toban_sandbox.scenario import UnknownScenarioError

MAX_BODY_BYTES = 65_536
FASTEST = 1000.0
_LOOPBACK = frozenset(["localhost", "127.0.0.1", "::1"])
_FAULT_KINDS = ("status", "hang", "drop_after")
_STATUSES = range(400, 600)

Json = dict[str, Any]
Handler = Callable[[Sandbox, Request], Awaitable[Response]]


class RequestError(Exception):
    """A request that cannot be carried out: an HTTP status and a sentence for the caller."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def build_app(sandbox: Sandbox, *, token: str) -> Starlette:
    """The ASGI application of the control port."""

    def route(path: str, method: str, handler: Handler, *, public: bool = False) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                _check_host(request)
                if not public:
                    _check_token(request, token)
                return await handler(sandbox, request)
            except RequestError as error:
                return JSONResponse({"error": str(error)}, status_code=error.status)
            except BusyError as error:
                return JSONResponse({"error": str(error)}, status_code=409)

        return Route(path, endpoint, methods=[method])

    return Starlette(
        routes=[
            route("/healthz", "GET", _healthz, public=True),
            route("/state", "GET", _state),
            route("/scenarios", "GET", _scenarios),
            route("/scenarios/{name}/start", "POST", _start),
            route("/reset", "POST", _reset),
            route("/receivers", "GET", _receivers),
            route("/receivers", "POST", _add_receiver),
            route("/receivers/{name}", "DELETE", _remove_receiver),
            route("/speed", "PUT", _speed),
            route("/faults", "GET", _faults),
            route("/faults", "POST", _add_fault),
            route("/faults", "DELETE", _clear_faults),
            route("/audit", "GET", _audit),
        ]
    )


def _check_host(request: Request) -> None:
    """A page in somebody's browser must not reach this API by a name that it made point here."""
    host = request.headers.get("host", "")
    name = host.rpartition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]
    if name.lower() not in _LOOPBACK:
        raise RequestError(403, "the Host header must name this machine: localhost, 127.0.0.1 or [::1]")


def _check_token(request: Request, token: str) -> None:
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), token.encode()):
        raise RequestError(401, "send the token from the file control-token as `Authorization: Bearer …`")


async def _body(request: Request) -> Json:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise RequestError(413, f"the body may have {MAX_BODY_BYTES} bytes at most")
    try:
        value = json.loads(bytes(body))
    except (ValueError, RecursionError) as error:
        raise RequestError(400, f"the body must be a JSON object: {error}") from error
    if not isinstance(value, dict):
        raise RequestError(400, "the body must be a JSON object")
    return value


def _text(body: Json, field: str, default: str | None = None) -> str:
    value = body.get(field, default)
    if not isinstance(value, str) or (default is None and not value):
        raise RequestError(400, f"`{field}` must be a text")
    return value


async def _healthz(_: Sandbox, __: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _state(sandbox: Sandbox, _: Request) -> Response:
    return JSONResponse(sandbox.state())


async def _scenarios(_: Sandbox, __: Request) -> Response:
    return JSONResponse({"items": [scenario.summary() for scenario in scenarios.load_all()]})


async def _start(sandbox: Sandbox, request: Request) -> Response:
    try:
        scenario = scenarios.load(request.path_params["name"])
    except UnknownScenarioError as error:
        return JSONResponse({"error": str(error), "known": scenarios.names()}, status_code=404)
    except DocumentError as error:
        raise RequestError(500, str(error)) from error
    return JSONResponse(sandbox.start_scenario(scenario).state(), status_code=202)


async def _reset(sandbox: Sandbox, _: Request) -> Response:
    await sandbox.reset()
    return JSONResponse(sandbox.state())


async def _receivers(sandbox: Sandbox, _: Request) -> Response:
    found = [{"name": receiver.name, "url": receiver.url} for receiver in sandbox.sender.receivers()]
    return JSONResponse({"items": found})


async def _add_receiver(sandbox: Sandbox, request: Request) -> Response:
    body = await _body(request)
    try:
        receiver = Receiver(_text(body, "name", "default"), _text(body, "url"), _text(body, "token", ""))
    except ValueError as error:
        raise RequestError(400, str(error)) from error
    sandbox.sender.add(receiver)
    return JSONResponse({"name": receiver.name, "url": receiver.url}, status_code=201)


async def _remove_receiver(sandbox: Sandbox, request: Request) -> Response:
    name = request.path_params["name"]
    if not sandbox.sender.remove(name):
        known = ", ".join(receiver.name for receiver in sandbox.sender.receivers()) or "none"
        raise RequestError(404, f"there is no receiver {name!r}; known are: {known}")
    return Response(status_code=204)


async def _speed(sandbox: Sandbox, request: Request) -> Response:
    speed = (await _body(request)).get("speed")
    if isinstance(speed, bool) or not isinstance(speed, int | float) or not 0 <= speed <= FASTEST:
        raise RequestError(400, f"`speed` must be a number from 0 (paused) to {FASTEST:g}")
    sandbox.clock().speed = float(speed)
    return JSONResponse({"speed": sandbox.clock().speed})


async def _faults(sandbox: Sandbox, _: Request) -> Response:
    names = [field.name for field in fields(FaultRule)]
    return JSONResponse({"items": [{name: getattr(rule, name) for name in names} for rule in sandbox.faults.rules()]})


async def _add_fault(sandbox: Sandbox, request: Request) -> Response:
    body = await _body(request)
    known = {field.name for field in fields(FaultRule)}
    if unknown := body.keys() - known:
        message = f"unknown fields: {', '.join(sorted(unknown))}; known are: {', '.join(sorted(known))}"
        raise RequestError(400, message)
    if body.get("kind", "status") not in _FAULT_KINDS:
        raise RequestError(400, f"`kind` must be one of {', '.join(_FAULT_KINDS)}")
    if body.get("status", 500) not in _STATUSES:
        raise RequestError(400, "`status` must be an HTTP status from 400 to 599")
    for name in ("times", "retry_after"):
        value = body.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise RequestError(400, f"`{name}` must be a whole number of at least 1, or null")
    texts = {name: _text(body, name, "*") for name in ("verb", "resource")}
    sandbox.faults.add(FaultRule(**{**body, **texts}))
    return JSONResponse({**body, **texts}, status_code=201)


async def _clear_faults(sandbox: Sandbox, _: Request) -> Response:
    sandbox.faults.clear()
    return Response(status_code=204)


async def _audit(sandbox: Sandbox, request: Request) -> Response:
    text = request.query_params.get("since", "0")
    if not text.isascii() or not text.isdigit():
        raise RequestError(400, "`since` must be a whole number")
    since = int(text)
    items = sandbox.audit.since(since)
    return JSONResponse({"items": items, "next": items[-1]["seq"] if items else since})
