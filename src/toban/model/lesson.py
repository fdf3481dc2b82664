"""Lessons: what an ended incident taught."""

from toban.model.record import Instant, Record


class Lesson(Record):
    """Cause, remedy and outcome of one incident. `confirmed_by` is empty until a person agrees."""

    id: str
    workspace: str
    incident_id: str
    service: str | None
    cause: str
    statement: str
    remedy: str = ""
    change_id: str = ""
    worked: bool | None = None
    seconds_to_diagnosis: float | None = None
    seconds_to_recovery: float | None = None
    alert_names: tuple[str, ...] = ()
    confirmed_by: str = ""
    written_at: Instant
