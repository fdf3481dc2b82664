"""Requests to the Kubernetes API: paths and plain JSON in, plain JSON out, failures as Toban's errors.

The one place that holds the connection. Called by the actions; it knows nothing of Deployments.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple, TypeVar

import httpx2
import msgspec
import stamina
from lightkube.core.exceptions import ConfigError

from toban.errors import OutcomeUnknownError, UpstreamError, UpstreamRefusedError
from toban.integrations.kubernetes import Settings, connection, failures
from toban.integrations.kubernetes.failures import Answer, Asked

Json = dict[str, Any]
T = TypeVar("T")

FIELD_MANAGER = "toban"
ATTEMPTS = 3
PAUSE_S = 0.1
CHUNK = 500
MOST_OBJECTS = 5_000
MOST_BYTES = 64 * 1024 * 1024
_LONGEST_WAIT_S = 3.0
_WARNING = re.compile(r'\d{3} \S+ "(?P<text>(?:[^"\\]|\\.)*)"')
_FORM_OF = {"PATCH": "application/json-patch+json", "POST": "application/json"}


class Listing(NamedTuple):
    """Objects of one kind; `complete` is False when there were more than are worth reading."""

    items: list[Json]
    complete: bool


class Written(NamedTuple):
    """The object as the server would or did store it, and its warnings."""

    obj: Json
    warnings: tuple[str, ...]


class Api:
    """Connections are opened by the first request and belong to its event loop. `transport` is for tests."""

    def __init__(self, settings: Settings, *, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        self._settings = settings
        self._transport = transport
        self._connection: connection.Connection | None = None

    async def get(self, path: str, **query: str) -> Json:
        """One object. Raises UpstreamError and its children."""
        return await self._read(path, query, _object)

    async def find(self, path: str) -> Json | None:
        """One object, or None where there is none of that name."""
        try:
            return await self.get(path)
        except UpstreamRefusedError as error:
            if failures.is_not_found(error):
                return None
            raise

    async def text(self, path: str, **query: str) -> str:
        """A body that is no JSON, such as a log."""
        return await self._read(path, query, lambda _, answer: answer.raw.decode("utf-8", "replace"))

    async def collect(self, path: str, *, most: int = MOST_OBJECTS, **query: str) -> Listing:
        """All objects of a collection, in pages, `most` at most; managedFields are left out."""
        found: list[Json] = []
        token = ""
        while True:
            page = {**query, "limit": str(min(CHUNK, most))} | ({"continue": token} if token else {})
            body = await self._read(path, page, _collection)
            for item in body["items"]:
                item.get("metadata", {}).pop("managedFields", None)
            found += body["items"]
            token = (body.get("metadata") or {}).get("continue") or ""
            if not token or len(found) >= most:
                return Listing(found[:most], complete=not token and len(found) <= most)

    async def review(self, path: str, obj: Json) -> Json:
        """Post a question, such as an access review: it leaves nothing behind and may be repeated."""
        return await self._patiently(lambda: self._send("POST", path, {}, obj, writes=False), _object)

    async def patch(self, path: str, operations: list[Json], *, dry_run: bool) -> Written:
        """A JSON patch, sent once. Raises OutcomeUnknownError where nobody knows whether it was written."""
        return await self._write("PATCH", path, operations, dry_run=dry_run)

    async def create(self, path: str, obj: Json, *, dry_run: bool) -> Written:
        """A new object, sent once. Raises as `patch` does."""
        return await self._write("POST", path, obj, dry_run=dry_run)

    async def close(self) -> None:
        held, self._connection = self._connection, None
        if held is not None:
            await held.client.aclose()

    async def _write(self, method: str, path: str, body: Any, *, dry_run: bool) -> Written:
        query = {"fieldManager": FIELD_MANAGER} | ({"dryRun": "All"} if dry_run else {})
        timeout_s = self._settings.timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                asked, answer = await self._send(method, path, query, body, writes=not dry_run)
        except TimeoutError as error:
            if dry_run:
                raise self._silence() from error
            message = f"{method} {path} was sent to Kubernetes and no answer came within {timeout_s:g} s"
            raise OutcomeUnknownError(message) from error
        said = [found["text"].replace('\\"', '"') for found in _WARNING.finditer(answer.headers.get("warning", ""))]
        return Written(_object(asked, answer), tuple(said))

    async def _read(self, path: str, query: Mapping[str, str], form: Callable[[Asked, Answer], T]) -> T:
        return await self._patiently(lambda: self._send("GET", path, query, None, writes=False), form)

    async def _patiently(
        self, send: Callable[[], Awaitable[tuple[Asked, Answer]]], form: Callable[[Asked, Answer], T]
    ) -> T:
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                async for attempt in stamina.retry_context(
                    on=_worth_retrying,
                    attempts=ATTEMPTS,
                    timeout=None,
                    wait_initial=PAUSE_S,
                    wait_max=1.0,
                    wait_jitter=PAUSE_S,
                ):
                    with attempt:
                        return form(*await send())
        except TimeoutError as error:
            raise self._silence() from error
        raise AssertionError("a retry context either returns or raises")

    async def _send(
        self, method: str, path: str, query: Mapping[str, str], body: Any, *, writes: bool
    ) -> tuple[Asked, Answer]:
        held = self._connected()
        asked = Asked(method, f"/{path}", held.place, held.source, writes)
        content = None if body is None else msgspec.json.encode(body)
        headers = {"Accept": "application/json"} | ({"Content-Type": _FORM_OF[method]} if content is not None else {})
        try:
            async with held.client.stream(
                method, path, params=dict(query), content=content, headers=headers
            ) as response:
                raw = await _body(asked, response)
        except (ConfigError, FileNotFoundError, PermissionError, LookupError, ValueError) as error:
            # lightkube gets tokens by files and programs just before sending.
            raise failures.of_credentials(asked, error) from error
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise failures.of_transport(asked, error) from error
        answer = Answer(response.status_code, response.headers, raw, failures.decoded(raw))
        if not response.is_success:
            raise failures.of_status(asked, answer)
        return asked, answer

    def _connected(self) -> connection.Connection:
        if self._connection is None:
            self._connection = connection.connect(self._settings, transport=self._transport)
        return self._connection

    def _silence(self) -> UpstreamError:
        place = self._connection.place if self._connection else "the configured address"
        return UpstreamError(f"Kubernetes at {place} gave no answer within {self._settings.timeout_s:g} s", place=place)


async def _body(asked: Asked, response: httpx2.Response) -> bytes:
    found = bytearray()
    async for part in response.aiter_bytes():
        found += part
        if len(found) > MOST_BYTES:
            raise failures.of_form(asked, f"more than {MOST_BYTES // 1024 // 1024} MiB")
    return bytes(found)


def _object(asked: Asked, answer: Answer) -> Json:
    if not isinstance(answer.body, dict):
        raise failures.of_form(asked, "something that is no JSON object")
    metadata = answer.body.get("metadata")
    if isinstance(metadata, dict):
        metadata.pop("managedFields", None)
    return answer.body


def _collection(asked: Asked, answer: Answer) -> Json:
    found = _object(asked, answer)
    items = found.setdefault("items", [])
    if items is None:
        found["items"] = items = []
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise failures.of_form(asked, "something that is no list of objects")
    return found


def _worth_retrying(error: Exception) -> bool | float:
    """A lost connection and a server in trouble may do better at the next try; refusals and long waits will not."""
    if not isinstance(error, UpstreamError) or error.retry_after is None or error.details.get("retryable") is False:
        return False
    wait_s = error.details.get("asked_to_wait_s")
    return wait_s if isinstance(wait_s, float) and wait_s <= _LONGEST_WAIT_S else wait_s is None
