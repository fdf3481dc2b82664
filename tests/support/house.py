"""A Toban without sockets: real store, Gate and stages on the small world, the engine in memory, the clock virtual."""

import json
from pathlib import Path
from typing import Any

from sqlalchemy import event

from support.clock import VirtualClock
from support.engine import Crash, MemoryEngine
from support.world import World
from toban.flow import approve
from toban.flow.correlate import Correlator
from toban.flow.execute import Executor
from toban.flow.pipeline import Pipeline, Tools
from toban.flow.plan import Planner
from toban.flow.receive import Counts, Reader
from toban.flow.settings import FlowSettings, InvestigateSettings
from toban.flow.verify import Verifier
from toban.governance import access, policy
from toban.governance.catalogue import Catalogue
from toban.governance.gate import Gate
from toban.governance.roles import permissions_of
from toban.integrations.alertmanager import Settings as AlertmanagerSettings
from toban.integrations.alertmanager.source import AlertmanagerSource
from toban.model.approval import Approval, Decision
from toban.model.casefile import CaseFile
from toban.model.change import Change
from toban.model.environment import Environment
from toban.model.security import AuthLevel, PrincipalType, Role, SecurityContext
from toban.model.service import Service
from toban.runbooks import runbook
from toban.store import access as access_store
from toban.store import casefile, changes, journal, migrate, services
from toban.store.access import Account
from toban.store.database import Database, make_engine
from toban.store.journal import Delivery

WORKSPACE = "default"


def payload(*alerts: dict[str, Any]) -> bytes:
    """An Alertmanager v4 body."""
    return json.dumps(
        {
            "version": "4", "groupKey": "{}:{}", "truncatedAlerts": 0, "status": "firing", "receiver": "toban",
            "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://am", "alerts": alerts,
        }
    ).encode()  # fmt: skip


def alert(status: str = "firing", **changes: Any) -> dict[str, Any]:
    """One alert of the cart deployment."""
    labels = {"alertname": "CartUnavailable", "severity": "critical", "namespace": "shop", "deployment": "cart"}
    ended = "2026-11-21T03:05:00Z" if status == "resolved" else "0001-01-01T00:00:00Z"
    return {
        "status": status, "labels": labels | changes.pop("labels", {}), "annotations": {"summary": "cart is down"},
        "startsAt": "2026-11-21T02:59:30Z", "endsAt": ended, "generatorURL": "", "fingerprint": "a1b2c3d4e5f60718",
    } | changes  # fmt: skip


class House:
    """Everything between a body and a lesson; `restart` builds the process anew on the same records."""

    def __init__(self, folder: Path, *, environment: Environment = Environment.STAGING) -> None:
        self.folder = folder
        self.clock = VirtualClock()
        self.world = World(self.clock)
        self.environment = environment
        self.engine = MemoryEngine(self.clock)
        self.database = Database(make_engine(f"sqlite:///{folder / 'toban.db'}"))
        # the real engine is durable on return; these tests kill no process, and there are many of them
        event.listen(self.database.engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous=OFF"))
        migrate.upgrade(self.database.engine)
        self.restart()

    def restart(self) -> None:
        catalogue = Catalogue(self.world.actions())
        self.gate = Gate(catalogue, self.database, self.clock, rules=policy.Policy(), home=self.folder)
        settings = FlowSettings(investigate=InvestigateSettings(settle_s=0))
        correlator = Correlator(settings.correlate, self.clock, {"shop": self.environment})
        sources = {"alertmanager": AlertmanagerSource(AlertmanagerSettings())}
        self.counts = Counts()
        self.reader = Reader(self.database, self.clock, sources, correlator, self.counts)
        self.pipeline = Pipeline(
            Tools(
                database=self.database,
                clock=self.clock,
                engine=self.engine,
                gate=self.gate,
                planner=Planner(self.database, self.clock, self.gate, runbook.library(catalogue.names())),
                executor=Executor(self.database, self.clock, self.gate),
                verifier=Verifier(self.database, self.clock, self.gate, settings.verify),
                settings=settings,
                toban=access.toban_context,
            )
        )
        self.pipeline.define()

    async def post(self, *alerts: dict[str, Any], body: bytes | None = None) -> None:
        """What a sender posts, journalled and read."""
        delivery = Delivery(WORKSPACE, "alertmanager", self.clock.now(), body or payload(*alerts))
        await self.database.write(journal.append, [delivery])
        await self.reader.read_waiting()

    async def know_services(self) -> None:
        """Teach the house that cart exists."""
        service = Service(
            workspace=WORKSPACE, name="cart", namespace="shop", environment=self.environment,
            workload=self.world.target().ref, source="kubernetes", seen_at=self.clock.now(),
        )  # fmt: skip
        await self.database.write(services.save, [service])

    async def run(self, turns: int = 8) -> None:
        """Sweep and work until nothing is due; a crash restarts the process and goes on."""
        for _ in range(turns):
            try:
                await self.pipeline.sweep()
                worked = await self.engine.work()
            except Crash:
                self.restart()
                continue
            if not worked:
                return

    async def file(self, incident_id: str = "INC-0001") -> CaseFile:
        return await self.database.read(casefile.load, WORKSPACE, incident_id)

    async def change(self, change_id: str = "CHG-0001") -> Change:
        return await self.database.read(changes.get, WORKSPACE, change_id)

    async def approver(self, name: str) -> SecurityContext:
        """A person with an account who may approve."""
        account = Account(
            workspace=WORKSPACE, name=name, principal=PrincipalType.HUMAN, roles=(Role.APPROVER,),
            created_at=self.clock.now(),
        )  # fmt: skip
        await self.database.write(access_store.add_account, account, password_hash="$unused")
        return SecurityContext(
            user_id=name, workspace=WORKSPACE, permissions=permissions_of(account.roles), principal=PrincipalType.HUMAN,
            auth_level=AuthLevel.PASSWORD,
        )  # fmt: skip

    def you(self, name: str = "you") -> SecurityContext:
        local = access.local_context(WORKSPACE, self.clock.now())
        return SecurityContext(
            user_id=name, workspace=WORKSPACE, permissions=local.permissions, principal=local.principal,
            auth_level=AuthLevel.LOCAL,
        )  # fmt: skip

    async def vote(self, decision: Decision = Decision.APPROVE, *, by: SecurityContext | None = None) -> Change:
        change = await self.change()
        voter = by or self.you()
        given = Approval(
            change_id=change.id, voter=voter.user_id, decision=decision, digest=change.digest,
            auth_level=voter.auth_level, voted_at=self.clock.now(),
        )  # fmt: skip
        after = await self.database.write(approve.vote, voter, change.id, given, self.gate.rules, self.clock)
        await self.pipeline.woken(after)
        return after

    def close(self) -> None:
        self.database.close()
