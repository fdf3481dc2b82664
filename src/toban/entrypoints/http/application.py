"""Assembles the web door: checks, pages, events, health, API and hooks. Called by whoever runs a `server.Server`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from toban import __version__
from toban.app import Toban
from toban.entrypoints.http import api, assets, door, events, health, hooks, problems
from toban.entrypoints.http.pages import rendering, routes
from toban.errors import TobanError


def create(toban: Toban) -> FastAPI:
    """The application. It neither starts nor stops `toban`; `state.closing` is set when its server begins to stop."""
    closing = events.Closing(asyncio.Event())

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        closing.event.set()

    app = FastAPI(
        title="Toban",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        redirect_slashes=False,
    )
    app.state.closing = closing
    pages = rendering.Pages(toban)
    settings = toban.settings.http
    app.add_middleware(door.Door, hosts=(*settings.public_hosts, settings.host), page=pages.error)
    for part in (routes.router(toban, pages), events.router(toban, closing), health.router(toban), api.router(toban)):
        app.include_router(part)
    app.router.routes.extend(hooks.routes(toban))
    app.mount("/static", assets.Static(directory=assets.FOLDER), name="static")
    _handle_errors(app, pages)
    return app


def _handle_errors(app: FastAPI, pages: rendering.Pages) -> None:
    async def answer(request: Request, error: Exception) -> Response:
        told = problems.of(error)
        if not door.wants_page(request.scope):
            request_id = request.scope.get("state", {}).get("request_id", "")
            return problems.response(told, instance=request.url.path, request_id=request_id)
        if rendering.needs_sign_in(told):
            return RedirectResponse(routes.sign_in_address(request), 303)
        return pages.error(request, told)

    for kind in (TobanError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, answer)
