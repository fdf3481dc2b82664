"""The audit chain: masked on the way in, proved on the way out, with its head kept outside the database.

`append` is called by everything that decides or acts, inside the transaction of what it records. `verify` needs no
running Toban: it reads an export or the SQLite file, and compares with the head file, the first anchor outside. Signed
checkpoints and the RFC 6962 tree build on `Head` and are not here.
"""

import contextlib
import json
import os
import sqlite3
import tempfile
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn

import sqlalchemy as sa

from toban.errors import InvalidInputError, StorageError
from toban.governance import redaction
from toban.kit import canonical, text
from toban.model.audit import AuditDraft, AuditEvent
from toban.model.record import Record
from toban.store import audit as store

HEAD_FILE = "audit-head.json"
SOUND, TAMPERED, ANCHOR_MISSING = 0, 1, 2


class Head(Record):
    """A place in the chain: the number of an event and its hash. Number 0 is the place before the first event."""

    seq: int = 0
    hash: str = store.GENESIS


class AuditReport(Record):
    """What a verification found. `first_bad` is the number of the first event that is wrong or not there.

    `anchored` is the number up to which an anchor outside the chain vouches for it; None: there was no anchor.
    """

    sound: bool
    count: int
    first_bad: int | None = None
    reason: str = ""
    head: Head = Head()
    anchored: int | None = None

    @property
    def exit_code(self) -> int:
        """0 sound, 1 tampered, 2 no anchor to compare with."""
        if not self.sound:
            return TAMPERED
        return SOUND if self.anchored is not None else ANCHOR_MISSING


def append(connection: sa.Connection, draft: AuditDraft, now: datetime) -> AuditEvent:
    """Record an event, secrets masked, in the caller's transaction: it stands or falls with what it records."""
    masked = {"reason": redaction.mask(draft.reason), "details": redaction.mask_tree(draft.details)}
    return store.append(connection, draft.model_copy(update=masked), now)


# --- proving ---------------------------------------------------------------------------------------------------------


def verify(events: Iterable[dict[str, Any]], *, anchor: Head | None = None, after: Head | None = None) -> AuditReport:
    """Walk the chain in the order given, from its beginning or from a place that is known to be good.

    Finds changed, removed, inserted and reordered events, and with an `anchor` also a rewritten or shortened chain.
    """
    head = start = after or Head()
    count = 0
    if anchor is not None and anchor.seq == start.seq and anchor.hash != start.hash:
        return _bad(head, count, anchor.seq, "the chain does not begin where the anchor says")
    try:
        for event in events:
            reason = _wrong(event, head)
            if reason:
                return _bad(head, count, _first_bad(event, head), reason)
            head = Head(seq=event["seq"], hash=event["hash"])
            count += 1
            if anchor is not None and anchor.seq == head.seq and anchor.hash != head.hash:
                return _bad(head, count, head.seq, "the anchor holds another hash: the chain was written anew")
    except InvalidInputError as error:
        return _bad(head, count, head.seq + 1, error.message)
    if anchor is not None and anchor.seq > head.seq:
        return _bad(head, count, head.seq + 1, f"the anchor knows {anchor.seq} events: the end was cut off")
    return AuditReport(sound=True, count=count, head=head, anchored=anchor.seq if anchor else None)


def _wrong(event: dict[str, Any], head: Head) -> str:
    seq = event.get("seq")
    if not isinstance(seq, int) or isinstance(seq, bool):
        return "this is not an audit event: it has no number"
    if seq > head.seq + 1:
        return f"events {head.seq + 1} to {seq - 1} are not there"
    if seq <= head.seq:
        return f"event {seq} comes after event {head.seq}: inserted, repeated or out of order"
    if event.get("previous_hash") != head.hash:
        return f"event {seq} does not follow the event before it"
    try:
        hashed = store.event_hash(event)
    except (ValueError, TypeError, RecursionError):
        return f"event {seq} is not valid JSON data"
    return "" if hashed == event.get("hash") else f"event {seq} was changed: its hash does not fit"


def _first_bad(event: dict[str, Any], head: Head) -> int:
    seq = event.get("seq")
    return seq if isinstance(seq, int) and seq <= head.seq else head.seq + 1


def _bad(head: Head, count: int, first_bad: int, reason: str) -> AuditReport:
    return AuditReport(sound=False, count=count, first_bad=first_bad, reason=reason, head=head)


def export(connection: sa.Connection, write: Callable[[str], object], *, until: int | None = None) -> int:
    """Write the whole chain as JSON lines, one event a line; how many. All workspaces: a part would not be provable."""
    count = 0
    for event in store.in_order(connection, until=until):
        write(canonical.encode(event).decode() + "\n")
        count += 1
    return count


def read_export(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The events of an export. Raises InvalidInputError naming the line that is none."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            event = json.loads(line, object_pairs_hook=_no_doubles, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise InvalidInputError(f"line {number} is not an audit event: {text.quoted(str(error))}") from error
        if not isinstance(event, dict):
            raise InvalidInputError(f"line {number} is not an audit event")
        yield event


def _no_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):  # a reader that takes the first would see another event than the one that is proved
        raise ValueError("a name is given twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def read_sqlite(path: Path) -> Iterator[dict[str, Any]]:
    """The events of a database file, opened read-only. Raises StorageError when it cannot be read as one."""
    try:
        with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            for row in connection.execute("SELECT * FROM audit ORDER BY seq"):
                yield store.checked(dict(row) | {"record": _record(row)})
    except sqlite3.Error as error:
        raise StorageError(f"{path} cannot be read as Toban's database: {error}") from error


def _record(row: sqlite3.Row) -> dict[str, Any]:
    try:
        found = json.loads(row["record"], object_pairs_hook=_no_doubles, parse_constant=_no_constant)
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidInputError(f"event {row['seq']} is not valid JSON data") from error
    if not isinstance(found, dict):
        raise InvalidInputError(f"event {row['seq']} is not an audit event")
    return found


def verify_file(path: Path, *, anchor: Path | None = None) -> AuditReport:
    """Verify an export or an SQLite file with the head file `anchor`; the report's `exit_code` is the answer.

    Raises StorageError when `path` cannot be read at all.
    """
    known = read_head(anchor) if anchor else None
    try:
        with path.open("rb") as file:
            is_sqlite = file.read(16) == b"SQLite format 3\x00"
        if is_sqlite:
            return verify(read_sqlite(path), anchor=known)
        with path.open(encoding="utf-8", errors="surrogateescape") as lines:
            return verify(read_export(lines), anchor=known)
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}") from error


# --- the anchor ------------------------------------------------------------------------------------------------------


def write_head(path: Path, event: AuditEvent | Head) -> None:
    """Keep the chain's head in a file, atomically and durably; never goes back. Raises StorageError."""
    known = read_head(path)
    if known is not None and known.seq >= event.seq:
        return
    content = canonical.encode({"seq": event.seq, "hash": event.hash})
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # readable by its owner alone
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except OSError as error:
        raise StorageError(f"the audit head {path} cannot be written: {error.strerror}") from error


def read_head(path: Path) -> Head | None:
    """The head kept in a file; None when there is none that can be read."""
    try:
        return Head.model_validate_json(path.read_bytes())
    except (OSError, ValueError):
        return None


def advance_head(connection: sa.Connection, path: Path) -> str | None:
    """Move the head file on to the end of the chain; the reason when the chain does not hold what the file vouches for.

    Called after commits and at start. On a reason nothing is written: the file is the proof.
    """
    known = read_head(path)
    if known is None and path.exists():
        return f"the audit head {path.name} is there and cannot be read: verify the chain before moving it away"
    if known is not None and store.hash_at(connection, known.seq) != known.hash:
        return f"the audit chain does not hold the event {known.seq} that {path.name} vouches for: it was tampered with"
    seq, hash_ = store.head(connection)
    if seq:
        write_head(path, Head(seq=seq, hash=hash_))
    return None
