"""Verification: did it work, by the signal that started it and by the objects' own state."""

from enum import StrEnum

from toban.model.record import Instant, JsonValue, Record


class CheckResult(StrEnum):
    """No data is INCONCLUSIVE, never success."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"


class Check(Record):
    """One thing that was looked at: what, how often it was good, and what was last seen."""

    name: str
    kind: str
    query: str
    result: CheckResult
    good_samples: int = 0
    needed_samples: int = 0
    last_seen: JsonValue = None
    detail: str = ""


class Verification(Record):
    """The checks of one change and what they come to."""

    change_id: str
    result: CheckResult
    checks: tuple[Check, ...]
    started_at: Instant
    finished_at: Instant


def overall(checks: tuple[Check, ...]) -> CheckResult:
    """FAILED if one failed, INCONCLUSIVE if one could not tell or none was made, else PASSED."""
    results = {check.result for check in checks}
    if CheckResult.FAILED in results:
        return CheckResult.FAILED
    if not checks or CheckResult.INCONCLUSIVE in results:
        return CheckResult.INCONCLUSIVE
    return CheckResult.PASSED
