"""The store: migrations, ids, compare-and-set, the journal, group commit, and what a broken database looks like."""

import asyncio
import sqlite3
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from toban.errors import ConflictError, InvalidTransitionError, NotFoundError, OverloadedError, StorageError
from toban.model.alert import Severity
from toban.model.environment import Environment
from toban.model.incident import Incident, IncidentState
from toban.model.timeline import Lane, Note
from toban.store import counters, incidents, journal, migrate, timeline
from toban.store.database import Database, make_engine
from toban.store.groupcommit import GroupCommit
from toban.store.journal import Delivery

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


def incident(number=1, **changes):
    return Incident(
        id=f"INC-{number:04d}", workspace="default", title="t", state=IncidentState.NEW, severity=Severity.WARNING,
        environment=Environment.STAGING, service="cart", started_at=NOW, opened_at=NOW, last_alert_at=NOW,
    ).model_copy(update=changes)  # fmt: skip


def delivery(body=b"{}"):
    return Delivery("default", "alertmanager", NOW, body)


def test_migrations_make_exactly_the_tables_of_the_schema_and_remove_them_again(tmp_path):
    engine = make_engine(f"sqlite:///{tmp_path / 'toban.db'}")
    with engine.begin() as connection:
        migrate.migrate(connection)
    assert migrate.differences(engine) == []
    migrate.upgrade(engine)
    migrate.downgrade(engine)
    assert sa.inspect(engine).get_table_names() == ["alembic_version"]
    migrate.upgrade(engine)
    assert migrate.differences(engine) == []
    engine.dispose()


def test_an_empty_database_gets_the_same_tables_at_once_as_by_migrating(tmp_path):
    def tables(name, make):
        engine = make_engine(f"sqlite:///{tmp_path / name}")
        make(engine)
        with engine.connect() as connection:
            rows = connection.exec_driver_sql("select name, sql from sqlite_master order by name").all()
        engine.dispose()
        return {row[0] for row in rows}

    def by_steps(engine):
        with engine.begin() as connection:
            migrate.migrate(connection)

    assert tables("a.db", migrate.upgrade) == tables("b.db", by_steps)


def test_a_second_start_migrates_nothing(tmp_path):
    engine = make_engine(f"sqlite:///{tmp_path / 'toban.db'}")
    migrate.upgrade(engine)
    migrate.upgrade(engine)
    assert migrate.differences(engine) == []
    engine.dispose()


def test_a_database_of_a_newer_toban_is_refused_and_left_alone(tmp_path):
    engine = make_engine(f"sqlite:///{tmp_path / 'toban.db'}")
    migrate.upgrade(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("update alembic_version set version_num = '9999'")
    with pytest.raises(StorageError, match="newer Toban"):
        migrate.upgrade(engine)
    engine.dispose()


def test_a_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / "toban.db").write_text("not a database, but long enough to look at" * 40)
    engine = make_engine(f"sqlite:///{tmp_path / 'toban.db'}")
    with pytest.raises(StorageError, match=r"toban\.db"):
        migrate.upgrade(engine)
    engine.dispose()


def test_ids_count_up_per_prefix_and_a_rolled_back_one_is_given_again(database):
    assert database.write_now(counters.take, "INC") == "INC-0001"

    def fail(connection):
        counters.take(connection, "INC")
        raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        database.write_now(fail)
    assert database.write_now(counters.take, "INC") == "INC-0002"
    assert database.write_now(counters.take, "CHG") == "CHG-0001"


def test_two_updates_from_the_same_reading_conflict(database):
    database.write_now(incidents.insert, incident())
    read = database.read_now(incidents.get, "default", "INC-0001")
    database.write_now(incidents.update, read, title="first")
    with pytest.raises(ConflictError):
        database.write_now(incidents.update, read, title="second")
    assert database.read_now(incidents.get, "default", "INC-0001").title == "first"


def test_a_move_that_the_state_table_forbids_is_refused(database):
    database.write_now(incidents.insert, incident())
    with pytest.raises(InvalidTransitionError):
        database.write_now(incidents.move, "default", "INC-0001", IncidentState.CLOSED)


def test_another_workspaces_incident_is_not_found(database):
    database.write_now(incidents.insert, incident())
    with pytest.raises(NotFoundError):
        database.read_now(incidents.get, "other", "INC-0001")


def test_pages_of_incidents_follow_each_other_without_gap_or_double(database):
    for number in range(1, 8):
        database.write_now(incidents.insert, incident(number, opened_at=NOW.replace(minute=number)))
    seen: list[str] = []
    before = None
    while page := database.read_now(incidents.page, "default", open_only=True, limit=3, before=before):
        seen += [one.id for one in page]
        before = seen[-1]
    assert seen == [f"INC-{number:04d}" for number in range(7, 0, -1)]


def test_a_note_said_once_is_not_said_twice(database):
    database.write_now(incidents.insert, incident())
    note = Note(at=NOW, lane=Lane.ANALYSIS, kind="k", text="t", once="only")
    for _ in range(2):
        database.write_now(timeline.append, "default", "INC-0001", note)
    assert len(database.read_now(timeline.after, "default", 0)) == 1


def test_timeline_numbers_grow_in_the_order_of_writing(database):
    for number in range(5):
        note = Note(at=NOW, lane=Lane.ANALYSIS, kind="k", text=str(number))
        database.write_now(timeline.append, "default", "INC-0001", note)
    entries = database.read_now(timeline.after, "default", 2)
    assert [entry.seq for entry in entries] == [3, 4, 5]
    assert [entry.text for entry in entries] == ["2", "3", "4"]


def test_a_dead_letter_keeps_its_body_and_can_be_replayed(database):
    database.write_now(journal.append, [delivery(b'{"alerts": 7}')])
    waiting = database.read_now(journal.waiting, 10)
    letter = database.write_now(journal.bury, waiting[0], field="alerts", problem="not a list", now=NOW)
    assert database.read_now(journal.waiting, 10) == []
    listed = database.read_now(journal.dead_letters, "default")
    assert (listed[0]["id"], listed[0]["field"], listed[0]["body"]) == (letter, "alerts", '{"alerts": 7}')
    database.write_now(journal.replay, "default", letter, NOW)
    assert database.read_now(journal.waiting, 10)[0].body == b'{"alerts": 7}'
    with pytest.raises(NotFoundError):
        database.write_now(journal.replay, "other", letter, NOW)


async def test_group_commit_keeps_the_order_and_writes_many_in_one_transaction(database):
    groups: list[int] = []

    def write(connection, items):
        groups.append(len(items))
        journal.append(connection, items)

    commit: GroupCommit[Delivery] = GroupCommit(database, write)
    await asyncio.gather(*(commit.submit(delivery(str(number).encode())) for number in range(300)))
    await commit.close()
    stored = [one.body for one in database.read_now(journal.waiting, 500)]
    assert stored == [str(number).encode() for number in range(300)]
    assert len(groups) < 30


async def test_group_commit_refuses_what_it_cannot_hold_and_stores_nothing_of_it(database):
    commit: GroupCommit[Delivery] = GroupCommit(database, journal.append, limit=3)
    results = await asyncio.gather(
        *(commit.submit(delivery(str(number).encode())) for number in range(10)), return_exceptions=True
    )
    refused = [number for number, result in enumerate(results) if isinstance(result, OverloadedError)]
    assert refused
    stored = {int(one.body) for one in database.read_now(journal.waiting, 500)}
    assert stored == set(range(10)) - set(refused)


async def test_group_commit_bounds_bytes_too(database):
    commit: GroupCommit[Delivery] = GroupCommit(
        database, journal.append, size=lambda one: len(one.body), size_limit=100
    )
    with pytest.raises(OverloadedError):
        await commit.submit(delivery(b"x" * 101))


async def test_a_locked_database_refuses_in_words_and_takes_again_when_it_is_free(database, tmp_path):
    commit: GroupCommit[Delivery] = GroupCommit(database, journal.append)
    blocker = sqlite3.connect(tmp_path / "toban.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(StorageError, match="locked"):
        await commit.submit(delivery())
    assert "locked" in commit.problem
    blocker.execute("ROLLBACK")
    blocker.close()
    await commit.submit(delivery())
    assert commit.problem == ""
    assert len(database.read_now(journal.waiting, 10)) == 1


async def test_a_full_disk_is_named_and_nothing_is_half_stored(database):
    def shrink(connection):
        used = connection.exec_driver_sql("pragma page_count").scalar_one()
        connection.exec_driver_sql(f"pragma max_page_count = {used + 1}")

    database.write_now(shrink)
    event_body = b"x" * 200_000
    with pytest.raises(StorageError, match="full"):
        await database.write(journal.append, [delivery(event_body)])
    assert database.read_now(journal.waiting, 10) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    engine = make_engine(f"sqlite:///{tmp_path / 'toban.db'}")
    migrate.upgrade(engine)
    engine.dispose()
    opened = Database(make_engine(f"sqlite:///file:{tmp_path / 'toban.db'}?mode=ro&uri=true"))
    with pytest.raises(StorageError, match="cannot be written"):
        opened.write_now(journal.append, [delivery()])
    opened.close()
