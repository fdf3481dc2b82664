"""Prometheus's HTTP API over the sandbox's series: queries, metadata, rules, alerts, and `/metrics` itself.

Built by the sandbox's server. It only reads; what the alert rules say comes in through `Alerting`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from toban_sandbox.metrics import answers, exposition, parameters
from toban_sandbox.metrics.parameters import ParameterError, Parameters
from toban_sandbox.promql import engine, tree
from toban_sandbox.promql.check import type_of
from toban_sandbox.promql.engine import SeriesView
from toban_sandbox.promql.errors import ExecutionError, ParseError, QueryTimeoutError
from toban_sandbox.promql.labels import NAME, Labels, value_of
from toban_sandbox.promql.matchers import Matcher
from toban_sandbox.promql.parser import parse

_GIVE_WAY_S = 0.02
_TIMEOUT_S = 30.0
# The release whose API and semantics this one follows.
_BUILD = {
    "version": "2.42.0",
    "revision": "sandbox",
    "branch": "sandbox",
    "buildUser": "",
    "buildDate": "",
    "goVersion": "",
}


class Readings(Protocol):
    """What the API reads; the world's current state answers, also after it was reset."""

    def now_ms(self) -> int: ...
    def source(self) -> engine.Source: ...
    def current(self) -> list[tuple[Labels, float]]: ...
    def rule_groups(self) -> list[dict[str, Any]]: ...
    def alerts(self) -> list[dict[str, Any]]: ...


Handler = Callable[[Readings, Parameters, Request], Awaitable[Response]]


def build_app(readings: Readings) -> Starlette:
    """The ASGI application of the metrics port."""

    def route(path: str, handler: Handler, *methods: str) -> Route:
        async def endpoint(request: Request) -> Response:
            try:
                return await handler(readings, await parameters.read(request), request)
            except ParameterError as error:
                return answers.failure(400, "bad_data", str(error))
            except ParseError as error:
                return answers.failure(400, "bad_data", f'invalid parameter "query": {error}')
            except ExecutionError as error:
                return answers.failure(422, "execution", str(error))
            except QueryTimeoutError as error:
                return answers.failure(503, "timeout", str(error))

        return Route(path, endpoint, methods=list(methods) or ["GET"])

    return Starlette(
        routes=[
            route("/api/v1/query", _query, "GET", "POST"),
            route("/api/v1/query_range", _query_range, "GET", "POST"),
            route("/api/v1/series", _series, "GET", "POST"),
            route("/api/v1/labels", _label_names, "GET", "POST"),
            route("/api/v1/label/{name}/values", _label_values),
            route("/api/v1/rules", _rules),
            route("/api/v1/alerts", _alerts),
            route("/api/v1/metadata", _metadata),
            route("/api/v1/status/buildinfo", _buildinfo),
            route("/metrics", _metrics),
            route("/-/healthy", _healthy),
            route("/-/ready", _healthy),
        ]
    )


async def _query(readings: Readings, given: Parameters, _: Request) -> Response:
    time_ms = given.time_ms("time", readings.now_ms())
    node = parse(given.text("query"))
    if type_of(node) is tree.Type.RANGE:
        return answers.success(answers.matrix(engine.instant_range(readings.source(), node, time_ms)))
    return answers.success(answers.instant(engine.instant(readings.source(), node, time_ms), time_ms))


async def _query_range(readings: Readings, given: Parameters, _: Request) -> Response:
    start_ms, end_ms = given.time_ms("start"), given.time_ms("end")
    if end_ms < start_ms:
        raise ParameterError('invalid parameter "end": end timestamp must not be before start time')
    step_ms = given.step_ms()
    if (end_ms - start_ms) // step_ms > parameters.MAX_POINTS:
        raise ParameterError(
            "exceeded maximum resolution of 11,000 points per timeseries. "
            "Try decreasing the query resolution (?step=XX)"
        )
    node = parse(given.text("query"))
    if type_of(node) not in (tree.Type.SCALAR, tree.Type.VECTOR):
        kind = type_of(node)
        raise ParameterError(f'invalid expression type "{kind}" for range query, must be Scalar or instant Vector')
    result: list[engine.RangeSeries] = []
    last = started = time.monotonic()
    for answer in engine.over_range(readings.source(), node, start_ms=start_ms, end_ms=end_ms, step_ms=step_ms):
        result = answer
        if time.monotonic() - last > _GIVE_WAY_S:
            await asyncio.sleep(0)
            last = time.monotonic()
            if last - started > _TIMEOUT_S:
                raise QueryTimeoutError
    return answers.success(answers.matrix(result))


def _within(readings: Readings, given: Parameters, selectors: list[tuple[Matcher, ...]]) -> dict[Labels, SeriesView]:
    """Series that any selector accepts and that have a sample between start and end."""
    start_ms, end_ms = given.time_ms("start", 0), given.time_ms("end", 2**53)
    source = readings.source()
    return {
        view.labels: view
        for matchers in selectors
        for view in source.select(matchers)
        if view.timestamps and view.timestamps[-1] >= start_ms and view.timestamps[0] <= end_ms
    }


async def _series(readings: Readings, given: Parameters, _: Request) -> Response:
    found = _within(readings, given, given.selectors(required=True))
    return answers.success([answers.metric(labels) for labels in sorted(found)])


async def _label_names(readings: Readings, given: Parameters, _: Request) -> Response:
    found = _within(readings, given, given.selectors(required=False) or [()])
    return answers.success(sorted({name for labels in found for name, _ in labels}))


async def _label_values(readings: Readings, given: Parameters, request: Request) -> Response:
    name = request.path_params["name"]
    if not name.isidentifier() or not name.isascii():
        raise ParameterError(f'invalid label name: "{name}"')
    found = _within(readings, given, given.selectors(required=False) or [()])
    return answers.success(sorted({value_of(labels, name) for labels in found} - {""}))


async def _rules(readings: Readings, given: Parameters, _: Request) -> Response:
    kind = given.text("type")
    if kind not in ("", "alert", "record"):
        raise ParameterError(f'invalid query parameter type="{kind}"')
    groups = readings.rule_groups()
    if kind == "record":
        groups = [{**group, "rules": []} for group in groups]
    return answers.success({"groups": groups})


async def _alerts(readings: Readings, _: Parameters, __: Request) -> Response:
    return answers.success({"alerts": readings.alerts()})


async def _metadata(readings: Readings, _: Parameters, __: Request) -> Response:
    names = {value_of(labels, NAME) for labels, _ in readings.current()}
    return answers.success(exposition.metadata(names))


async def _buildinfo(_: Readings, __: Parameters, ___: Request) -> Response:
    return answers.success(_BUILD)


async def _metrics(readings: Readings, _: Parameters, __: Request) -> Response:
    return Response(exposition.write(readings.current()), media_type=exposition.CONTENT_TYPE)


async def _healthy(_: Readings, __: Parameters, request: Request) -> Response:
    state = "Ready" if request.url.path.endswith("ready") else "Healthy"
    return PlainTextResponse(f"Prometheus Server is {state}.\n")
