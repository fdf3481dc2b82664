"""The API's part for administrators and auditors: accounts, tokens, the audit trail."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from toban.app import Toban
from toban.errors import RefusedError
from toban.governance import access, audit
from toban.model.security import PrincipalType, Role, Secret, SecurityContext
from toban.store import access as access_store
from toban.store import audit as audit_store


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewUser(_Body):
    """A new account; people have a password, services come in by tokens only."""

    name: str
    roles: tuple[Role, ...] = Field(min_length=1)
    password: SecretStr | None = Field(None, min_length=12, max_length=200)


class NewToken(_Body):
    """A new API token for whoever signs in here: tokens are not issued to tokens."""

    user: str
    password: SecretStr
    label: str = Field(min_length=1, max_length=80)
    days: int = Field(30, ge=1, le=90)


def add_to(routes: APIRouter, toban: Toban, asker: Any) -> None:
    """Add these routes to the API's router."""
    _audit(routes, toban, asker)
    _accounts(routes, toban, asker)


def _audit(routes: APIRouter, toban: Toban, asker: Any) -> None:
    @routes.get("/audit")
    async def search_audit(
        context: SecurityContext = asker,
        subject: str | None = None,
        operation: str | None = None,
        before: int | None = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> dict[str, Any]:
        context.demand("audit.read")
        query = audit_store.AuditQuery(workspace=context.workspace, subject=subject, operation=operation)
        items, following = await toban.database.read(audit_store.search, query, before=before, limit=limit)
        return {"items": [item.model_dump(mode="json") for item in items], "next": following}

    @routes.get("/audit/export")
    async def export_audit(context: SecurityContext = asker) -> StreamingResponse:
        context.demand("audit.export")
        lines: list[str] = []
        await toban.database.read(audit.export, lines.append)

        async def stream() -> AsyncIterator[str]:
            for line in lines:
                yield line

        return StreamingResponse(stream(), media_type="application/jsonl")


def _accounts(routes: APIRouter, toban: Toban, asker: Any) -> None:
    @routes.get("/users")
    async def list_users(context: SecurityContext = asker) -> dict[str, Any]:
        context.demand("users.read")
        found = await toban.database.read(access_store.accounts, context.workspace)
        return {"items": [account.model_dump(mode="json") for account in found], "next": None}

    @routes.post("/users", status_code=201)
    async def add_user(given: NewUser, context: SecurityContext = asker) -> dict[str, Any]:
        password = given.password.get_secret_value() if given.password else None
        account = access_store.Account(
            workspace=context.workspace,
            name=given.name,
            principal=PrincipalType.HUMAN if password else PrincipalType.SERVICE,
            roles=given.roles,
            created_at=toban.clock.now(),
        )
        hashed = await toban.passwords.hash(Secret(password)) if password else None
        await toban.database.write(access.add_account, context, account, password_hash=hashed, now=toban.clock.now())
        return account.model_dump(mode="json")

    @routes.post("/tokens", status_code=201)
    async def add_token(given: NewToken, request: Request) -> dict[str, Any]:
        if not await toban.sign_in_required():
            raise RefusedError("nobody has an account yet, so no token is needed; create one with `toban user add`")
        request_id = getattr(request.state, "request_id", "")
        session, _ = await toban.sign_in(given.user, given.password.get_secret_value(), request_id=request_id)
        try:
            context = await toban.context_for(bearer=None, session=session, request_id=request_id)
            issued = await toban.database.write(
                access.issue_token, context, context.user_id, label=given.label, now=toban.clock.now(), days=given.days
            )
        finally:
            await toban.sign_out(session)
        return {**issued.token.model_dump(mode="json"), "secret": issued.secret.reveal()}
