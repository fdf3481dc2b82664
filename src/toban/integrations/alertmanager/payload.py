"""Alertmanager's webhook payload, version 4, turned into alerts. Called by `source`.

Text is kept as data; nothing is translated or cut. What breaks the form is a MappingError that names the field, so that
a dead letter tells the sender what to mend. Fields that Alertmanager may add later are ignored.
"""

import re
from datetime import UTC, datetime
from typing import Any

import msgspec

from toban.errors import MappingError
from toban.integrations.alertmanager import fingerprint
from toban.kit import text
from toban.model.alert import AlertEvent, AlertState, Link, Severity

VERSION = "4"
MOST_ENTRIES = 128
LONGEST_NAME_BYTES = 1024
LONGEST_VALUE_BYTES = 8 * 1024
LONGEST_LINK = 2048

_SEVERITIES = {
    **dict.fromkeys(("critical", "page"), Severity.CRITICAL),
    **dict.fromkeys(("high", "error", "major"), Severity.HIGH),
    **dict.fromkeys(("warning", "warn", "minor"), Severity.WARNING),
    **dict.fromkeys(("info", "informational", "none"), Severity.INFO),
}
_LINKS = {
    "runbook_url": "Runbook",
    "runbook": "Runbook",
    "dashboard_url": "Dashboard",
    "dashboard": "Dashboard",
}
_FINGERPRINT = re.compile(r"[0-9a-fA-F]{16}")
_LINK = re.compile(r"https?://[^\s\x00-\x1f\x7f]+", re.IGNORECASE)
_PLACE = re.compile(r" - at `\$\.?(?P<path>[^`]*)`$")
_MISSING = re.compile(r"missing required field `(?P<name>[^`]+)`")


class _Payload(msgspec.Struct):
    version: str
    alerts: list[msgspec.Raw]
    truncatedAlerts: int | None = None  # noqa: N815 - the payload's own name


class _Alert(msgspec.Struct):
    status: str
    labels: dict[str, Any]
    startsAt: str  # noqa: N815 - the payload's own name
    endsAt: str | None = None  # noqa: N815 - the payload's own name
    annotations: dict[str, Any] | None = None
    generatorURL: str | None = None  # noqa: N815 - the payload's own name
    fingerprint: str | None = None


_payloads = msgspec.json.Decoder(_Payload)
_alerts = msgspec.json.Decoder(_Alert)


def parse(body: bytes) -> tuple[AlertEvent, ...]:
    """The alerts of one delivery, in its order. Raises MappingError."""
    found = _decoded(_payloads, body, "")
    if found.version != VERSION:
        raise MappingError(f"version is {text.quoted(found.version, 40)!r}, expected {VERSION!r}", field="version")
    truncated = found.truncatedAlerts or 0
    if truncated < 0:
        raise MappingError(f"truncatedAlerts is {truncated}, expected 0 or more", field="truncatedAlerts")
    return tuple(_event(raw, f"alerts[{index}]", truncated) for index, raw in enumerate(found.alerts))


def _event(raw: msgspec.Raw, place: str, truncated: int) -> AlertEvent:
    alert = _decoded(_alerts, raw, place)
    labels = _texts(alert.labels, f"{place}.labels")
    annotations = _texts(alert.annotations or {}, f"{place}.annotations")
    name = labels.get("alertname", "")
    if not name:
        where = f"{place}.labels.alertname"
        raise MappingError(f"{where} is missing; an alert needs a name", field=where)
    state = _state(alert.status, f"{place}.status")
    return AlertEvent(
        source="alertmanager",
        fingerprint=_fingerprint(alert.fingerprint, labels),
        name=name,
        state=state,
        severity=_SEVERITIES.get(labels.get("severity", "").strip().lower(), Severity.UNKNOWN),
        started_at=_started(alert.startsAt, f"{place}.startsAt"),
        ended_at=_ended(alert.endsAt, f"{place}.endsAt") if state is AlertState.RESOLVED else None,
        labels=labels,
        annotations=annotations,
        links=_links(alert.generatorURL or "", annotations),
        truncated=truncated,
    )


def _decoded(decoder: msgspec.json.Decoder[Any], body: bytes | msgspec.Raw, place: str) -> Any:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        words = str(error) or "nested too deeply"
        at, missing = _PLACE.search(words), _MISSING.search(words)
        parts = [place, at["path"] if at else "", missing["name"] if missing else ""]
        where = ".".join(part for part in parts if part) or "body"
        if missing:
            raise MappingError(f"{where} is missing", field=where) from error
        raise MappingError(f"{where}: {_PLACE.sub('', words)}", field=where) from error


def _texts(found: dict[str, Any], place: str) -> dict[str, str]:
    if len(found) > MOST_ENTRIES:
        raise MappingError(f"{place} has {len(found)} entries, expected {MOST_ENTRIES} at most", field=place)
    for name, value in found.items():
        where = f"{place}.{text.quoted(name, 100)}"
        if not isinstance(value, str):
            raise MappingError(f"{where} is {_kind(value)}, expected text", field=where)
        if len(name.encode()) > LONGEST_NAME_BYTES:
            message = f"{where}: a name of {len(name.encode())} bytes, expected {LONGEST_NAME_BYTES} at most"
            raise MappingError(message, field=where)
        if len(value.encode()) > LONGEST_VALUE_BYTES:
            message = f"{where} has {len(value.encode())} bytes, expected {LONGEST_VALUE_BYTES} at most"
            raise MappingError(message, field=where)
    return found


def _kind(value: object) -> str:
    if value is None:
        return "null"
    names = {bool: "a boolean", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)


def _state(status: str, place: str) -> AlertState:
    try:
        return AlertState(status)
    except ValueError:
        message = f"{place} is {text.quoted(status, 40)!r}, expected 'firing' or 'resolved'"
        raise MappingError(message, field=place) from None


def _fingerprint(sent: str | None, labels: dict[str, str]) -> str:
    if sent and _FINGERPRINT.fullmatch(sent):
        return sent.lower()
    return fingerprint.of_labels(labels)


def _started(sent: str, place: str) -> datetime:
    time = _time(sent, place)
    if time is None:
        raise MappingError(f"{place} is {sent!r}, which is no time at all", field=place)
    return time


def _ended(sent: str | None, place: str) -> datetime:
    time = _time(sent, place) if sent else None
    if time is None:
        raise MappingError(f"{place} is {sent!r}, expected the time when the alert was resolved", field=place)
    return time


def _time(sent: str, place: str) -> datetime | None:
    """An instant in UTC; None for Go's zero time, year 1, by which Alertmanager means "not yet"."""
    try:
        found = msgspec.convert(sent, datetime)
        if found.tzinfo is None:
            message = f"{place} is {text.quoted(sent, 60)!r}, a time without a zone"
            raise MappingError(message, field=place)
        return None if found.year == 1 else found.astimezone(UTC)
    except (msgspec.ValidationError, OverflowError) as error:
        message = f"{place} is {text.quoted(sent, 60)!r}, expected a time such as 2026-11-21T03:00:00Z"
        raise MappingError(message, field=place) from error


def _links(generator: str, annotations: dict[str, str]) -> tuple[Link, ...]:
    found = {generator.strip(): "Source"}
    for name, title in _LINKS.items():
        found.setdefault(annotations.get(name, "").strip(), title)
    return tuple(
        Link(title=title, url=url) for url, title in found.items() if len(url) <= LONGEST_LINK and _LINK.fullmatch(url)
    )
