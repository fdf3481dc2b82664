"""A backend with the methods that the pages ask for, on case files in memory. It votes as the real one does."""

import asyncio
from datetime import datetime, timedelta
from types import SimpleNamespace

from browser.support import web_cases
from toban.errors import ConflictError, InvalidInputError, NotFoundError, UnauthenticatedError
from toban.flow.receive import Counts
from toban.governance import access, approvals, policy
from toban.model.approval import Approval, Decision
from toban.model.casefile import CaseFile, ChangeFile
from toban.model.change import Change, ChangeState
from toban.model.incident import OPEN_STATES
from toban.model.overview import Overview
from toban.model.security import AuthLevel, SecurityContext
from toban.model.timeline import Lane, TimelineEntry


class FixedClock:
    """A clock that stands still, so that pages are the same each time."""

    def now(self) -> datetime:
        return web_cases.NOW

    async def sleep(self, delay_s: float) -> None:
        await asyncio.sleep(0)


class FakeDatabase:
    """Only the newest number is read straight from the database."""

    def __init__(self, toban: "FakeToban") -> None:
        self._toban = toban

    async def read(self, query, *args):
        assert query.__name__ == "last_seq"
        return self._toban.last_seq()


class FakeToban:
    """What entry points ask of a Toban."""

    def __init__(self, cases: dict[str, CaseFile] | None = None) -> None:
        self.cases = web_cases.all_cases() if cases is None else cases
        self.clock = FixedClock()
        self.database = FakeDatabase(self)
        self.settings = SimpleNamespace(
            http=SimpleNamespace(host="127.0.0.1", port=0, public_hosts=("ops.example",), body_limit_bytes=5 * 2**20)
        )
        self.sources = {}
        self.intake = SimpleNamespace(counts=Counts(accepted=7))
        self.users: dict[str, str] = {}
        self.sessions: dict[str, str] = {}
        self.local_csrf = "local-form-token"
        self.ready = {"database": "ok", "engine": "ok"}
        self.accepted: list[bytes] = []
        self.news = asyncio.Condition()

    # --- records

    def last_seq(self) -> int:
        return max((entry.seq for case in self.cases.values() for entry in case.timeline), default=0)

    async def tell(self, incident_id: str, lane: Lane, kind: str, text: str, **facts) -> TimelineEntry:
        """Write a timeline entry, as a stage does."""
        told = TimelineEntry(
            seq=self.last_seq() + 1, workspace="default", incident_id=incident_id, at=self.clock.now(), lane=lane,
            kind=kind, text=text, facts=facts,
        )  # fmt: skip
        case = self.cases[incident_id]
        self.cases[incident_id] = case.model_copy(update={"timeline": (*case.timeline, told)})
        async with self.news:
            self.news.notify_all()
        return told

    async def incident(self, context, incident_id):
        return (await self.case_file(context, incident_id)).incident

    async def incidents(self, context, *, open_only, limit=100, before=None):
        found = sorted((case.incident for case in self.cases.values()), key=lambda one: one.id, reverse=True)
        found = [one for one in found if not open_only or one.state in OPEN_STATES]
        return [one for one in found if before is None or one.id < before][:limit]

    async def overview(self, context):
        opened = [case for case in self.cases.values() if case.incident.state in OPEN_STATES]
        return Overview(
            alerts_received=sum(len(case.alerts) for case in self.cases.values()),
            incidents_open=len(opened),
            incidents_total=len(self.cases),
            approvals_open=len(await self.open_changes(context)),
        )

    async def case_file(self, context, incident_id):
        try:
            return self.cases[incident_id.upper()]
        except KeyError:
            raise NotFoundError(f"there is no incident {incident_id}") from None

    async def change_file(self, context, change_id):
        for case in self.cases.values():
            for file in case.changes:
                if file.change.id == change_id.upper():
                    return file
        raise NotFoundError(f"there is no change {change_id}")

    async def open_changes(self, context):
        files = [file for case in self.cases.values() for file in case.changes]
        return [file for file in files if file.change.state is ChangeState.AWAITING_APPROVAL]

    async def may_vote(self, context, change):
        file = await self.change_file(context, change.id)
        rule = policy.Policy().rule(change.risk, change.environment)
        return approvals.why_not(context, change, file.approvals, rule, self.clock.now())

    async def vote(self, context, change_id, *, decision, digest, reason) -> Change:
        file = await self.change_file(context, change_id)
        barred = await self.may_vote(context, file.change)
        if barred:
            raise ConflictError(barred)
        if digest != file.change.digest:
            raise ConflictError(f"{change_id} is not what you looked at; look at it again")
        given = Approval(
            change_id=change_id, voter=context.user_id, decision=decision, digest=digest, reason=reason,
            auth_level=AuthLevel.LOCAL, voted_at=self.clock.now(),
        )  # fmt: skip
        votes = (*file.approvals, given)
        agreed = sum(vote.decision is Decision.APPROVE for vote in votes)
        state = ChangeState.AWAITING_APPROVAL
        if decision is Decision.REJECT:
            state = ChangeState.REJECTED
        elif agreed >= file.change.approvals_needed:
            state = ChangeState.APPROVED
        change = file.change.model_copy(update={"state": state, "approved_at": self.clock.now()})
        case = self.cases[change.incident_id]
        files = tuple(
            ChangeFile(change=change, approvals=votes) if one.change.id == change.id else one for one in case.changes
        )
        self.cases[change.incident_id] = case.model_copy(update={"changes": files})
        await self.tell(
            change.incident_id, Lane.PEOPLE, f"change.{decision}", f"{context.user_id} voted on {change.id}",
            change=change.id, reason=reason,
        )  # fmt: skip
        return change

    async def settle(self, context, change_id, *, decided, reason):
        file = await self.change_file(context, change_id)
        if decided != "probe" and not reason:
            raise InvalidInputError("say what you saw: a person's word on an UNKNOWN change needs a reason")
        state = {"probe": ChangeState.UNKNOWN, "executed": ChangeState.EXECUTED, "failed": ChangeState.FAILED}[decided]
        change = file.change.model_copy(update={"state": state})
        case = self.cases[change.incident_id]
        files = tuple(
            one.model_copy(update={"change": change}) if one.change.id == change.id else one for one in case.changes
        )
        self.cases[change.incident_id] = case.model_copy(update={"changes": files})
        await self.tell(
            change.incident_id, Lane.PEOPLE, "change.settled", f"{context.user_id} settled {change.id}",
            change=change.id, decided=decided, reason=reason,
        )  # fmt: skip
        return change

    async def timeline_after(self, context, seq, *, incident_id, limit=500):
        found = [entry for case in self.cases.values() for entry in case.timeline if entry.seq > seq]
        found = [entry for entry in found if incident_id is None or entry.incident_id == incident_id]
        return sorted(found, key=lambda entry: entry.seq)[:limit]

    async def wait_for_news(self, seq, timeout_s):
        async def newer() -> None:
            async with self.news:
                await self.news.wait_for(lambda: self.last_seq() > seq)

        try:
            await asyncio.wait_for(newer(), timeout_s)
        except TimeoutError:
            return

    async def readiness(self):
        return self.ready

    async def accept(self, source, headers, body):
        if source != "alertmanager":
            raise NotFoundError(f"there is no source named {source}")
        self.accepted.append(body)

    # --- who asks

    async def sign_in_required(self):
        return bool(self.users)

    async def context_for(self, *, bearer, session, request_id) -> SecurityContext:
        if bearer is not None:
            if bearer != "tbn_good":
                raise UnauthenticatedError("this token is not valid; issue a new one")
            return access.local_context("default", self.clock.now(), request_id)
        if session is not None:
            name = self.sessions.get(session)
            if name is None:
                raise UnauthenticatedError("your session has ended; sign in again")
            local = access.local_context("default", self.clock.now(), request_id)
            return SecurityContext(
                user_id=name, workspace="default", permissions=local.permissions, principal=local.principal,
                session_id="S-1", request_id=request_id, auth_level=AuthLevel.PASSWORD,
                expires_at=self.clock.now() + timedelta(hours=12),
            )  # fmt: skip
        if self.users:
            raise UnauthenticatedError("sign in first, or send a token")
        return access.local_context("default", self.clock.now(), request_id)

    async def sign_in(self, name, password, *, request_id):
        if self.users.get(name) != password:
            raise UnauthenticatedError("name or password is wrong")
        self.sessions["session-of-" + name] = name
        return "session-of-" + name, "csrf-of-" + name

    async def sign_out(self, session):
        self.sessions.pop(session, None)

    async def csrf_for(self, session):
        return self.local_csrf if session is None else f"csrf-of-{self.sessions.get(session, '')}"
