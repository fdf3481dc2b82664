"""The composition root: builds everything from settings through the plugin registry, starts it, stops it.

Entry points get one `Toban` and ask it; nothing below imports this module.
"""

import asyncio
import contextlib
import fcntl
import ipaddress
import os
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, TextIO

import structlog

from toban import __version__
from toban.engine.durable import Engine
from toban.engine.supervisor import Supervisor
from toban.errors import ConfigurationError, NotFoundError, StorageError, TobanError, UnauthenticatedError
from toban.flow import approve
from toban.flow.correlate import Correlator
from toban.flow.execute import Executor, Settlement
from toban.flow.pipeline import Pipeline, Tools
from toban.flow.plan import Planner
from toban.flow.receive import Intake, Reader
from toban.flow.verify import Verifier
from toban.governance import access, approvals, audit, policy
from toban.governance.catalogue import Catalogue
from toban.governance.gate import Gate
from toban.governance.sign_in import Credentials, Passwords, Patience, SignIn
from toban.kit.clock import Clock, SystemClock
from toban.knowledge.watch import Watcher
from toban.model.approval import Approval, Decision
from toban.model.casefile import CaseFile, ChangeFile
from toban.model.change import Change, ChangeState
from toban.model.incident import Incident
from toban.model.overview import Overview
from toban.model.security import Secret, SecurityContext
from toban.model.timeline import TimelineEntry
from toban.plugins import registry
from toban.plugins.roles import ActionProvider, AlertSource
from toban.runbooks import runbook
from toban.settings import Settings
from toban.store import alerts, casefile, changes, incidents, journal, migrate, timeline
from toban.store.database import Database, make_engine

_SWEEP_S = 1.0
_EXECUTOR = "main"
_AUDIT_HEAD_S = 5.0
_NEWS_POLL_S = 0.25
_RETRY_S = 1.0
_AWAITING = frozenset({ChangeState.AWAITING_APPROVAL})
_log = structlog.get_logger()


def is_loopback(host: str) -> bool:
    """Whether a host name or address can be reached from this machine only."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


class Toban:
    """One running Toban. Build it, `start` it, ask it, `stop` it."""

    def __init__(self, settings: Settings, clock: Clock | None = None) -> None:
        """Build everything; nothing is opened yet. Raises ConfigurationError."""
        self.settings = settings
        self.clock: Clock = clock or SystemClock()
        self.workspace = settings.workspace.name
        self.database = Database(make_engine(settings.database_url, busy_timeout_s=settings.database.busy_timeout_s))
        self.engine = Engine(url=settings.engine_url, executor_id=_EXECUTOR)
        self._supervisor = Supervisor(self.engine, self.database, self.clock, _EXECUTOR)
        self._providers: list[ActionProvider] = []
        self.sources: dict[str, AlertSource] = {}
        self._build_integrations()
        catalogue = Catalogue(action for provider in self._providers for action in provider.actions())
        rules = policy.load(settings.governance.policy)
        self.gate = Gate(catalogue, self.database, self.clock, rules=rules, home=settings.home)
        self.intake = Intake(self.database, self.clock, settings.flow.intake)
        correlator = Correlator(settings.flow.correlate, self.clock, settings.workspace.environments)
        self.reader = Reader(self.database, self.clock, self.sources, correlator, self.intake.counts)
        self.pipeline = Pipeline(self._tools(runbook.library(catalogue.names())))
        self.pipeline.define()
        self._watcher = Watcher(
            self.database, self.workspace, settings.workspace.namespaces, settings.workspace.environments
        )
        self.passwords = Passwords()
        self._sign_in = SignIn(self.database, self.passwords, Patience())
        self._local_csrf = secrets.token_urlsafe(32)
        self._tasks: list[asyncio.Task[None]] = []
        self._lock: TextIO | None = None

    def _build_integrations(self) -> None:
        group = self.settings.integrations
        for name, integration in registry.integrations().items():
            own = getattr(group, name, None)
            if own is None:
                continue
            if "alert_source" in integration.provides:
                self.sources[name] = integration.provides["alert_source"](own)
            if "action_provider" in integration.provides:
                self._providers.append(integration.provides["action_provider"](own))

    def _tools(self, runbooks: Mapping[str, runbook.Runbook]) -> Tools:
        flow = self.settings.flow
        return Tools(
            database=self.database,
            clock=self.clock,
            engine=self.engine,
            gate=self.gate,
            planner=Planner(self.database, self.clock, self.gate, runbooks),
            executor=Executor(self.database, self.clock, self.gate),
            verifier=Verifier(self.database, self.clock, self.gate, flow.verify),
            settings=flow,
            toban=access.toban_context,
        )

    # --- life ----------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Lock the state folder, migrate, go on with what was interrupted, begin to work.

        Raises ConfigurationError (unsafe doors, folder in use) and StorageError.
        """
        self._lock = _lock_folder(self.settings.home)
        await asyncio.to_thread(migrate.upgrade, self.database.engine)
        await self._refuse_open_doors()
        self.engine.launch()
        await self.engine.open_queues()
        for name, work in (
            ("read", self._read_forever),
            ("sweep", self._every(_SWEEP_S, self.pipeline.sweep)),
            ("supervise", self._every(_SWEEP_S, self._supervisor.turn)),
            ("watch", self._every(self.settings.workspace.learn_interval_s, self.look)),
            ("audit-head", self._every(_AUDIT_HEAD_S, self._anchor)),
        ):
            self._tasks.append(asyncio.create_task(work(), name=name))

    async def _refuse_open_doors(self) -> None:
        host = self.settings.http.host
        if is_loopback(host):
            return
        problems = []
        if not await self.database.read(access.is_sign_in_required):
            problems.append(
                f"http.host {host} is not loopback and nobody has an account: create one with `toban user add`"
            )
        group = self.settings.integrations
        problems += [
            f"http.host {host} is not loopback and integrations.{name}.token is not set: anybody could post alerts"
            for name in self.sources
            if not getattr(getattr(group, name), "token", None)
        ]
        if problems:
            raise ConfigurationError(problems)

    async def stop(self) -> None:
        """Take no more, leave running workflows to the next start, close everything."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.intake.close()
        await self.gate.close()
        with contextlib.suppress(StorageError):  # then the others find out by themselves
            await self._supervisor.leave()
        await self.engine.close()
        for provider in self._providers:
            await provider.close()
        self.passwords.close()
        self.database.close()
        if self._lock is not None:
            self._lock.close()

    async def _read_forever(self) -> None:
        while True:
            self.intake.news.clear()
            try:
                count = await self.reader.read_waiting()
                if count:
                    await self.pipeline.sweep()
                    continue
            except TobanError as error:
                _log.error("the journal cannot be read", problem=error.message)
                await asyncio.sleep(_RETRY_S)
                continue
            try:
                await asyncio.wait_for(self.intake.news.wait(), timeout=_RETRY_S)
            except TimeoutError:
                continue

    def _every(self, pause_s: float, work: Callable[[], Awaitable[Any]]) -> Callable[[], Coroutine[Any, Any, None]]:
        async def loop() -> None:
            while True:
                try:
                    await work()
                except TobanError as error:
                    _log.warning("will try again", work=work.__name__, problem=error.message)
                except Exception:  # noqa: BLE001 - an entry point of its own: one bad turn must not end the loop
                    _log.exception("unexpected", work=work.__name__)
                await asyncio.sleep(pause_s)

        return loop

    async def look(self) -> int:
        """Learn services and remember configuration once; how many services were found."""
        if "kubernetes.inventory" not in self.gate.catalogue.names():
            return 0
        return await self._watcher.look(_Reads(self.gate, access.toban_context(self.workspace)), self.clock.now())

    async def _anchor(self) -> None:
        problem = await self.database.read(audit.advance_head, self.settings.home / audit.HEAD_FILE)
        if problem:
            _log.error("the audit's head could not be anchored", problem=problem)

    async def readiness(self) -> dict[str, str]:
        """Each component and `ok`, or what is wrong with it."""
        result = {"engine": "ok", "intake": "ok", "database": "ok"}
        try:
            waiting = await self.database.read(journal.backlog)
            if waiting > self.settings.flow.intake.queue_limit:
                result["intake"] = f"{waiting} deliveries wait to be read"
            if self.intake.problem:
                await self._supervisor.turn()  # whether the disk takes writes again shows by writing
        except StorageError as error:
            result["database"] = error.message
        dead = [task.get_name() for task in self._tasks if task.done()]
        result["workers"] = f"stopped: {', '.join(dead)}" if dead else "ok"
        return result

    # --- who asks ------------------------------------------------------------------------------------------------

    async def sign_in_required(self) -> bool:
        """Whether the local door is shut."""
        return await self.database.read(access.is_sign_in_required)

    async def context_for(self, *, bearer: str | None, session: str | None, request_id: str) -> SecurityContext:
        """Who asks. Raises UnauthenticatedError."""
        now = self.clock.now()
        if bearer is not None:
            return await self.database.read(access.context_for_token, bearer, now=now, request_id=request_id)
        if session is not None:
            return await self.database.read(access.context_for_session, session, now=now, request_id=request_id)
        if is_loopback(self.settings.http.host) and not await self.sign_in_required():
            return access.local_context(self.workspace, now, request_id)
        raise UnauthenticatedError("sign in first, or send a token")

    async def sign_in(self, name: str, password: str, *, request_id: str) -> tuple[str, str]:
        """A new session's secret and its form token. Raises UnauthenticatedError."""
        given = Credentials(self.workspace, name, Secret(password))
        opened = await self._sign_in.open(given, now=self.clock.now(), request_id=request_id)
        return opened.secret.reveal(), opened.csrf

    async def sign_out(self, session: str) -> None:
        """End a session."""
        await self.database.write(access.end_session, session)

    async def csrf_for(self, session: str | None) -> str:
        """The token that forms must send back."""
        if session is None:
            return self._local_csrf
        return await self.database.read(access.csrf_of, session, now=self.clock.now())

    # --- what entry points ask -----------------------------------------------------------------------------------

    async def incident(self, context: SecurityContext, incident_id: str) -> Incident:
        """One incident. Raises NotFoundError."""
        context.demand("incidents.read")
        return await self.database.read(incidents.get, context.workspace, incident_id.upper())

    async def incidents(
        self, context: SecurityContext, *, open_only: bool, limit: int = 100, before: str | None = None
    ) -> list[Incident]:
        """Incidents, newest first."""
        context.demand("incidents.read")
        return await self.database.read(
            incidents.page, context.workspace, open_only=open_only, limit=limit, before=before
        )

    async def overview(self, context: SecurityContext) -> Overview:
        """Counts for the first page."""
        context.demand("incidents.read")

        def count(connection: Any) -> Overview:
            opened, total = incidents.totals(connection, context.workspace)
            waiting = changes.in_states(connection, _AWAITING, context.workspace)
            return Overview(
                alerts_received=alerts.received(connection, context.workspace),
                incidents_open=opened,
                incidents_total=total,
                approvals_open=len(waiting),
            )

        return await self.database.read(count)

    async def case_file(self, context: SecurityContext, incident_id: str) -> CaseFile:
        """All that is known of an incident. Raises NotFoundError."""
        context.demand("incidents.read")
        return await self.database.read(casefile.load, context.workspace, incident_id.upper())

    async def change_file(self, context: SecurityContext, change_id: str) -> ChangeFile:
        """A change with votes and verifications. Raises NotFoundError."""
        context.demand("changes.read")

        def load(connection: Any) -> ChangeFile:
            return casefile.change_file(connection, changes.get(connection, context.workspace, change_id.upper()))

        return await self.database.read(load)

    async def open_changes(self, context: SecurityContext) -> list[ChangeFile]:
        """Changes that wait for votes, oldest first."""
        context.demand("changes.read")

        def load(connection: Any) -> list[ChangeFile]:
            waiting = changes.in_states(connection, _AWAITING, context.workspace)
            return [casefile.change_file(connection, change) for change in waiting]

        return await self.database.read(load)

    async def may_vote(self, context: SecurityContext, change: Change) -> str | None:
        """Why this person may not vote on this change; None if they may."""
        votes = await self.database.read(changes.votes, change.id)
        rule = self.gate.rules.rule(change.risk, change.environment)
        return approvals.why_not(context, change, votes, rule, self.clock.now())

    async def vote(
        self, context: SecurityContext, change_id: str, *, decision: Decision, digest: str, reason: str
    ) -> Change:
        """Vote on a change; the moment enough agree, it goes on."""
        given = Approval(
            change_id=change_id.upper(),
            voter=context.user_id,
            decision=decision,
            digest=digest,
            reason=reason.strip(),
            auth_level=context.auth_level,
            voted_at=self.clock.now(),
        )
        after = await self.database.write(approve.vote, context, change_id.upper(), given, self.gate.rules, self.clock)
        if after.state is not ChangeState.AWAITING_APPROVAL:
            await self.pipeline.woken(after)
        return after

    async def settle(self, context: SecurityContext, change_id: str, *, decided: Settlement, reason: str) -> Change:
        """Leave UNKNOWN: by probing again, or by what a person saw."""
        change = await self.database.read(changes.get, context.workspace, change_id.upper())
        return await self.pipeline.settle(context, change, decided, reason.strip())

    async def timeline_after(
        self, context: SecurityContext, seq: int, *, incident_id: str | None, limit: int = 500
    ) -> list[TimelineEntry]:
        """Timeline entries newer than `seq`, in order."""
        context.demand("incidents.read")
        return await self.database.read(timeline.after, context.workspace, seq, incident_id=incident_id, limit=limit)

    async def wait_for_news(self, seq: int, timeout_s: float) -> None:
        """Return when an entry newer than `seq` is there, or after `timeout_s`."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        while asyncio.get_running_loop().time() < deadline:
            if await self.database.read(timeline.last_seq) > seq:
                return
            await asyncio.sleep(_NEWS_POLL_S)

    async def dead_letters(self, context: SecurityContext) -> list[dict[str, Any]]:
        """Deliveries that could not be read, newest first."""
        context.demand("alerts.read")
        return await self.database.read(journal.dead_letters, context.workspace)

    async def replay(self, context: SecurityContext, letter: str) -> None:
        """Read a dead letter's body once more. Raises NotFoundError."""
        context.demand("alerts.write")
        await self.database.write(journal.replay, context.workspace, letter.upper(), self.clock.now())
        self.intake.news.set()

    async def info(self, context: SecurityContext) -> dict[str, Any]:
        """What this installation is: version, folders, integrations, health."""
        context.demand("incidents.read")
        return {
            "version": __version__,
            "home": str(self.settings.home),
            "workspace": self.workspace,
            "user": context.user_id,
            "sign_in": context.auth_level,
            "sources": sorted(self.sources),
            "actions": sorted(self.gate.catalogue.names()),
            "policy": self.gate.rules.version,
            "ready": await self.readiness(),
        }

    async def accept(self, source: str, headers: Mapping[str, str], body: bytes) -> None:
        """Take a delivery in; it is durable on return.

        Raises NotFoundError (unknown source), UnauthenticatedError, OverloadedError and StorageError.
        """
        handler = self.sources.get(source)
        if handler is None:
            known = ", ".join(sorted(self.sources)) or "none"
            raise NotFoundError(f"there is no source named {source}; configured are: {known}")
        if not handler.authenticate(headers, body):
            raise UnauthenticatedError(f"the token or signature of source {source} is missing or wrong")
        await self.intake.accept(self.workspace, source, body)


class _Reads:
    """Reads through the Gate in the name of one context."""

    def __init__(self, gate: Gate, context: SecurityContext) -> None:
        self._gate = gate
        self._context = context

    async def read(self, action: str, params: Mapping[str, Any]) -> Any:
        return await self._gate.read(self._context, action, params)


def _lock_folder(home: Path) -> TextIO:
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = (home / "lock").open("a+", encoding="utf-8")
    except OSError as error:
        raise ConfigurationError([f"the state folder {home} cannot be used: {error.strerror}"]) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        handle.seek(0)
        holder = handle.read().strip() or "unknown"
        handle.close()
        raise ConfigurationError(
            [f"another Toban (process {holder}) uses the state folder {home}; stop it, or set TOBAN_HOME"]
        ) from error
    handle.truncate(0)
    handle.write(f"{os.getpid()}\n")
    handle.flush()
    return handle
