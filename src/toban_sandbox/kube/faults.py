"""Faults of the API server itself, switched on by tests of clients: refusals, silence, and answers that get lost.

Filled by the control API and by tests; consulted by `kube.api` once a request is authenticated.
"""

import threading
from dataclasses import dataclass
from typing import Literal

FaultKind = Literal["status", "hang", "drop_after"]


@dataclass(frozen=True)
class FaultRule:
    """What goes wrong, for which requests, how often.

    `verb` and `resource` match everything by `*`; `kind` is `status` (answer `status`), `hang` (never answer) or
    `drop_after` (do it, then cut the connection without an answer); `times` None means until cleared;
    `retry_after` is in seconds.
    """

    verb: str = "*"
    resource: str = "*"
    kind: FaultKind = "status"
    status: int = 500
    times: int | None = None
    retry_after: int | None = None

    def matches(self, verb: str, resource: str) -> bool:
        return self.verb in {"*", verb} and self.resource in {"*", resource}


class Faults:
    """The switches that are on now; the oldest rule that matches is used first."""

    def __init__(self) -> None:
        self._rules: list[tuple[FaultRule, list[int]]] = []
        self._lock = threading.Lock()

    def add(self, rule: FaultRule) -> None:
        with self._lock:
            self._rules.append((rule, [-1 if rule.times is None else rule.times]))

    def clear(self) -> None:
        with self._lock:
            self._rules.clear()

    def rules(self) -> list[FaultRule]:
        """The rules that can still strike."""
        with self._lock:
            return [rule for rule, _ in self._rules]

    def take(self, verb: str, resource: str) -> FaultRule | None:
        """The fault that strikes this request, counted down, or None."""
        with self._lock:
            for index, (rule, left) in enumerate(self._rules):
                if rule.matches(verb, resource):
                    left[0] -= 1
                    if left[0] == 0:
                        del self._rules[index]
                    return rule
        return None
