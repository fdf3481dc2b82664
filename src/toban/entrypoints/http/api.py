"""The JSON API under `/api/v1`: what the command line and other programs use. Lists are `{items, next}`.

Reads and votes; rights are those of the asker, checked in `app.py`. Pages are not here, hooks neither.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from toban.app import Toban
from toban.entrypoints.http import administration, asking
from toban.flow.execute import Settlement
from toban.model.approval import Decision
from toban.model.security import SecurityContext


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Vote(_Body):
    """A vote on what the voter looked at: `digest` is that of the change as it was shown."""

    decision: Decision
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    reason: str = Field("", max_length=2000)


class Settle(_Body):
    """How an UNKNOWN change is settled; a person's word needs a reason."""

    decided: Settlement
    reason: str = Field("", max_length=2000)


def router(toban: Toban) -> APIRouter:
    """All routes of the API on one running Toban."""
    routes = APIRouter(prefix="/api/v1")
    asker = Depends(asking.of(toban))
    _incidents(routes, toban, asker)
    _changes(routes, toban, asker)
    _dead_letters(routes, toban, asker)
    administration.add_to(routes, toban, asker)
    return routes


def _incidents(routes: APIRouter, toban: Toban, asker: Any) -> None:
    @routes.get("/overview")
    async def overview(context: SecurityContext = asker) -> dict[str, Any]:
        return (await toban.overview(context)).model_dump(mode="json")

    @routes.get("/info")
    async def info(context: SecurityContext = asker) -> dict[str, Any]:
        return await toban.info(context)

    @routes.get("/incidents")
    async def list_incidents(
        *,
        context: SecurityContext = asker,
        open_only: Annotated[bool, Query(alias="open")] = False,
        limit: Annotated[int, Query(ge=1, le=500)] = 100,
        before: str | None = None,
    ) -> dict[str, Any]:
        items = await toban.incidents(context, open_only=open_only, limit=limit, before=before)
        following = items[-1].id if len(items) == limit else None
        return {"items": [item.model_dump(mode="json") for item in items], "next": following}

    @routes.get("/incidents/{incident_id}")
    async def show_incident(incident_id: str, context: SecurityContext = asker) -> dict[str, Any]:
        return (await toban.case_file(context, incident_id)).model_dump(mode="json")

    @routes.get("/incidents/{incident_id}/timeline")
    async def show_timeline(
        incident_id: str,
        request: Request,
        context: SecurityContext = asker,
        after: Annotated[int, Query(ge=0)] = 0,
        wait_s: Annotated[float, Query(ge=0, le=30)] = 0,
    ) -> dict[str, Any]:
        """Entries newer than `after`; with `wait_s` the answer comes when there is one, or then."""
        del request
        await toban.incident(context, incident_id)
        if wait_s:
            await toban.wait_for_news(after, wait_s)
        items = await toban.timeline_after(context, after, incident_id=incident_id.upper())
        return {"items": [item.model_dump(mode="json") for item in items], "next": items[-1].seq if items else after}


def _changes(routes: APIRouter, toban: Toban, asker: Any) -> None:
    @routes.get("/changes")
    async def list_changes(context: SecurityContext = asker) -> dict[str, Any]:
        items = await toban.open_changes(context)
        return {"items": [item.model_dump(mode="json") for item in items], "next": None}

    @routes.get("/changes/{change_id}")
    async def show_change(change_id: str, context: SecurityContext = asker) -> dict[str, Any]:
        file = await toban.change_file(context, change_id)
        reason = await toban.may_vote(context, file.change)
        return {**file.model_dump(mode="json"), "why_you_may_not_vote": reason}

    @routes.post("/changes/{change_id}/votes")
    async def vote(change_id: str, given: Vote, context: SecurityContext = asker) -> dict[str, Any]:
        after = await toban.vote(context, change_id, decision=given.decision, digest=given.digest, reason=given.reason)
        return after.model_dump(mode="json")

    @routes.post("/changes/{change_id}/settlement")
    async def settle(change_id: str, given: Settle, context: SecurityContext = asker) -> dict[str, Any]:
        after = await toban.settle(context, change_id, decided=given.decided, reason=given.reason)
        return after.model_dump(mode="json")


def _dead_letters(routes: APIRouter, toban: Toban, asker: Any) -> None:
    @routes.get("/dead-letters")
    async def list_dead_letters(context: SecurityContext = asker) -> dict[str, Any]:
        return {"items": await toban.dead_letters(context), "next": None}

    @routes.post("/dead-letters/{letter}/replay", status_code=202)
    async def replay(letter: str, context: SecurityContext = asker) -> Response:
        await toban.replay(context, letter)
        return Response(status_code=202)
