"""`toban audit verify` without a server: exit codes 0, 1 and 2 as the report has them."""

import json
from datetime import UTC, datetime

import pytest

from toban.governance import audit
from toban.model.audit import AuditDraft, AuditResult
from toban.store import migrate
from toban.store.database import Database, make_engine

NOW = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture
def record(home):
    """A state folder with three events and their head; the export's lines."""
    database = Database(make_engine(f"sqlite:///{home / 'toban.db'}"))
    migrate.upgrade(database.engine)
    lines = []
    with database.engine.begin() as connection:
        for number in range(3):
            draft = AuditDraft(
                workspace="default", actor="you", actor_type="human", operation="change.vote",
                subject=f"CHG-000{number}", result=AuditResult.ALLOWED,
            )  # fmt: skip
            audit.append(connection, draft, NOW)
        audit.export(connection, lines.append)
        audit.advance_head(connection, home / audit.HEAD_FILE)
    database.close()
    return lines


def test_the_state_folders_record_is_proved(toban, record):
    assert toban("audit", "verify") == (0, "sound: 3 events, anchored up to event 3\n", "")


def test_an_export_without_an_anchor_is_sound_as_far_as_anybody_can_tell(toban, record, tmp_path, home):
    file = tmp_path / "export.jsonl"
    file.write_text("".join(record))
    code, out, err = toban("audit", "verify", file)
    assert (code, out) == (2, "sound: 3 events, no anchor to compare with\n")
    assert "--anchor" in err
    assert toban("audit", "verify", file, "--anchor", home / audit.HEAD_FILE)[0] == 0


def test_the_first_bad_event_is_named(toban, record, tmp_path):
    file = tmp_path / "export.jsonl"
    file.write_text("".join(record).replace("CHG-0001", "CHG-0009"))
    code, out, err = toban("audit", "verify", file)
    assert (code, out) == (1, "")
    assert "tampered at event 2" in err
    code, out, _ = toban("audit", "verify", file, "-o", "json")
    assert (code, json.loads(out)["first_bad"]) == (1, 2)


def test_a_cut_off_end_is_found_by_the_anchor(toban, record, tmp_path, home):
    file = tmp_path / "export.jsonl"
    file.write_text("".join(record[:2]))
    code, _, err = toban("audit", "verify", file, "--anchor", home / audit.HEAD_FILE)
    assert code == 1
    assert "cut off" in err


def test_what_is_not_there_is_told(toban, tmp_path):
    code, _, err = toban("audit", "verify")
    assert code == 3
    assert "toban.db" in err
    broken = tmp_path / "head.json"
    broken.write_text("{")
    (tmp_path / "export.jsonl").write_text("")
    code, _, err = toban("audit", "verify", tmp_path / "export.jsonl", "--anchor", broken)
    assert code == 1
    assert "anchor" in err
