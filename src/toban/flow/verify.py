"""Verify: did it work, by the signal that started it and by the objects' own state; several fresh good samples each.

No data is INCONCLUSIVE (hold and call), never success. Called by the pipeline after execution, and after a rollback.
"""

from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any

from toban.flow import signals
from toban.flow.settings import VerifySettings
from toban.governance.gate import Gate
from toban.kit.clock import Clock
from toban.model.change import Change, StepState
from toban.model.verification import Check, CheckResult, Verification, overall
from toban.store import alerts
from toban.store.database import Database

Sampler = Callable[[], Coroutine[Any, Any, Check]]


class Verifier:
    """Samples the checks of a change until each is proved good, proved bad, or out of time."""

    def __init__(self, database: Database, clock: Clock, gate: Gate, settings: VerifySettings) -> None:
        self._database = database
        self._clock = clock
        self._gate = gate
        self._settings = settings

    async def verify(self, change: Change, read: signals.Read | None, *, rollback: bool = False) -> Verification:
        """The verification of the change as it stands. After a rollback only the objects are looked at."""
        started = self._clock.now()
        samplers = self._objects(change, rollback=rollback)
        if not rollback:
            samplers += self._signals(change, read, started)
        checks = await self._until_settled(samplers, started)
        return Verification(
            change_id=change.id,
            result=overall(checks),
            checks=checks,
            started_at=started,
            finished_at=self._clock.now(),
        )

    def _objects(self, change: Change, *, rollback: bool) -> list[Sampler]:
        steps = change.rollback_steps if rollback else change.steps
        return [
            lambda step=step: self._gate.check(step)  # type: ignore[misc]
            for step in steps
            if step.state is StepState.EXECUTED
        ]

    def _signals(self, change: Change, read: signals.Read | None, since: datetime) -> list[Sampler]:
        async def look(one: Any) -> Check:
            known = await self._database.read(alerts.of_incident, change.incident_id)
            return await signals.sample(read, one, tuple(known), since)

        return [lambda one=one: look(one) for one in change.signals]  # type: ignore[misc]

    async def _until_settled(self, samplers: list[Sampler], started: datetime) -> tuple[Check, ...]:
        deadline = started + timedelta(seconds=self._settings.timeout_s)
        needed = self._settings.samples
        good = [0] * len(samplers)
        checks: list[Check] = []
        while True:
            checks = [await sample() for sample in samplers]
            good = [
                count + 1 if check.result is CheckResult.PASSED else 0
                for count, check in zip(good, checks, strict=True)
            ]
            out_of_time = self._clock.now() >= deadline
            if all(count >= needed for count in good) or out_of_time:
                break
            await self._clock.sleep(self._settings.interval_s)
        return tuple(
            check.model_copy(
                update={"good_samples": count, "needed_samples": needed, "result": _result(check, count, needed)}
            )
            for check, count in zip(checks, good, strict=True)
        )


def _result(check: Check, good: int, needed: int) -> CheckResult:
    if good >= needed:
        return CheckResult.PASSED
    # good, but not for long enough: nobody can tell yet
    return CheckResult.INCONCLUSIVE if check.result is CheckResult.PASSED else check.result
