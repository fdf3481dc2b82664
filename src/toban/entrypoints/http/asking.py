"""Who asks: from a request's bearer token or session cookie to a security context. For API, pages and events."""

from collections.abc import Awaitable, Callable

import structlog
from fastapi import Request

from toban.app import Toban
from toban.errors import UnauthenticatedError
from toban.model.security import SecurityContext, log_fields

COOKIE = "toban_session"
SECURE_COOKIE = "__Host-toban_session"


def bearer_of(request: Request) -> str | None:
    """The bearer token of a request. Raises UnauthenticatedError for another scheme."""
    header = request.headers.get("authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise UnauthenticatedError("send the token as `Authorization: Bearer TOKEN`")
    return token.strip()


def session_of(request: Request) -> str | None:
    """The session cookie of a request."""
    return request.cookies.get(SECURE_COOKIE) or request.cookies.get(COOKIE)


def of(toban: Toban) -> Callable[[Request], Awaitable[SecurityContext]]:
    """A dependency that gives the asker's context, once for each request."""

    async def ask(request: Request) -> SecurityContext:
        context = await toban.context_for(
            bearer=bearer_of(request),
            session=session_of(request),
            request_id=getattr(request.state, "request_id", ""),
        )
        structlog.contextvars.bind_contextvars(**log_fields(context))
        return context

    return ask
