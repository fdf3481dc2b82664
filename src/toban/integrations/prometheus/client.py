"""A thin client of Prometheus's HTTP API: one request, its retries, and every failure as one of Toban's errors.

Called by the actions. It knows nothing of what is asked.
"""

import asyncio
import ipaddress
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx2
import msgspec
import stamina

from toban.errors import UpstreamError, UpstreamRefusedError
from toban.integrations.prometheus import Settings
from toban.kit import text

MOST_BYTES = 16 * 1024 * 1024
ATTEMPTS = 3
PAUSE_S = 0.1
_LONGEST_WAIT_S = 3.0
_FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Client:
    """Connections are opened by the first read and belong to its event loop."""

    def __init__(self, settings: Settings, *, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        self._settings = settings
        self._transport = transport
        self._client: httpx2.AsyncClient | None = None
        parts = urlsplit(settings.url)
        self.place = parts.netloc or settings.url

    async def get(self, path: str, query: Mapping[str, str]) -> Any:
        """`data` of the answer and its warnings, as `(data, warnings)`."""
        return await self._read("GET", path, query)

    async def post(self, path: str, form: Mapping[str, str]) -> Any:
        """The same by a form: expressions may be longer than an address may be."""
        return await self._read("POST", path, form)

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _read(self, method: str, path: str, fields: Mapping[str, str]) -> Any:
        timeout_s = self._settings.timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                async for attempt in stamina.retry_context(
                    on=_worth_retrying,
                    attempts=ATTEMPTS,
                    timeout=None,
                    wait_initial=PAUSE_S,
                    wait_max=1.0,
                    wait_jitter=PAUSE_S,
                ):
                    with attempt:
                        return await self._once(method, path, fields)
        except TimeoutError as error:
            message = f"Prometheus at {self.place} gave no answer within {timeout_s:g} s"
            raise UpstreamError(message, place=self.place) from error
        raise AssertionError("a retry context either returns or raises")

    async def _once(self, method: str, path: str, fields: Mapping[str, str]) -> Any:
        sent: dict[str, Any] = {"params": dict(fields)} if method == "GET" else {"data": dict(fields), "headers": _FORM}
        try:
            async with self._connected().stream(method, f"{self._settings.url}/api/v1/{path}", **sent) as answer:
                body = await self._body(answer)
        except httpx2.TimeoutException as error:
            message = f"Prometheus at {self.place} gave no answer in time"
            raise UpstreamError(message, place=self.place) from error
        except httpx2.HTTPError as error:
            message = f"Prometheus at {self.place} cannot be reached: {text.quoted(str(error)) or type(error).__name__}"
            raise UpstreamError(message, place=self.place) from error
        return self._understood(answer, body)

    async def _body(self, answer: httpx2.Response) -> bytes:
        body = bytearray()
        async for part in answer.aiter_bytes():
            body += part
            if len(body) > MOST_BYTES:
                limit = f"{MOST_BYTES // 1024 // 1024} MiB"
                message = f"Prometheus at {self.place} answered with more than {limit}; ask for fewer series or points"
                raise UpstreamRefusedError(message, place=self.place)
        return bytes(body)

    def _understood(self, answer: httpx2.Response, body: bytes) -> Any:
        code = answer.status_code
        try:
            found = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            found = None
        if code == httpx2.codes.OK and isinstance(found, dict) and found.get("status") == "success":
            return found.get("data"), [str(warning) for warning in found.get("warnings") or ()]
        words = found.get("error") if isinstance(found, dict) else None
        raise self._failure(code, answer.headers.get("retry-after", ""), str(words or ""))

    def _failure(self, code: int, retry_after: str, words: str) -> UpstreamError:
        place = f"Prometheus at {self.place}"
        said = f": {text.quoted(words)}" if words else ""
        details: dict[str, Any] = {"place": self.place, "status": code}
        if code in {401, 403}:
            message = f"{place} does not let Toban in ({code}){said}; check the setting integrations.prometheus.token"
            return UpstreamRefusedError(message, **details)
        if code == httpx2.codes.TOO_MANY_REQUESTS or code >= httpx2.codes.INTERNAL_SERVER_ERROR:
            wait_s = float(retry_after) if retry_after.isdigit() else None
            message = f"{place} is in trouble ({code}){said}"
            return UpstreamError(message, retry_after=wait_s, asked_to_wait_s=wait_s, **details)
        if code == httpx2.codes.OK:
            return UpstreamError(f"{place} answered with something that is not Prometheus's JSON{said}", **details)
        if httpx2.codes.is_redirect(code):
            message = f"{place} sends its callers elsewhere ({code}); check the setting integrations.prometheus.url"
            return UpstreamRefusedError(message, **details)
        return UpstreamRefusedError(f"{place} refused the request ({code}){said}", **details)

    def _connected(self) -> httpx2.AsyncClient:
        if self._client is None:
            token = self._settings.token
            self._client = httpx2.AsyncClient(
                headers={"Authorization": f"Bearer {token.get_secret_value()}"} if token else {},
                timeout=httpx2.Timeout(self._settings.timeout_s, connect=min(5.0, self._settings.timeout_s)),
                follow_redirects=False,
                trust_env=not _is_loopback(urlsplit(self._settings.url).hostname or ""),
                transport=self._transport,
            )
        return self._client


def _worth_retrying(error: Exception) -> bool | float:
    """Connections and a server in trouble may do better at the next try; refusals and long waits will not."""
    if not isinstance(error, UpstreamError) or isinstance(error, UpstreamRefusedError):
        return False
    if error.details.get("status") == httpx2.codes.OK:
        return False
    wait_s = error.details.get("asked_to_wait_s")
    return wait_s if isinstance(wait_s, float) and wait_s <= _LONGEST_WAIT_S else wait_s is None


def _is_loopback(host: str) -> bool:
    # A proxy named by the environment cannot reach this machine's own loopback.
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
