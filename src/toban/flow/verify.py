"""Verify: did it work, by the signal that started it and by the objects' own state; several fresh good samples each.

No data is INCONCLUSIVE (hold and call), never success. Called by the pipeline after execution, and after a rollback.
"""

from datetime import datetime, timedelta

from toban.flow import signals
from toban.flow.settings import VerifySettings
from toban.governance.gate import Gate
from toban.kit.clock import Clock
from toban.model.alert import AlertState
from toban.model.change import Change, Signal, StepState
from toban.model.verification import Check, CheckResult, Verification, overall
from toban.store import alerts
from toban.store.database import Database


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
        deadline = started + timedelta(seconds=self._settings.timeout_s)
        good: dict[str, int] = {}
        while True:
            checks = await self._objects(change, rollback=rollback)
            if not rollback:
                checks += await self._signals(change, read, started)
            good = {
                check.name: good.get(check.name, 0) + 1 if check.result is CheckResult.PASSED else 0 for check in checks
            }
            proved = all(count >= self._settings.samples for count in good.values())
            if proved or self._clock.now() >= deadline:
                break
            await self._clock.sleep(self._settings.interval_s)
        judged = tuple(self._judged(check, good[check.name]) for check in checks)
        return Verification(
            change_id=change.id,
            result=overall(judged),
            checks=judged,
            started_at=started,
            finished_at=self._clock.now(),
        )

    async def _objects(self, change: Change, *, rollback: bool) -> list[Check]:
        steps = change.rollback_steps if rollback else change.steps
        return [await self._gate.check(step) for step in steps if step.state is StepState.EXECUTED]

    async def _signals(self, change: Change, read: signals.Read | None, since: datetime) -> list[Check]:
        """The signals of the plan, and of alerts that have joined since and still fire: an effect takes its time."""
        known = tuple(await self._database.read(alerts.of_incident, change.incident_id))
        late = [Signal(alert_name=one.name, labels=one.labels) for one in known if one.state is AlertState.FIRING]
        checks = [await signals.sample(read, one, known, since) for one in (*change.signals, *late)]
        return list({check.name: check for check in checks}.values())

    def _judged(self, check: Check, good: int) -> Check:
        needed = self._settings.samples
        result = _result(check, good, needed)
        return check.model_copy(update={"good_samples": good, "needed_samples": needed, "result": result})


def _result(check: Check, good: int, needed: int) -> CheckResult:
    if good >= needed:
        return CheckResult.PASSED
    # good, but not for long enough: nobody can tell yet
    return CheckResult.INCONCLUSIVE if check.result is CheckResult.PASSED else check.result
