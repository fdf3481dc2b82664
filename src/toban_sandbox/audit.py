"""Keeps the record of requests to the simulated cluster: the latest in memory, all of them in `audit.jsonl`.

Filled by the Kubernetes API, read through the control API.
"""

from __future__ import annotations

import json
import os
from collections import deque
from datetime import datetime
from pathlib import Path
from typing import Any

KEPT = 20_000
Json = dict[str, Any]


class AuditLog:
    """Entries numbered from 1."""

    def __init__(self, path: Path) -> None:
        self._entries: deque[Json] = deque(maxlen=KEPT)
        self._next = 1
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._file = os.fdopen(descriptor, "w", encoding="utf-8", buffering=1)

    def add(self, entry: Json) -> None:
        numbered = {"seq": self._next, **entry}
        self._next += 1
        self._entries.append(numbered)
        self._file.write(json.dumps(numbered, default=_plain) + "\n")

    def since(self, number: int, *, limit: int = 1000) -> list[Json]:
        """Entries with a greater number, oldest first."""
        return [entry for entry in self._entries if entry["seq"] > number][:limit]

    def close(self) -> None:
        self._file.close()


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)
