"""The page routes: now, incidents, one incident, approvals, votes, sign-in. They ask `Toban` and draw what it says."""

import hmac
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from toban.app import Toban
from toban.entrypoints.http import asking, forms, problems
from toban.entrypoints.http.pages import lists, story
from toban.entrypoints.http.pages.rendering import Pages, Visit
from toban.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    PermissionDeniedError,
    RefusedError,
    TobanError,
    UnauthenticatedError,
)
from toban.kit import ids
from toban.model.change import Change

_PAGE = 100


_NOT_COUNTED = (ConflictError, InvalidInputError, PermissionDeniedError, RefusedError)


class StalePageError(PermissionDeniedError):
    """The page was open for too long."""


@dataclass(frozen=True)
class Notice:
    """What is said at the top of a page after a decision that did not count: a key, and why."""

    title: str
    error: TobanError
    change: Change


def router(toban: Toban, pages: Pages) -> APIRouter:
    """All page routes on one running Toban."""
    routes = APIRouter(include_in_schema=False)
    _lists(routes, toban, pages)
    _incident(routes, toban, pages)
    _decisions(routes, toban, pages)
    _sign_in(routes, toban, pages)
    return routes


def _lists(routes: APIRouter, toban: Toban, pages: Pages) -> None:
    @routes.get("/")
    async def now(request: Request) -> Response:
        visit = await pages.visit(request)
        return pages.page(visit, "now", **await lists.now(toban, visit))

    @routes.get("/incidents")
    async def incidents(
        request: Request,
        q: Annotated[str, Query(max_length=200)] = "",
        show: Annotated[str, Query(pattern="^(open|all)$")] = "all",
        before: Annotated[str | None, Query(max_length=20)] = None,
    ) -> Response:
        target = await _jump(toban, pages, request, q)
        if target:
            return RedirectResponse(target, 303)
        visit = await pages.visit(request)
        found = await toban.incidents(visit.context, open_only=show == "open", limit=_PAGE, before=before)
        older = found[-1].id if len(found) == _PAGE else None
        shown = [incident for incident in found if lists.matches(incident, q, visit.voice.words)]
        return pages.page(visit, "incidents", incidents=shown, show=show, older=older)

    @routes.get("/approvals")
    async def approvals(request: Request) -> Response:
        visit = await pages.visit(request)
        plans = await story.plans(toban, visit, await toban.open_changes(visit.context))
        return pages.page(visit, "approvals", plans=plans)


async def _jump(toban: Toban, pages: Pages, request: Request, query: str) -> str:
    """Where an id in the filter field leads; empty when it is none."""
    parsed = ids.parse(query)
    if parsed is None:
        return ""
    visit = await pages.visit(request)
    prefix, number = parsed
    if prefix == "INC":
        return f"/incidents/{ids.spoken(prefix, number)}"
    if prefix == "CHG":
        try:
            change = (await toban.change_file(visit.context, ids.spoken(prefix, number))).change
        except NotFoundError:
            return ""
        return f"/incidents/{change.incident_id}#{change.id}"
    return ""


def _incident(routes: APIRouter, toban: Toban, pages: Pages) -> None:
    @routes.get("/incidents/{incident_id}")
    @routes.get("/incidents/{incident_id}/live")
    async def incident(request: Request, incident_id: str) -> Response:
        visit = await pages.visit(request)
        case = await toban.case_file(visit.context, incident_id)
        return pages.page(visit, "incident", notice=None, **await story.of(toban, visit, case))


def _decisions(routes: APIRouter, toban: Toban, pages: Pages) -> None:
    @routes.post("/changes/{change_id}/vote")
    async def vote(request: Request, change_id: str) -> Response:
        visit = await pages.visit(request)
        form = await forms.read(request, forms.VoteForm)
        change = (await toban.change_file(visit.context, change_id)).change
        try:
            _check_page(form, visit)
            after = await toban.vote(
                visit.context, change.id, decision=form.decision, digest=form.digest, reason=form.reason
            )
        except _NOT_COUNTED as error:
            return await _again(toban, pages, visit, Notice("vote.refused", error, change))
        return RedirectResponse(f"/incidents/{after.incident_id}#{after.id}", 303)

    @routes.post("/changes/{change_id}/settlement")
    async def settle(request: Request, change_id: str) -> Response:
        visit = await pages.visit(request)
        form = await forms.read(request, forms.SettlementForm)
        change = (await toban.change_file(visit.context, change_id)).change
        try:
            _check_page(form, visit)
            after = await toban.settle(visit.context, change.id, decided=form.decided, reason=form.reason)
        except _NOT_COUNTED as error:
            return await _again(toban, pages, visit, Notice("settle.refused", error, change))
        return RedirectResponse(f"/incidents/{after.incident_id}#next", 303)


def _check_page(form: forms.Form, visit: Visit) -> None:
    """Raises StalePageError for a form that is not of a page as it is now: the next one will be."""
    if not hmac.compare_digest(form.csrf.encode(), visit.csrf.encode()):
        raise StalePageError(visit.voice.words("vote.stale"))


async def _again(toban: Toban, pages: Pages, visit: Visit, notice: Notice) -> Response:
    """The incident's page as it is now, with what went wrong at its top."""
    case = await toban.case_file(visit.context, notice.change.incident_id)
    values = await story.of(toban, visit, case)
    return pages.page(visit, "incident", status=problems.status_of(notice.error), notice=notice, **values)


def _sign_in(routes: APIRouter, toban: Toban, pages: Pages) -> None:
    @routes.get("/login")
    async def form(request: Request, onward: Annotated[str, Query(alias="next", max_length=400)] = "/") -> Response:
        if not await toban.sign_in_required():
            return RedirectResponse("/", 303)
        return pages.bare(request, "login", csrf=await toban.csrf_for(None), onward=_own(onward), failed="")

    @routes.post("/login")
    async def sign_in(request: Request) -> Response:
        sent = await forms.read(request, forms.SignInForm)
        name, password, onward = sent.name, sent.password.get_secret_value(), sent.onward
        token = await toban.csrf_for(None)
        _check_token(sent, token)
        try:
            session, _ = await toban.sign_in(name, password, request_id=request.state.request_id)
        except UnauthenticatedError as error:
            return pages.bare(
                request, "login", status=401, csrf=token, onward=_own(onward), failed=error.code, wait=error.retry_after
            )
        response = RedirectResponse(_own(onward), 303)
        secure = request.url.scheme == "https"
        response.set_cookie(
            asking.SECURE_COOKIE if secure else asking.COOKIE,
            session, secure=secure, httponly=True, samesite="strict", path="/",
        )  # fmt: skip
        return response

    @routes.post("/logout")
    async def sign_out(request: Request) -> Response:
        session = asking.session_of(request)
        if session is not None:
            visit = await pages.visit(request)
            _check_token(await forms.read(request, forms.Form), visit.csrf)
            await toban.sign_out(session)
        response = RedirectResponse("/login", 303)
        response.delete_cookie(asking.COOKIE, path="/", httponly=True, samesite="strict")
        response.delete_cookie(asking.SECURE_COOKIE, path="/", secure=True, httponly=True, samesite="strict")
        return response


def _check_token(form: forms.Form, token: str) -> None:
    if not hmac.compare_digest(form.csrf.encode(), token.encode()):
        raise problems.ForbiddenOriginError


def _own(address: str) -> str:
    """An address of ours to go on to: a path, never another host."""
    fine = address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable()
    return quote(address, safe="/?&=#%-_.~") if fine else "/"


def sign_in_address(request: Request) -> str:
    """The sign-in page, leading back to what was asked for."""
    wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return f"/login?next={quote(wanted, safe='')}" if request.method == "GET" else "/login"
