"""The hooks: `POST /hooks/{source}` takes a delivery, makes it durable, answers 202. Reading it comes later.

A sender is told 401, 404, 413 or 503, never another refusal: Alertmanager drops for good what gets a 4xx. The body is
not looked at here; what cannot be read becomes a dead letter.
"""

from typing import Final

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from toban.app import Toban
from toban.entrypoints.http import problems
from toban.errors import TobanError, TooLargeError

_ACCEPTED: Final = b'{"status":"accepted"}'


def routes(toban: Toban) -> list[Route]:
    """The hook route on one running Toban; plain Starlette, since thousands of deliveries a second pass here."""
    limit = toban.settings.http.body_limit_bytes

    async def hook(request: Request) -> Response:
        try:
            body = await _body(request, limit)
            headers = {name.lower(): value for name, value in request.headers.items()}
            await toban.accept(request.path_params["source"], headers, body)
        except ClientDisconnect:
            return Response(status_code=400)
        except TobanError as error:
            request_id = getattr(request.state, "request_id", "")
            return problems.response(error, instance=request.url.path, request_id=request_id)
        return Response(_ACCEPTED, status_code=202, media_type="application/json")

    return [Route("/hooks/{source}", hook, methods=["POST"], name="hook")]


async def _body(request: Request, limit: int) -> bytes:
    told = f"the body is larger than {limit} bytes; nothing was stored"
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > limit:
        raise TooLargeError(told)
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise TooLargeError(told)
        parts.append(part)
    return b"".join(parts)
