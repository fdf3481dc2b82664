"""Signing in: the right password opens, everything else says the same and takes as long."""

import asyncio
from datetime import timedelta

import argon2
import pytest

from toban.errors import InvalidInputError, OverloadedError, UnauthenticatedError
from toban.governance import access
from toban.governance.sign_in import Credentials, Passwords, Patience, SignIn
from toban.model.audit import AuditResult
from toban.model.security import PrincipalType, Role, Secret
from toban.store import access as rows
from toban.store import audit

CHEAP = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
GOOD = "correct horse battery"


class CountingHasher(argon2.PasswordHasher):
    """Counts the checks, each of which costs the same."""

    def __init__(self):
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.checks = 0

    def verify(self, hash, password):  # noqa: A002 - the library's own name
        self.checks += 1
        return super().verify(hash, password)


@pytest.fixture
def passwords():
    made = Passwords(CHEAP)
    yield made
    made.close()


@pytest.fixture
def ana(add_account):
    return add_account("ana", Role.ADMINISTRATOR, password_hash=CHEAP.hash(GOOD))


@pytest.fixture
def people(database, admin, ana, add_account, now):
    """Beside ana: a closed account with a password, and a service without one."""
    add_account("closed", Role.VIEWER, password_hash=CHEAP.hash(GOOD))
    database.write_now(access.close_account, admin, "closed", now=now)
    add_account("ci", Role.VIEWER, principal=PrincipalType.SERVICE)


@pytest.fixture
def door(database, passwords):
    return SignIn(database, passwords, Patience())


def typed(name="ana", password=GOOD):
    return Credentials("default", name, Secret(password))


async def test_the_right_password_opens_a_session(database, ana, door, now):
    session = await door.open(typed(), now=now)
    context = database.read_now(access.context_for_session, session.secret.reveal(), now=now)
    assert (context.user_id, context.authenticated_at) == ("ana", now)


@pytest.mark.parametrize(
    ("name", "password"),
    [("ana", "wrong"), ("ana", ""), ("nobody", GOOD), ("ana", "x" * 5_000), ("closed", GOOD), ("ci", GOOD), ("", "")],
)
async def test_everything_else_is_refused_in_the_same_words(people, door, name, password, now):
    with pytest.raises(UnauthenticatedError) as refused:
        await door.open(typed(name, password), now=now)
    assert (refused.value.message, refused.value.retry_after) == ("the name or the password is wrong", None)


@pytest.mark.parametrize("name", ["ana", "nobody"])
async def test_unknown_names_cost_as_much_work_as_known_ones(database, ana, name, now):
    hasher = CountingHasher()
    passwords = Passwords(hasher)
    with pytest.raises(UnauthenticatedError):
        await SignIn(database, passwords, Patience()).open(typed(name, "wrong"), now=now)
    passwords.close()
    assert hasher.checks == 1


async def test_a_password_typed_into_the_name_field_is_not_written_down(database, ana, door, now):
    for name in ("hunter2-my-password", "ana"):
        with pytest.raises(UnauthenticatedError):
            await door.open(typed(name, "x"), now=now)
    events, _ = database.read_now(audit.search, audit.AuditQuery("default", operation="session.open"))
    assert [(event.actor, event.result) for event in events] == [
        ("ana", AuditResult.DENIED),
        ("(unknown name)", AuditResult.DENIED),
    ]


async def test_after_five_failures_even_the_right_password_has_to_wait(ana, door, now):
    for _ in range(5):
        with pytest.raises(UnauthenticatedError, match="wrong"):
            await door.open(typed(password="wrong"), now=now)
    with pytest.raises(UnauthenticatedError, match="wait") as refused:
        await door.open(typed(), now=now)
    assert refused.value.retry_after == 1.0
    assert await door.open(typed(), now=now + timedelta(seconds=1))


async def test_a_success_forgets_the_failures(ana, door, now):
    for _ in range(3):
        for _ in range(4):
            with pytest.raises(UnauthenticatedError, match="wrong"):
                await door.open(typed(password="wrong"), now=now)
        assert await door.open(typed(), now=now)


async def test_tries_at_the_same_time_do_not_get_around_the_limit(ana, door, now):
    answers = await asyncio.gather(
        *(door.open(typed(password="wrong"), now=now) for _ in range(12)), return_exceptions=True
    )
    assert sorted(answer.retry_after is None for answer in answers) == [False] * 7 + [True] * 5


async def test_the_same_password_typed_in_another_normal_form_fits(passwords):
    stored = await passwords.hash(Secret("パスワード-caf\u00e9-12"))
    assert await passwords.fits(stored, Secret("ハ\u309aスワート\u3099-cafe\u0301-12"))


@pytest.mark.parametrize("password", ["short", "x" * 1_001, ""])
async def test_passwords_too_short_or_too_long_are_not_taken(passwords, password):
    with pytest.raises(InvalidInputError, match="12 to 1000"):
        await passwords.hash(Secret(password))


@pytest.mark.parametrize("stored", ["", "no hash at all", "$argon2id$v=19$m=8,t=1,p=1$"])
async def test_a_broken_stored_hash_fits_nothing(passwords, stored):
    assert not await passwords.fits(stored, Secret(GOOD))


async def test_too_many_waiting_sign_ins_are_refused_at_once(passwords):
    crowded = Passwords(CHEAP, waiting_limit=1)
    answers = await asyncio.gather(*(crowded.fits(None, Secret(GOOD)) for _ in range(3)), return_exceptions=True)
    crowded.close()
    assert [type(answer) for answer in answers].count(OverloadedError) == 2


async def test_a_dated_hash_is_renewed_at_the_next_sign_in(database, ana, now):
    passwords = Passwords(argon2.PasswordHasher(time_cost=2, memory_cost=8, parallelism=1))
    await SignIn(database, passwords, Patience()).open(typed(), now=now)
    stored = database.read_now(rows.password_hash, ana)
    passwords.close()
    assert "t=2" in stored
    assert CHEAP.verify(stored, GOOD)


# --- patience --------------------------------------------------------------------------------------------------------


def test_the_wait_doubles_up_to_five_minutes(now):
    patience = Patience()
    for _ in range(5):
        assert patience.begin("ana", now) == 0
    waits = []
    for _ in range(12):
        waits.append(patience.begin("ana", now))
        now += timedelta(seconds=waits[-1])
        assert patience.begin("ana", now) == 0
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]


def test_names_do_not_wait_for_each_other(now):
    patience = Patience(free=1)
    assert patience.begin("ana", now) == 0
    assert patience.begin("ana", now) > 0
    assert patience.begin("bob", now) == 0


def test_an_hour_of_quiet_forgets(now):
    patience = Patience(free=1)
    patience.begin("ana", now)
    later = now + timedelta(hours=1, seconds=1)
    assert patience.begin("ana", later) == 0
    assert patience.begin("ana", later) == 1


def test_a_clock_that_is_set_back_by_two_hours_does_not_lock_anybody_out(now):
    patience = Patience(free=1)
    patience.begin("ana", now)
    back = now - timedelta(hours=2)
    assert patience.begin("ana", back) == 1
    assert patience.begin("ana", back + timedelta(seconds=1)) == 0


def test_memory_is_bounded_whatever_names_come(now):
    patience = Patience(names=3)
    for number in range(10):
        patience.begin(f"name-{number}", now)
    assert len(patience._failed) == 3
