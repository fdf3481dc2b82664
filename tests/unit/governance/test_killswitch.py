"""The kill switch: one person engages it, two release it, and a file does without the database."""

import os
from datetime import timedelta

import pytest

from toban.errors import InvalidInputError, NotFoundError, PermissionDeniedError, StorageError
from toban.governance import killswitch
from toban.model.environment import Environment
from toban.model.security import PrincipalType
from toban.store import audit, halts

RIGHTS = ("halts.engage", "halts.release")


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def look(database, home):
    """`look()` is the check of one action; keywords change what is asked about."""

    def check(**asked):
        question = {"workspace": "default", "environment": Environment.STAGING, "action": "kubernetes.restart"}
        return database.read_now(killswitch.check, home, **question | asked)

    return check


@pytest.fixture
def engage(database, person, now):
    def act(scope, by="ana"):
        return database.write_now(killswitch.engage, person(by, *RIGHTS), scope, reason="too many failures", now=now)

    return act


@pytest.fixture
def release(database, person, now):
    def act(scope, by, later=timedelta()):
        return database.write_now(killswitch.release, person(by, *RIGHTS), scope, reason="all good", now=now + later)

    return act


def test_nothing_is_halted_at_first(look):
    assert look() is None


@pytest.mark.parametrize(
    ("scope", "others"),
    [
        ("global", []),
        ("workspace:default", [{"workspace": "other"}]),
        ("environment:staging", [{"environment": Environment.PRODUCTION}]),
        ("action:kubernetes.restart", [{"action": "kubernetes.restart_all"}]),
    ],
)
def test_a_halt_stops_its_scope_and_nothing_else(engage, look, scope, others):
    engage(scope)
    halt = look()
    assert (halt.scope, halt.reason, halt.by) == (scope, "too many failures", "ana")
    assert [look(**other) for other in others] == [None] * len(others)


def test_one_person_alone_cannot_release(engage, release, look):
    engage("global")
    assert release("global", "bob").release_by == "bob"
    assert release("global", "bob").release_by == "bob"
    assert look() is not None


def test_two_people_release_and_the_one_who_engaged_may_be_one_of_them(engage, release, look):
    engage("global")
    assert release("global", "ana").release_by == "ana"
    assert release("global", "bob") is None
    assert look() is None


def test_a_wish_to_release_counts_for_an_hour(engage, release, look):
    engage("global")
    release("global", "ana")
    assert release("global", "bob", later=timedelta(hours=1, seconds=1)).release_by == "bob"
    assert look() is not None
    assert release("global", "ana", later=timedelta(hours=2)) is None


def test_a_wish_from_a_clock_that_was_ahead_does_not_count(engage, release):
    engage("global")
    release("global", "ana")
    assert release("global", "bob", later=-timedelta(hours=2)) is not None


def test_engaging_again_forgets_the_wish_to_release(engage, release, look):
    engage("global")
    release("global", "ana")
    engage("global", by="eve")
    assert release("global", "bob") is not None
    assert look().by == "eve"


def test_releasing_one_scope_leaves_the_others(engage, release, look):
    engage("global")
    engage("environment:staging")
    release("global", "ana")
    release("global", "bob")
    assert look().scope == "environment:staging"


def test_what_is_not_halted_cannot_be_released(release):
    with pytest.raises(NotFoundError):
        release("global", "ana")


@pytest.mark.parametrize("principal", [PrincipalType.SERVICE, PrincipalType.AGENT])
def test_services_and_agents_may_engage_but_not_release(database, person, engage, look, now, principal):
    robot = person("robot", *RIGHTS, principal=principal)
    database.write_now(killswitch.engage, robot, "global", reason="breaker", now=now)
    with pytest.raises(PermissionDeniedError, match="only people"):
        database.write_now(killswitch.release, robot, "global", reason="x", now=now)
    assert look().by == "robot"


def test_without_the_permission_nobody_engages_or_releases(database, person, engage, now):
    engage("global")
    with pytest.raises(PermissionDeniedError, match=r"halts\.engage"):
        database.write_now(killswitch.engage, person("bob", "halts.release"), "global", reason="x", now=now)
    with pytest.raises(PermissionDeniedError, match=r"halts\.release"):
        database.write_now(killswitch.release, person("bob", "halts.engage"), "global", reason="x", now=now)


@pytest.mark.parametrize(
    "scope", ["", "all", "environment:", "environment:qa", "action:", "team:a", "workspace", "Global"]
)
def test_a_scope_that_does_not_exist_is_refused_rather_than_halting_nothing(engage, scope):
    with pytest.raises(InvalidInputError, match="cannot be halted"):
        engage(scope)


def test_another_workspace_does_not_exist_for_me(engage):
    with pytest.raises(NotFoundError):
        engage("workspace:other")


def test_a_halt_says_why(database, person, now):
    with pytest.raises(InvalidInputError, match="say why"):
        database.write_now(killswitch.engage, person("ana", *RIGHTS), "global", reason="  ", now=now)


def test_engaging_and_releasing_stand_in_the_audit(database, engage, release):
    engage("global")
    release("global", "ana")
    release("global", "bob")
    events, _ = database.read_now(audit.search, audit.AuditQuery("default", subject="global"))
    assert [(event.actor, event.operation) for event in reversed(events)] == [
        ("ana", "halt.engage"),
        ("ana", "halt.release_wish"),
        ("bob", "halt.release"),
    ]


# --- the file --------------------------------------------------------------------------------------------------------


def test_a_file_halts_everything_with_its_content_as_the_reason(home, look):
    (home / "HALT").write_text("cluster migration\nuntil noon")
    assert (look().scope, look().reason, look().by) == ("global", "cluster migration until noon", "file")


def test_an_empty_file_halts_too_and_taking_it_away_releases(home, look):
    (home / "HALT").touch()
    assert "is there" in look().reason
    (home / "HALT").unlink()
    assert look() is None


def test_the_file_works_without_the_database(home, database, look):
    (home / "HALT").touch()
    database.engine.dispose()
    assert killswitch.check_file(home) is not None


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.mkdir(),
        lambda path: path.symlink_to("nowhere"),
        lambda path: path.write_bytes(b"\xff\xfe\x00" * 10_000),
    ],
    ids=["folder", "dangling link", "garbage"],
)
def test_whatever_stands_under_that_name_halts(home, look, make):
    make(home / "HALT")
    assert look() is not None
    assert len(look().reason) <= 600


def test_a_folder_that_cannot_be_looked_into_halts(home, monkeypatch):
    def refuse(_path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "lstat", refuse)
    assert "cannot be looked at" in killswitch.check_file(home).reason


def test_a_state_folder_that_is_not_there_yet_does_not_halt(tmp_path):
    assert killswitch.check_file(tmp_path / "nothing") is None


def test_a_database_that_cannot_be_read_is_an_error_and_not_a_yes(database, look):
    with database.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE halt")
    with pytest.raises(StorageError):
        look()


def test_all_halts_are_listed_the_file_first(database, home, engage):
    engage("global")
    engage("environment:staging")
    (home / "HALT").write_text("by hand")
    listed = database.read_now(killswitch.engaged, home)
    assert [halt.reason for halt in listed] == ["by hand", "too many failures", "too many failures"]
    assert {halt.scope for halt in database.read_now(halts.every)} == {"global", "environment:staging"}
