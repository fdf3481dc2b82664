"""The HTTPS face of the simulated cluster: who asks, whether they may, what is answered, what is noted down.

`build_app` is called by the sandbox's entry point and by tests. What an answer contains is made in `reading`,
`writing`, `deletion`, `watching` and `subresources`; this module only finds out which of them is meant.
"""

import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from toban_sandbox import clock as clocks
from toban_sandbox.kube import (
    auth,
    deletion,
    discovery,
    errors,
    impersonation,
    objects,
    openapi,
    pod_logs,
    presentation,
    rbac,
    reading,
    requests,
    reviews,
    shell,
    subresources,
    tokens,
    usage,
    watching,
    writing,
)
from toban_sandbox.kube import faults as fault_rules
from toban_sandbox.kube import store as stores

Json = dict[str, Any]
Audit = Callable[[Json], None]


class Kubelet(pod_logs.LogSource, usage.UsageSource, Protocol):
    """What the API needs of the kubelet."""


HEALTH_PATHS = ("/healthz", "/livez", "/readyz")
PUBLIC_PATHS = (*HEALTH_PATHS, "/version")
_log = logging.getLogger(__name__)
_TRANSPORT = "toban_sandbox.transport"


def build_app(
    store: stores.ObjectStore,
    kubelet: Kubelet,
    *,
    users: Mapping[str, auth.User],
    audit: Audit,
    clock: clocks.Clock,
    faults: fault_rules.Faults | None = None,
) -> Starlette:
    """The API as an ASGI application; `users` maps bearer tokens, `audit` gets one record for every request."""
    api = Api(store, kubelet, users=users, audit=audit, clock=clock, faults=faults or fault_rules.Faults())
    return _Application(routes=[Mount("", app=api)])


class _Application(Starlette):
    """Starlette, keeping hold of the connection so that a fault can cut it."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[_TRANSPORT] = getattr(getattr(send, "__self__", None), "transport", None)
        await super().__call__(scope, receive, send)


@dataclass
class _Exchange:
    """One request on its way: what is known of it so far, for the answer and for the audit."""

    http: HTTPConnection
    user: auth.User | None = None
    asked: requests.ResourceRequest | None = None
    fault: fault_rules.FaultRule | None = None
    changed: bool = False
    manager: str = ""

    @property
    def path(self) -> str:
        return self.http.url.path

    @property
    def method(self) -> str:
        return str(self.http.scope.get("method", "GET"))

    @property
    def verb(self) -> str:
        return self.asked.verb if self.asked and self.asked.verb else self.method.lower()

    @property
    def agent(self) -> str:
        return self.http.headers.get("user-agent", "")


class Api:
    """The ASGI application behind every path."""

    def __init__(
        self,
        store: stores.ObjectStore,
        kubelet: Kubelet,
        *,
        users: Mapping[str, auth.User],
        audit: Audit,
        clock: clocks.Clock,
        faults: fault_rules.Faults,
    ) -> None:
        self._store = store
        self._kubelet = kubelet
        self._users = users
        self._audit = audit
        self._clock = clock
        self._faults = faults
        rbac.seed(store)
        self._authorizer = rbac.Authorizer(store)
        self._tokens = tokens.TokenIssuer(store)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._stream(WebSocket(scope, receive, send))
            return
        exchange = _Exchange(Request(scope, receive))
        try:
            response = await self._answer(exchange)
        except errors.ApiError as refused:
            response = _refusal(refused)
        except ClientDisconnect:
            return
        except Exception as broken:  # noqa: BLE001 -- the border to the client: a defect here is the server's 500
            _log.exception("%s %s failed", exchange.method, exchange.path)
            response = _refusal(errors.internal(f"{type(broken).__name__}: {broken}"))
        dropped = exchange.fault is not None and exchange.fault.kind != "status"
        self._record(exchange, 0 if dropped else response.status_code)
        if dropped:
            await _cut(scope, receive, silent=exchange.fault is not None and exchange.fault.kind == "hang")
            return
        await response(scope, receive, send)

    async def _stream(self, socket: WebSocket) -> None:
        """A stream into a container: asked for by GET, allowed to whom may create it."""
        exchange = _Exchange(socket)
        words = socket.query_params.getlist("command")
        code = HTTPStatus.SWITCHING_PROTOCOLS
        try:
            self._identify(exchange)
            if exchange.asked is None or exchange.asked.subresource not in shell.STREAMS:
                raise errors.bad_request("this path answers no upgrade request")
            exchange.asked = replace(exchange.asked, verb="create")
            self._authorize(exchange)
            container = shell.check(self._store, exchange.asked, words)
        except errors.ApiError as refused:
            code = HTTPStatus(refused.code)
            await socket.send_denial_response(_refusal(refused))
        self._record(exchange, code)
        if code == HTTPStatus.SWITCHING_PROTOCOLS:
            await shell.serve(socket, container, words)

    def _identify(self, exchange: _Exchange) -> None:
        """Find out who asks, as whom, and for what; ApiError 401 or 403."""
        http = exchange.http
        header = http.headers.get("authorization")
        known = auth.user_of_token(self._users, header) or self._tokens.user_of(header)
        if known is None:
            raise errors.unauthorized()
        exchange.user = impersonation.user_for(http.headers, known, self._authorizer)
        exchange.asked = requests.parse(exchange.method, exchange.path, http.query_params)

    async def _answer(self, exchange: _Exchange) -> Response:
        if exchange.path.startswith(PUBLIC_PATHS):
            return self._outside(exchange)
        self._identify(exchange)
        self._authorize(exchange)
        resource = exchange.asked.kind.resource if exchange.asked else ""
        exchange.fault = self._faults.take(exchange.verb, resource)
        if exchange.fault is not None and exchange.fault.kind == "status":
            raise errors.of_status(exchange.fault.status, retry_after_s=exchange.fault.retry_after)
        if exchange.fault is not None and exchange.fault.kind == "hang":
            return Response()
        if exchange.asked is None:
            return self._outside(exchange)
        requests.check_supported(exchange.asked)
        return await self._resource(exchange, exchange.asked)

    def _authorize(self, exchange: _Exchange) -> None:
        if exchange.user is None:
            raise errors.unauthorized()
        if exchange.asked is not None:
            wanted = exchange.asked.attributes
        else:
            wanted = auth.Attributes(exchange.method.lower(), path=exchange.path)
        if not self._authorizer.allows(exchange.user, wanted):
            raise auth.refusal(exchange.user, wanted)

    def _outside(self, exchange: _Exchange) -> Response:
        """Everything that is no resource: health, version, discovery, OpenAPI."""
        path = exchange.path.rstrip("/")
        if path.startswith(HEALTH_PATHS):
            checks = "".join(f"[+]{name} ok\n" for name in ("ping", "log", "etcd", "informer-sync"))
            verbose = "verbose" in exchange.http.query_params
            return PlainTextResponse(f"{checks}{path[1:].partition('/')[0]} check passed\n" if verbose else "ok")
        if exchange.method not in {"GET", "HEAD"}:
            raise errors.unknown_path()
        found = _document(path, exchange.http)
        if found is None:
            raise errors.unknown_path()
        return found

    async def _resource(self, exchange: _Exchange, asked: requests.ResourceRequest) -> Response:
        view = presentation.View(
            asked.kind,
            presentation.form_of(exchange.http.headers.get("accept", "")),
            asked.query.get("includeObject", "Metadata"),
            self._clock.now(),
        )
        if asked.kind.group == usage.GROUP:
            return _json(usage.answer(self._store, self._kubelet, asked))
        if asked.subresource in shell.STREAMS:
            raise errors.bad_request("Upgrade request required")
        if asked.subresource == "log":
            return await pod_logs.answer(self._store, self._kubelet, asked)
        if asked.verb == "watch":
            stream = watching.Stream(self._store, asked, view)
            return StreamingResponse(stream.lines(time.monotonic), media_type=requests.JSON_TYPE)
        if asked.verb in {"list", "get"}:
            return self._read(asked, view)
        return await self._write(exchange, asked, view)

    def _read(self, asked: requests.ResourceRequest, view: presentation.View) -> Response:
        if asked.verb == "list":
            response = _json(reading.list_page(self._store, asked, view))
        elif asked.subresource == "scale":
            response = _json(subresources.scale_of(reading.found(self._store, asked)))
        else:
            response = _json(reading.get(self._store, asked, view))
        if asked.kind.kind in _DEPRECATED:
            response.headers.append("warning", f"299 - {json.dumps(_DEPRECATED[asked.kind.kind])}")
        return response

    async def _write(self, exchange: _Exchange, asked: requests.ResourceRequest, view: presentation.View) -> Response:
        content_type = exchange.http.headers.get("content-type", "").partition(";")[0].strip()
        raw = await exchange.http.body() if isinstance(exchange.http, Request) else b""
        body = requests.decode_body(content_type, raw, asked.kind) if raw else None
        user = exchange.user or auth.User("")
        granting = rbac.Granting(self._authorizer, user)
        write = writing.Write(self._store, asked, content_type, body, exchange.agent, granting.check, len(raw))
        exchange.manager = write.field_manager
        before = self._store.revision
        try:
            code, answer = self._carry_out(write, view, user)
        finally:
            exchange.changed = self._store.revision != before
        response = _json(answer, code)
        for warning in write.warnings:
            response.headers.append("warning", f"299 - {json.dumps(warning)}")
        return response

    def _carry_out(self, write: writing.Write, view: presentation.View, user: auth.User) -> tuple[int, Json]:
        asked = write.request
        if asked.kind.create_only:
            return writing.CREATED, reviews.answer(asked.kind, write.body, user, self._authorizer)
        if asked.verb in {"delete", "deletecollection"}:
            return writing.OK, self._delete(write, view)
        if asked.subresource == "token":
            return self._tokens.answer(write)
        special = _SPECIAL.get(asked.subresource)
        if special is not None:
            return special(write)
        code, obj = _WRITES[asked.verb](write)
        return code, view.one(obj)

    def _delete(self, write: writing.Write, view: presentation.View) -> Json:
        asked = write.request
        options = deletion.read_options(write.body, dict(asked.query), dry_run=asked.dry_run)
        if asked.verb == "delete":
            obj, gone = deletion.delete(self._store, asked.kind, reading.found(self._store, asked), options)
            return deletion.status(asked.kind, obj) if gone and asked.kind.kind != "Pod" else view.one(obj)
        deleted = [
            deletion.delete(self._store, asked.kind, obj, options)[0] for obj in reading.chosen(self._store, asked)
        ]
        return view.several(deleted, {"resourceVersion": str(self._store.revision)})

    def _record(self, exchange: _Exchange, code: int) -> None:
        asked = exchange.asked
        if exchange.path.startswith(HEALTH_PATHS) or exchange.verb == "watch":
            return
        try:
            dry_run = asked is not None and asked.dry_run
        except errors.ApiError:
            dry_run = False
        self._audit(
            {
                "time": objects.micro_timestamp(self._clock.now()),
                "user": exchange.user.name if exchange.user else "",
                "verb": exchange.verb,
                "resource": asked.kind.resource if asked else "",
                "subresource": asked.subresource if asked else "",
                "namespace": asked.namespace if asked else "",
                "name": asked.name if asked else "",
                "path": exchange.path,
                "dry_run": dry_run,
                "code": code,
                "field_manager": exchange.manager,
                "user_agent": exchange.agent,
                "changed": exchange.changed,
            }
        )


_DEPRECATED = {"Endpoints": "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"}
_WRITES: dict[str, Callable[[writing.Write], tuple[int, Json]]] = {
    "create": writing.create,
    "update": writing.update,
    "patch": writing.apply_patch,
}
_SPECIAL: dict[str, Callable[[writing.Write], tuple[int, Json]]] = {
    "scale": subresources.write_scale,
    "eviction": subresources.evict,
    "binding": subresources.bind,
    "finalize": subresources.finalize,
}


def _document(path: str, http: HTTPConnection) -> Response | None:
    parts = path.strip("/").split("/")
    accept = http.headers.get("accept", "")
    version = discovery.aggregated(accept)
    if path in {"/api", "/apis"} and version is not None:
        media = f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
        body = discovery.aggregated_list(version, core=path == "/api")
        return Response(_dumps(body), headers={"content-type": media, "vary": "Accept"})
    found: Json | None
    if path == "/version":
        found = discovery.VERSION
    elif path == "/api":
        found = discovery.api_versions(http.url.netloc)
    elif path == "/apis":
        found = discovery.group_list()
    elif path == "/openapi/v3":
        found = openapi.index()
    elif path.startswith("/openapi/"):
        return _description(path, accept)
    else:
        found = _named_document(parts)
    return None if found is None else _json(found)


def _description(path: str, accept: str) -> Response | None:
    """An OpenAPI document; those of version 3 are kept by clients for as long as their mark stays the same."""
    if path == "/openapi/v2":
        if "protobuf" in accept:
            return Response(openapi.EMPTY_V2, media_type=openapi.V2_PROTOBUF)
        return _json({"swagger": "2.0", "info": {"title": "Kubernetes"}, "paths": {}, "definitions": {}})
    body = openapi.document(path.removeprefix("/openapi/v3/"))
    if body is None:
        return None
    headers = {"cache-control": "public, immutable", "vary": "Accept"}
    return Response(body, headers=headers, media_type=requests.JSON_TYPE)


def _named_document(parts: list[str]) -> Json | None:
    match parts:
        case ["api", version]:
            return discovery.resource_list("", version)
        case ["apis", group]:
            return discovery.group(group)
        case ["apis", group, version]:
            return discovery.resource_list(group, version)
        case _:
            return None


def _dumps(body: Any) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


def _json(body: Any, code: int = 200) -> Response:
    return Response(_dumps(body), status_code=code, media_type=requests.JSON_TYPE)


def _refusal(refused: errors.ApiError) -> Response:
    response = JSONResponse(refused.status(), status_code=refused.code)
    if refused.retry_after_s is not None:
        response.headers["Retry-After"] = str(refused.retry_after_s)
    return response


async def _cut(scope: Scope, receive: Receive, *, silent: bool) -> None:
    """Answer nothing: wait until the client gives up, or close the connection in its face."""
    transport = scope.get(_TRANSPORT)
    if not silent and transport is not None:
        transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass
