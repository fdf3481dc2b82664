"""The JSON shapes of Prometheus's HTTP API: envelopes, vectors, matrices, scalars. Called by metrics.api only."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse

from toban_sandbox.promql.engine import RangeSeries, Value
from toban_sandbox.promql.labels import Labels
from toban_sandbox.promql.numbers import show_number


def success(data: Any) -> JSONResponse:
    return JSONResponse({"status": "success", "data": data})


def failure(status: int, kind: str, message: str) -> JSONResponse:
    """`kind` is Prometheus's errorType: bad_data (400), execution (422), not_found (404)."""
    return JSONResponse({"status": "error", "errorType": kind, "error": message}, status_code=status)


def _time(time_ms: int) -> float | int:
    return time_ms / 1000 if time_ms % 1000 else time_ms // 1000


def _point(time_ms: int, value: float) -> list[float | int | str]:
    return [_time(time_ms), show_number(value)]


def instant(value: Value, time_ms: int) -> dict[str, Any]:
    """The data of an instant query's answer: scalar, string or vector."""
    if isinstance(value, float):
        return {"resultType": "scalar", "result": [_time(time_ms), show_number(value, exponents=False)]}
    if isinstance(value, str):
        return {"resultType": "string", "result": [_time(time_ms), value]}
    result = [{"metric": metric(labels), "value": _point(time_ms, number)} for labels, number in value]
    return {"resultType": "vector", "result": result}


def matrix(series: list[RangeSeries]) -> dict[str, Any]:
    result = [
        {"metric": metric(one.labels), "values": [_point(time_ms, value) for time_ms, value in one.points]}
        for one in series
    ]
    return {"resultType": "matrix", "result": result}


def metric(labels: Labels) -> dict[str, str]:
    return dict(labels)
