"""The audit chain holds what was written, and shows what was done to it afterwards."""

import json
import random
import sqlite3
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from toban.errors import StorageError
from toban.governance import audit
from toban.governance.audit import Head
from toban.model.audit import AuditDraft, AuditResult
from toban.store import audit as rows


def draft(**changes):
    fields = {
        "workspace": "default",
        "actor": "ana",
        "actor_type": "human",
        "operation": "change.approve",
        "subject": "CHG-0001",
        "result": AuditResult.ALLOWED,
    }
    return AuditDraft(**fields | changes)


def fill(database, now, count=5):
    def write(connection):
        return [
            audit.append(
                connection, draft(subject=f"CHG-{n:04d}", details={"n": n, "f": 0.5}), now + timedelta(seconds=n)
            )
            for n in range(1, count + 1)
        ]

    return database.write_now(write)


def exported(database):
    lines = []
    database.read_now(audit.export, lines.append)
    return [json.loads(line) for line in lines]


def test_the_first_event_follows_64_zeros_and_each_next_one_its_predecessor(database, now):
    first, second, *_ = fill(database, now)
    assert (first.seq, first.id, first.previous_hash) == (1, "AUD-0001", "0" * 64)
    assert (second.seq, second.id, second.previous_hash) == (2, "AUD-0002", first.hash)


def test_an_untouched_chain_is_sound_and_names_its_head(database, now):
    last = fill(database, now)[-1]
    report = audit.verify(exported(database))
    assert (report.sound, report.count, report.head) == (True, 5, Head(seq=5, hash=last.hash))


def test_events_written_in_several_transactions_form_one_chain(database, now):
    fill(database, now, 2)
    fill(database, now, 2)
    assert audit.verify(exported(database)).count == 4


def test_a_transaction_that_rolls_back_leaves_no_event_and_no_gap(database, now):
    fill(database, now, 1)

    def fail(connection):
        audit.append(connection, draft(), now)
        raise RuntimeError("the effect was refused")

    with pytest.raises(RuntimeError):
        database.write_now(fail)
    fill(database, now, 1)
    events = exported(database)
    assert audit.verify(events).sound
    assert [event["id"] for event in events] == ["AUD-0001", "AUD-0002"]


def test_writers_in_several_threads_do_not_fork_the_chain(database, now):
    def write():
        for _ in range(10):
            database.write_now(audit.append, draft(), now)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert audit.verify(exported(database)).count == 40


@pytest.mark.parametrize(
    "field", sorted((*rows.COLUMNS, "reason", "details", "actor_type", "request_id", "session_id"))
)
def test_a_change_of_any_field_is_found_at_its_event(database, now, field):
    fill(database, now)
    events = exported(database)
    old = events[2][field]
    events[2][field] = {"n": 9} if field == "details" else old + 10 if field == "seq" else "f" * 64
    report = audit.verify(events)
    assert (report.sound, report.first_bad, report.exit_code) == (False, 3, audit.TAMPERED)


def test_a_field_that_was_put_in_is_found(database, now):
    fill(database, now)
    events = exported(database)
    events[1]["extra"] = 1
    assert audit.verify(events).first_bad == 2


def test_a_removed_event_is_named(database, now):
    fill(database, now)
    events = exported(database)
    del events[2]
    report = audit.verify(events)
    assert (report.first_bad, report.reason) == (3, "events 3 to 3 are not there")


def test_a_removed_beginning_is_named(database, now):
    fill(database, now)
    assert audit.verify(exported(database)[2:]).first_bad == 1


def test_events_in_another_order_are_found(database, now):
    fill(database, now)
    events = exported(database)
    events[1], events[2] = events[2], events[1]
    assert audit.verify(events).first_bad == 2


def test_an_event_that_stands_twice_is_found(database, now):
    fill(database, now)
    events = exported(database)
    events.insert(3, events[2])
    report = audit.verify(events)
    assert (report.sound, report.first_bad) == (False, 3)


def test_an_inserted_event_with_a_good_hash_of_its_own_is_found(database, now):
    fill(database, now)
    events = exported(database)
    forged = events[2] | {"seq": 4, "previous_hash": events[2]["hash"]}
    forged["hash"] = rows.event_hash(forged)
    events.insert(3, forged)
    assert audit.verify(events).first_bad == 4


def test_a_chain_whose_end_was_cut_off_is_sound_alone_but_not_against_its_anchor(database, now):
    last = fill(database, now)[-1]
    events = exported(database)[:3]
    anchor = Head(seq=last.seq, hash=last.hash)
    assert audit.verify(events).sound
    report = audit.verify(events, anchor=anchor)
    assert (report.sound, report.first_bad, report.exit_code) == (False, 4, audit.TAMPERED)


def test_a_chain_that_was_written_anew_from_the_middle_is_found_by_its_anchor(database, now):
    fill(database, now)
    events = exported(database)
    anchor = Head(seq=5, hash=events[4]["hash"])
    previous = events[1]["hash"]
    for event in events[2:]:
        event["actor"] = "mallory"
        event["previous_hash"] = previous
        previous = event["hash"] = rows.event_hash(event)
    assert audit.verify(events).sound
    report = audit.verify(events, anchor=anchor)
    assert (report.sound, report.first_bad) == (False, 5)


def test_a_chain_that_grew_beyond_its_anchor_is_sound(database, now):
    events = fill(database, now)
    report = audit.verify(exported(database), anchor=Head(seq=3, hash=events[2].hash))
    assert (report.sound, report.anchored, report.exit_code) == (True, 3, audit.SOUND)


def test_a_sound_chain_without_an_anchor_says_so_by_its_exit_code(database, now):
    fill(database, now)
    assert audit.verify(exported(database)).exit_code == audit.ANCHOR_MISSING


def test_a_verification_can_go_on_from_a_place_known_to_be_good(database, now):
    events = fill(database, now)
    known = Head(seq=3, hash=events[2].hash)
    assert audit.verify(exported(database)[3:], after=known).count == 2
    assert not audit.verify(exported(database)[3:], after=Head(seq=3, hash="1" * 64)).sound


@pytest.mark.parametrize("event", [{}, {"seq": "1"}, {"seq": True}, {"seq": 1}, {"seq": 1, "previous_hash": "0" * 64}])
def test_what_is_no_event_at_all_is_tampering_and_no_crash(event):
    assert audit.verify([event]).first_bad == 1


@pytest.mark.parametrize(
    "line",
    ["[1]", "no json", '{"seq": 1, "seq": 2}', '{"seq": NaN}', "[" * 100_000],
    ids=["list", "text", "double", "nan", "deep"],
)
def test_a_line_that_is_no_event_is_tampering_and_no_crash(database, now, tmp_path, line):
    fill(database, now, 1)
    path = tmp_path / "export.jsonl"
    with path.open("w") as file:
        database.read_now(audit.export, file.write)
        file.write(line + "\n")
    report = audit.verify_file(path)
    assert (report.sound, report.first_bad) == (False, 2)


def test_an_export_verifies_offline_with_its_head_file(database, now, tmp_path):
    last = fill(database, now)[-1]
    path, head = tmp_path / "export.jsonl", tmp_path / audit.HEAD_FILE
    with path.open("w") as file:
        assert database.read_now(audit.export, file.write) == 5
    assert audit.verify_file(path, anchor=head).exit_code == audit.ANCHOR_MISSING
    audit.write_head(head, last)
    assert audit.verify_file(path, anchor=head).exit_code == audit.SOUND


def test_the_database_file_verifies_read_only_while_toban_writes_to_it(database, now, tmp_path):
    fill(database, now)
    report = audit.verify_file(tmp_path / "toban.db")
    assert (report.sound, report.count) == (True, 5)


@pytest.mark.parametrize("column", rows.COLUMNS)
def test_a_forged_column_is_found_even_if_the_record_beside_it_is_whole(database, now, tmp_path, column):
    fill(database, now)
    value = 77 if column == "seq" else "forged"
    with sqlite3.connect(tmp_path / "toban.db") as connection:
        connection.execute(f"UPDATE audit SET {column} = ? WHERE seq = 3", (value,))
    connection.close()
    assert audit.verify_file(tmp_path / "toban.db").first_bad == 3


def test_a_forged_record_is_found_even_if_the_columns_beside_it_are_whole(database, now, tmp_path):
    fill(database, now)
    with sqlite3.connect(tmp_path / "toban.db") as connection:
        connection.execute("UPDATE audit SET record = replace(record, '\"n\": 3', '\"n\": 4') WHERE seq = 3")
    connection.close()
    assert audit.verify_file(tmp_path / "toban.db").first_bad == 3


@pytest.mark.parametrize("record", ["[]", "{", "null"])
def test_a_record_that_is_no_json_object_is_tampering(database, now, tmp_path, record):
    fill(database, now)
    with sqlite3.connect(tmp_path / "toban.db") as connection:
        connection.execute("UPDATE audit SET record = ? WHERE seq = 2", (record,))
    connection.close()
    assert audit.verify_file(tmp_path / "toban.db").first_bad == 2


def test_a_file_that_is_not_there_is_a_clear_error(tmp_path):
    with pytest.raises(StorageError, match="cannot be read"):
        audit.verify_file(tmp_path / "nothing.db")


def test_an_sqlite_file_of_something_else_is_a_clear_error(tmp_path):
    with sqlite3.connect(tmp_path / "other.db") as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    with pytest.raises(StorageError, match="cannot be read as Toban's database"):
        audit.verify_file(tmp_path / "other.db")


def test_secrets_are_masked_before_they_enter_the_chain(database, now):
    secret = draft(reason="used password=hunter2", details={"params": {"api_token": "abc123def456"}})
    event = database.write_now(audit.append, secret, now)
    assert event.reason == "used password=[masked]"
    assert event.details == {"params": {"api_token": "[masked]"}}


def test_details_that_json_cannot_carry_are_stored_as_text_and_verify(database, now, tmp_path):
    odd = {"nan": float("nan"), "big": 2**70, "half": "\ud800", "null": "a\x00b", "list": [(1, 2)]}
    database.write_now(audit.append, draft(details=odd), now)
    assert audit.verify_file(tmp_path / "toban.db").count == 1


# --- the head file ---------------------------------------------------------------------------------------------------


def test_the_head_file_is_written_whole_for_its_owner_alone_and_never_goes_back(database, now, tmp_path):
    events = fill(database, now)
    path = tmp_path / audit.HEAD_FILE
    audit.write_head(path, events[3])
    audit.write_head(path, events[1])
    assert audit.read_head(path) == Head(seq=4, hash=events[3].hash)
    assert path.stat().st_mode & 0o777 == 0o600
    assert sorted(tmp_path.glob(".audit*")) == []


def test_a_head_file_that_cannot_be_written_is_a_storage_error(database, now, tmp_path):
    event = fill(database, now, 1)[0]
    with pytest.raises(StorageError):
        audit.write_head(tmp_path / "missing" / audit.HEAD_FILE, event)


@pytest.mark.parametrize("content", [b"", b"{}x", b'{"seq": "a"}', b"\xff"])
def test_a_garbled_head_file_counts_as_missing_and_is_not_written_over(database, now, tmp_path, content):
    fill(database, now)
    path = tmp_path / audit.HEAD_FILE
    path.write_bytes(content)
    assert audit.read_head(path) is None
    assert "cannot be read" in database.read_now(audit.advance_head, path)
    assert path.read_bytes() == content


def test_advancing_moves_the_head_file_to_the_end_of_the_chain(database, now, tmp_path):
    path = tmp_path / audit.HEAD_FILE
    assert database.read_now(audit.advance_head, path) is None
    assert not path.exists()
    last = fill(database, now)[-1]
    assert database.read_now(audit.advance_head, path) is None
    assert audit.read_head(path) == Head(seq=5, hash=last.hash)


def test_advancing_over_a_chain_that_lost_its_end_says_so_and_keeps_the_proof(database, now, tmp_path):
    last = fill(database, now)[-1]
    path = tmp_path / audit.HEAD_FILE
    audit.write_head(path, last)
    with sqlite3.connect(tmp_path / "toban.db") as connection:
        connection.execute("DELETE FROM audit WHERE seq > 2")
    connection.close()
    fill(database, now, 9)  # later events must not cover it up
    assert "tampered" in database.read_now(audit.advance_head, path)
    assert audit.read_head(path) == Head(seq=5, hash=last.hash)


# --- searching -------------------------------------------------------------------------------------------------------


def test_searching_finds_by_each_criterion_alone(database, now):
    def write(connection):
        audit.append(connection, draft(actor="bob", subject="CHG-7", operation="x"), now)
        audit.append(connection, draft(actor="ana", subject="CHG-8", operation="y"), now + timedelta(minutes=1))
        audit.append(connection, draft(workspace="other", actor="ana"), now)

    database.write_now(write)

    def found(**criteria):
        events, _ = database.read_now(rows.search, rows.AuditQuery("default", **criteria))
        return [event.seq for event in events]

    assert found() == [2, 1]
    assert found(actor="bob") == [1]
    assert found(subject="CHG-8") == [2]
    assert found(operation="y") == [2]
    assert found(since=now + timedelta(seconds=1)) == [2]
    assert found(until=now + timedelta(seconds=1)) == [1]
    assert found(actor="nobody") == []


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_paging_gives_every_event_once_newest_first(database, now, limit):
    fill(database, now, 7)
    seen, before = [], None
    for _ in range(8):
        events, before = database.read_now(rows.search, rows.AuditQuery("default"), before=before, limit=limit)
        seen += [event.seq for event in events]
        if before is None:
            break
    assert seen == [7, 6, 5, 4, 3, 2, 1]


def test_reading_in_order_crosses_batches_and_stops_where_told(database, now, monkeypatch):
    monkeypatch.setattr(rows, "_BATCH", 3)
    fill(database, now, 7)
    assert [event["seq"] for event in database.read_now(lambda c: list(rows.in_order(c)))] == [1, 2, 3, 4, 5, 6, 7]
    assert [event["seq"] for event in database.read_now(lambda c: list(rows.in_order(c, after=2, until=5)))] == [
        3,
        4,
        5,
    ]


def test_random_damage_to_an_export_is_always_found(database, now, tmp_path: Path):
    fill(database, now, 4)
    lines = []
    database.read_now(audit.export, lines.append)
    whole = "".join(lines)
    chance = random.Random(7)
    path = tmp_path / "export.jsonl"
    anchor = audit.verify(exported(database)).head
    audit.write_head(tmp_path / "head", anchor)
    for _ in range(200):
        place = chance.randrange(len(whole) - 1)
        other = chance.choice('abc019"{}:,\n ')
        if whole[place] == other:
            continue
        damaged = whole[:place] + other + whole[place + 1 :]
        path.write_text(damaged)
        same = [json.loads(line) for line in whole.splitlines()]
        try:
            if [json.loads(line) for line in damaged.splitlines() if line.strip()] == same:
                continue
        except ValueError:
            pass
        assert not audit.verify_file(path, anchor=tmp_path / "head").sound, (place, other)
