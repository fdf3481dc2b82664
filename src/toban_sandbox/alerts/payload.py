"""Alertmanager's webhook message, version 4, and its fingerprints and group keys. Called by `notifications`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from toban_sandbox.alerts.evaluation import timestamp
from toban_sandbox.promql.labels import Labels, quote

NEVER = "0001-01-01T00:00:00Z"
_FNV_OFFSET, _FNV_PRIME, _64_BITS = 0xCBF29CE484222325, 0x100000001B3, (1 << 64) - 1


def fingerprint(labels: Labels) -> str:
    """The label set's FNV-1a hash in 16 hexadecimal digits, as Alertmanager computes it."""
    state = _FNV_OFFSET
    for byte in b"".join(f"{name}\0{value}\0".encode().replace(b"\0", b"\xff") for name, value in sorted(labels)):
        state = ((state ^ byte) * _FNV_PRIME) & _64_BITS
    return f"{state:016x}"


@dataclass(frozen=True)
class Notice:
    """One alert as a receiver is told of it; `ends_at` is None while it fires. Times are Unix seconds."""

    labels: Labels
    annotations: Mapping[str, str]
    starts_at: float
    ends_at: float | None
    generator_url: str

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.labels)

    @property
    def status(self) -> str:
        return "firing" if self.ends_at is None else "resolved"


def group_key(labels: Labels) -> str:
    inner = ", ".join(f"{name}={quote(value)}" for name, value in labels)
    return f"{{}}:{{{inner}}}"


def message(receiver: str, group: Labels, notices: Sequence[Notice], *, external_url: str) -> dict[str, Any]:
    """The whole webhook body."""
    ordered = sorted(notices, key=lambda notice: notice.labels)
    return {
        "receiver": re.sub(r"[^\w.-]", "_", receiver),
        "status": "firing" if any(notice.ends_at is None for notice in notices) else "resolved",
        "alerts": [_alert(notice) for notice in ordered],
        "groupLabels": dict(group),
        "commonLabels": _shared(dict(notice.labels) for notice in notices),
        "commonAnnotations": _shared(notice.annotations for notice in notices),
        "externalURL": external_url,
        "version": "4",
        "groupKey": group_key(group),
        "truncatedAlerts": 0,
    }


def _alert(notice: Notice) -> dict[str, Any]:
    return {
        "status": notice.status,
        "labels": dict(notice.labels),
        "annotations": dict(notice.annotations),
        "startsAt": timestamp(notice.starts_at),
        "endsAt": NEVER if notice.ends_at is None else timestamp(notice.ends_at),
        "generatorURL": notice.generator_url,
        "fingerprint": notice.fingerprint,
    }


def _shared(mappings: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """The pairs that all mappings have."""
    listed = list(mappings)
    first = listed[0] if listed else {}
    return {key: value for key, value in first.items() if all(other.get(key) == value for other in listed[1:])}
