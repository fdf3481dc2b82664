"""Reads the parameters of Prometheus's HTTP API: times, durations, steps, selectors. Called by metrics.api only."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from urllib.parse import parse_qsl

from starlette.requests import Request

from toban_sandbox.promql.errors import ParseError
from toban_sandbox.promql.matchers import Matcher
from toban_sandbox.promql.numbers import parse_duration
from toban_sandbox.promql.parser import parse_selector

MAX_BODY_BYTES = 1_000_000
MAX_POINTS = 11_000
_MAX_SECONDS = 1e11


class ParameterError(Exception):
    """A request's parameter that cannot be used; the message is Prometheus's."""


class Parameters:
    """The query string and, for a POST, the form, as Prometheus joins them."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._pairs = pairs

    def text(self, name: str) -> str:
        return next((value for key, value in self._pairs if key == name), "")

    def all(self, name: str) -> list[str]:
        return [value for key, value in self._pairs if key == name]

    def time_ms(self, name: str, default_ms: int | None = None) -> int:
        """Unix seconds or RFC 3339, in milliseconds."""
        text = self.text(name)
        if not text and default_ms is not None:
            return default_ms
        seconds = _seconds(text)
        if seconds is None:
            raise ParameterError(f'invalid parameter "{name}": cannot parse "{text}" to a valid timestamp')
        return round(seconds * 1000)

    def step_ms(self) -> int:
        text = self.text("step")
        number = _finite(text)
        milliseconds = round(number * 1000) if number is not None else parse_duration(text)
        if milliseconds is None:
            raise ParameterError(f'invalid parameter "step": cannot parse "{text}" to a valid duration')
        if milliseconds <= 0:
            message = "zero or negative query resolution step widths are not accepted. Try a positive integer"
            raise ParameterError(f'invalid parameter "step": {message}')
        return milliseconds

    def selectors(self, *, required: bool) -> list[tuple[Matcher, ...]]:
        """The `match[]` parameters."""
        texts = self.all("match[]")
        if required and not texts:
            raise ParameterError("no match[] parameter provided")
        try:
            return [parse_selector(text) for text in texts]
        except ParseError as error:
            raise ParameterError(f'invalid parameter "match[]": {error}') from error


async def read(request: Request) -> Parameters:
    """The request's parameters; raises ParameterError for a body that is too long or not a form."""
    pairs = list(request.query_params.multi_items())
    if request.method != "POST":
        return Parameters(pairs)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise ParameterError("error parsing form values: request body too large")
    try:
        form = parse_qsl(bytes(body).decode(), keep_blank_values=True)
    except ValueError as error:
        raise ParameterError(f"error parsing form values: {error}") from error
    return Parameters(form + pairs)


def _finite(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and abs(value) < _MAX_SECONDS else None


def _seconds(text: str) -> float | None:
    number = _finite(text)
    if number is not None:
        return number
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
