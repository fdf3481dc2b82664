"""Leases: one change in flight on a target, and whoever was stopped too long is fenced off."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from toban.store import leases, schema
from toban.store.database import Database, make_engine

CART = "Deployment shop/cart"
SPAN = timedelta(minutes=15)
_EPOCH = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


@pytest.fixture
def take(database, now):
    def act(change, target=CART, later=timedelta()):
        return database.write_now(leases.take, target, change, now + later, now + later + SPAN)

    return act


@pytest.fixture
def holds(database, now):
    def ask(change, token, target=CART, later=timedelta()):
        return database.read_now(leases.holds, target, change, token=token, now=now + later)

    return ask


def test_the_first_change_gets_the_target_and_a_second_one_does_not(take, holds):
    token = take("CHG-0001")
    assert holds("CHG-0001", token)
    assert take("CHG-0002") is None
    assert take("CHG-0002", "Deployment shop/web") is not None


def test_a_container_is_a_part_of_its_object(take):
    assert take("CHG-0001", f"{CART} [app]")
    assert take("CHG-0002") is None
    assert take("CHG-0002", f"{CART} [sidecar]") is None


def test_a_released_target_is_free_at_once_and_the_old_token_is_worth_nothing(database, take, holds):
    old = take("CHG-0001")
    database.write_now(leases.release, CART, "CHG-0001")
    assert not holds("CHG-0001", old)
    assert take("CHG-0002") > old


def test_a_lease_that_ran_out_is_given_to_another_and_its_holder_is_fenced_off(take, holds):
    old = take("CHG-0001")
    new = take("CHG-0002", later=SPAN)
    assert new > old
    assert not holds("CHG-0001", old, later=SPAN)
    assert holds("CHG-0002", new, later=SPAN)


def test_a_lease_that_ran_out_does_not_count_even_if_nobody_else_took_it(take, holds):
    token = take("CHG-0001")
    assert holds("CHG-0001", token, later=SPAN - timedelta(seconds=1))
    assert not holds("CHG-0001", token, later=SPAN)


def test_the_same_change_takes_it_again_after_a_crash_and_fences_off_its_former_worker(take, holds):
    old = take("CHG-0001")
    new = take("CHG-0001")
    assert not holds("CHG-0001", old)
    assert holds("CHG-0001", new)


def test_nobody_releases_another_changes_lease(database, take, holds):
    token = take("CHG-0001")
    database.write_now(leases.release, CART, "CHG-0002")
    assert holds("CHG-0001", token)


def test_a_clock_that_is_set_back_frees_nothing_and_a_release_still_does(database, take):
    take("CHG-0001")
    back = -timedelta(hours=2)
    assert take("CHG-0002", later=back) is None
    database.write_now(leases.release, CART, "CHG-0001")
    assert take("CHG-0002", later=back) is not None


def test_the_holder_is_told_by_name(database, take, now):
    take("CHG-0001")
    assert database.read_now(leases.holder, CART, now) == "CHG-0001"
    assert database.read_now(leases.holder, CART, now + SPAN) is None
    assert database.read_now(leases.holder, "Deployment shop/web", now) is None


class Leases(RuleBasedStateMachine):
    """Three changes fight for one target while time passes."""

    changes = st.sampled_from(["CHG-0001", "CHG-0002", "CHG-0003"])

    def __init__(self):
        super().__init__()
        self.database = Database(make_engine("sqlite://"))
        self.connection = self.database.engine.connect()
        schema.lease.create(self.connection)
        self.clock = _EPOCH
        self.tokens: list[tuple[str, int]] = []

    @rule(change=changes)
    def take(self, change):
        token = leases.take(self.connection, CART, change, self.clock, self.clock + SPAN)
        if token is not None:
            assert all(token > older for _, older in self.tokens)
            self.tokens.append((change, token))

    @rule(change=changes)
    def release(self, change):
        leases.release(self.connection, CART, change)

    @rule(minutes=st.integers(1, 20))
    def wait(self, minutes):
        self.clock += timedelta(minutes=minutes)

    @invariant()
    def at_most_one_token_counts_and_it_is_the_newest(self):
        good = [
            pair for pair in self.tokens if leases.holds(self.connection, CART, pair[0], token=pair[1], now=self.clock)
        ]
        assert good in ([], self.tokens[-1:])

    def teardown(self):
        self.connection.close()
        self.database.close()


Leases.TestCase.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
TestLeases = Leases.TestCase
