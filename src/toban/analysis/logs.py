"""What a container said before it ended: missing variables, callees that do not answer, last words.

Called by `flow.investigate` with the lines of crashing containers. Lines are outside text: they are quoted, not obeyed.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from toban.kit import text
from toban.model import finding
from toban.model.finding import Finding, FindingKind
from toban.model.service import ObjectRef

_NAME = r"[\"'`]?(?P<name>[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|[A-Z]{4,})[\"'`]?"
_VARIABLE = r"(?i:environment variable|env(?:ironment)? var|env)s?:?"
_ABSENT = r"(?i:not set|missing|unset|required|undefined|not defined|not found|set\b|empty)"
_ENVIRONMENT = tuple(
    re.compile(pattern)
    for pattern in (
        rf"KeyError: {_NAME}\s*$",
        rf"{_VARIABLE} {_NAME} (?i:is |was |must be )?{_ABSENT}",
        rf"(?i:missing|required|undefined|unset|no)(?i: required| mandatory)? {_VARIABLE} {_NAME}",
        rf"{_NAME}:? (?i:unbound variable|parameter not set|parameter null or not set)",
        rf"{_NAME} (?i:is not set|is not defined|must be set|is required|not set in (?:the )?environment)",
        rf"(?i:required key) {_NAME} (?i:missing value)",
    )
)
_HOST = r"[\"'`]?(?P<host>[a-zA-Z0-9](?:[a-zA-Z0-9.\-]*[a-zA-Z0-9])?)[\"'`]?"
_TO = r"(?i:connection to server at|connection to|connect to|connecting to)"
_SILENT = r"(?i:refused|failed|timed out|timeout|unreachable|could not|unable|reset)"
_DIALED = r"(?i:(?:connect: )?connection refused|i/o timeout|no such host|connect: no route to host)"
_CALLEE = tuple(
    re.compile(pattern)
    for pattern in (
        rf"{_TO} {_HOST}(?:[:, ]|$).*?{_SILENT}",
        rf"(?i:dial (?:tcp|udp)):? (?:lookup )?{_HOST}(?::\d+)?(?: on \S+)?: {_DIALED}",
        rf"(?:ECONNREFUSED|ENOTFOUND|ETIMEDOUT|EHOSTUNREACH|EAI_AGAIN) {_HOST}",
        rf"(?i:could not (?:connect to|resolve host|translate host name)):? {_HOST}",
    )
)
_LONGEST = 2_000
_BAD = re.compile(
    r"\b(?i:fatal|panic|error|exception|traceback|critical|failed|fail|cannot|refused|killed)\b|\w+Error\b"
)


@dataclass(frozen=True)
class Source:
    """Whose lines they are and how they were read."""

    subject: ObjectRef
    service: str | None
    pod: str
    query: str
    observed_at: datetime


def findings(lines: Sequence[str], source: Source, *, peers: Mapping[str, str]) -> list[Finding]:
    """`log.env_missing`, `log.callee_failed` and `log.last_words`, each at most once a name.

    `peers` maps host names (`cart`, `cart.shop.svc`) to services; other hosts are kept as they were written.
    """
    found: dict[tuple[str, str], Finding] = {}
    for line in (entry[:_LONGEST] for entry in lines):
        for code, name, facts in _read(line, peers):
            found.setdefault((code, name), _finding(source, code, facts, line))
    last = next((line for line in reversed(lines) if _BAD.search(line[:_LONGEST])), None)
    if last is not None and not found:
        found["log.last_words", ""] = _finding(source, "log.last_words", {}, last)
    return [found[key] for key in sorted(found)]


def missing_variable(line: str) -> str | None:
    """The environment variable that a line complains of not having; None for other lines."""
    for form in _ENVIRONMENT:
        hit = form.search(line)
        if hit:
            return hit["name"]
    return None


def failed_callee(line: str) -> str | None:
    """The host that a line could not reach; None for other lines."""
    for form in _CALLEE:
        hit = form.search(line)
        if hit:
            return hit["host"].rstrip(".")
    return None


def _read(line: str, peers: Mapping[str, str]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    variable = missing_variable(line)
    if variable:
        yield "log.env_missing", variable, {"missing_key": variable}
    host = None if variable else failed_callee(line)
    if host:
        peer = peers.get(host) or peers.get(host.split(".")[0])
        yield "log.callee_failed", peer or host, {"host": host, "peer": peer}


def _finding(source: Source, code: str, facts: dict[str, Any], line: str) -> Finding:
    subject = source.subject
    place = f"Container {subject.container} of {subject.model_copy(update={'container': ''})}"
    statements = {
        "log.env_missing": f"{place} says that environment variable {facts.get('missing_key')} is not set.",
        "log.callee_failed": f"{place} says that it cannot reach {facts.get('peer') or facts.get('host')}.",
        "log.last_words": f"{place} wrote an error before it ended.",
    }
    return finding.make(
        kind=FindingKind.LOG,
        code=code,
        subject=subject,
        service=source.service,
        statement=statements[code],
        facts={
            "namespace": subject.namespace,
            "workload_kind": subject.kind,
            "workload": subject.name,
            "container": subject.container,
            "pod": source.pod,
            **facts,
        },
        quote=text.quoted(line),
        source="kubernetes",
        query=source.query,
        observed_at=source.observed_at,
    )
