"""Limits: how many changes in how much time, how much of a workload at once, and the breaker."""

from datetime import timedelta

import pytest
from pydantic import ValidationError

from toban.errors import PermissionDeniedError
from toban.governance import limits
from toban.governance.limits import Counts, Limits
from toban.model.change import ChangeState, StepState
from toban.model.environment import Environment
from toban.model.security import PrincipalType
from toban.store import changes, leases

OTHER = "kubernetes.rollback_deployment"


@pytest.fixture
def store(database):
    def insert(*made):
        for change in made:
            database.write_now(changes.insert, change)

    return insert


@pytest.fixture
def verdict(database, make_change, now):
    """The verdict on CHG-0099, about to start its first step."""

    def ask(step=None, **fields):
        change = make_change(99, **fields)
        return database.read_now(limits.check, change, step or change.steps[0], now)

    return ask


@pytest.fixture
def elsewhere(make_step):
    """A finished step on a target of its own."""
    return lambda number: (make_step(f"shop/app-{number}", state=StepState.EXECUTED),)


def test_the_first_change_of_the_day_may_start(verdict):
    assert verdict().ok


def test_a_fourth_change_within_ten_minutes_waits(store, verdict, make_change, elsewhere):
    store(*(make_change(n, minutes_ago=n, steps=elsewhere(n)) for n in (1, 2)))
    assert verdict().ok
    store(make_change(3, minutes_ago=9.9, steps=elsewhere(3)))
    assert verdict().reason == "3 changes started in this workspace in the last 10 minutes"


def test_older_changes_and_those_of_other_workspaces_do_not_count(store, verdict, make_change, elsewhere):
    store(*(make_change(n, minutes_ago=10, steps=elsewhere(n)) for n in range(1, 4)))
    store(*(make_change(n, minutes_ago=1, workspace="other", steps=elsewhere(n)) for n in range(4, 8)))
    assert verdict().ok


@pytest.mark.parametrize("state", [ChangeState.APPROVED, ChangeState.REJECTED, ChangeState.AWAITING_APPROVAL])
def test_changes_that_never_started_do_not_count(store, verdict, make_change, state):
    store(*(make_change(n, state=state) for n in range(1, 6)))
    assert verdict().ok


def test_a_change_that_waited_for_its_approval_counts_from_its_start(store, verdict, make_change, elsewhere, now):
    created = now - timedelta(hours=4)
    store(*(make_change(n, minutes_ago=1, created_at=created, steps=elsewhere(n)) for n in range(1, 4)))
    assert not verdict().ok


def test_an_eleventh_change_within_an_hour_in_an_environment_waits(store, verdict, make_change, elsewhere):
    store(*(make_change(n, minutes_ago=15 + n, steps=elsewhere(n)) for n in range(1, 10)))
    assert verdict().ok
    store(make_change(10, minutes_ago=59, steps=elsewhere(10)))
    assert verdict().reason == "10 changes started in this environment in the last hour"
    assert verdict(environment=Environment.DEVELOPMENT).ok


def test_the_same_action_on_the_same_target_runs_twice_in_half_an_hour_at_most(store, verdict, make_change, make_step):
    store(make_change(1, minutes_ago=29))
    assert verdict().ok
    store(make_change(2, minutes_ago=15))
    assert "ran on the same target 2 times" in verdict().reason
    assert verdict(make_step(action=OTHER)).ok
    assert verdict(make_step("shop/web")).ok
    assert not verdict(make_step(container="app")).ok


def test_steps_that_were_never_sent_do_not_count(store, verdict, make_change, make_step):
    for number, state in enumerate((StepState.PENDING, StepState.SKIPPED), 1):
        store(make_change(number, minutes_ago=20, steps=(make_step(state=state),)))
    assert verdict().ok


def test_a_target_on_which_another_change_is_in_flight_is_refused_by_name(database, verdict, now):
    until = now + timedelta(minutes=15)
    database.write_now(leases.take, "Deployment shop/cart", "CHG-0007", now, until)
    assert verdict().reason == "CHG-0007 is in flight on the same target"


def test_the_own_lease_is_no_hindrance(database, verdict, now):
    database.write_now(leases.take, "Deployment shop/cart", "CHG-0099", now, now + timedelta(minutes=15))
    assert verdict().ok


def test_the_later_steps_of_a_change_are_not_stopped_half_way(store, verdict, make_change, elsewhere):
    store(*(make_change(n, minutes_ago=1, steps=elsewhere(n)) for n in range(1, 9)))
    assert verdict(minutes_ago=1).ok
    assert not verdict().ok


def test_a_rollback_is_stopped_by_no_rate_but_by_anothers_lease(database, store, make_change, make_step, now):
    store(*(make_change(n, minutes_ago=n) for n in range(1, 9)))
    back = make_step(id="back")
    change = make_change(99, minutes_ago=1, rollback_steps=(back,))
    assert database.read_now(limits.check, change, back, now).ok
    database.write_now(leases.take, "Deployment shop/cart", "CHG-0007", now, now + timedelta(minutes=15))
    assert not database.read_now(limits.check, change, back, now).ok


def test_what_was_touched_lately_is_known_also_by_rollback(database, store, make_change, make_step, now):
    back = make_step("shop/web", id="back", state=StepState.EXECUTED)
    store(make_change(1, minutes_ago=20, rollback_steps=(back,)))

    def touched(target, minutes):
        return database.read_now(limits.touched_since, [target], now - timedelta(minutes=minutes))

    assert touched("Deployment shop/cart", 30)
    assert touched("Deployment shop/cart [app]", 30)
    assert touched("Deployment shop/web", 30)
    assert not touched("Deployment shop/cart", 20)
    assert not touched("Deployment shop/other", 30)


# --- how much at once ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("touched", "total", "ok"),
    [(0, 0, True), (1, 1, True), (1, 4, True), (2, 4, False), (2, 8, True), (3, 8, False), (1, 0, True)],
)
def test_a_quarter_of_a_workload_at_once_and_one_always(touched, total, ok):
    assert limits.share(touched, total, rolling=False).ok is ok


def test_one_ready_replica_stays_where_that_is_known():
    assert limits.share(1, 4, rolling=False, ready_left=1).ok
    assert limits.share(1, 4, rolling=False, ready_left=0).reason == "no ready replica would be left"


def test_a_rollout_by_the_workloads_own_strategy_is_batched_and_a_hand_on_its_pods_is_not(verdict, make_step):
    assert verdict(make_step(touched_replicas=4, total_replicas=4)).ok
    assert not verdict(make_step(kind="Pod", touched_replicas=4, total_replicas=4)).ok


def test_limits_can_be_lowered_and_not_raised():
    assert Limits(per_workspace=1).per_workspace == 1
    for name, value in (("per_workspace", 4), ("per_environment", 11), ("same_action", 3), ("share_percent", 26)):
        with pytest.raises(ValidationError):
            Limits(**{name: value})


def test_the_verdict_on_counts_is_at_the_border_exactly():
    known = Limits()
    for name, value in (("in_workspace", 3), ("in_environment", 10), ("same_action", 2), ("failures", 3)):
        assert limits.judge(Counts(**{name: value - 1}), known, starts=True).ok
        assert not limits.judge(Counts(**{name: value}), known, starts=True).ok


# --- the breaker -----------------------------------------------------------------------------------------------------


@pytest.fixture
def failures(database):
    def count(environment=Environment.STAGING):
        return database.read_now(limits.failures_in_a_row, "default", environment)

    return count


@pytest.fixture
def ended(store, make_change, elsewhere, now):
    """`ended(1, ChangeState.SUCCEEDED, hours_ago=3)`."""

    def insert(number, state, *, hours_ago, **fields):
        at = now - timedelta(hours=hours_ago)
        minutes = hours_ago * 60 + 1
        store(make_change(number, minutes_ago=minutes, state=state, ended_at=at, steps=elsewhere(number), **fields))

    return insert


@pytest.mark.parametrize(
    "state", [ChangeState.FAILED, ChangeState.ROLLING_BACK, ChangeState.ROLLED_BACK, ChangeState.ESCALATED]
)
def test_three_failures_in_a_row_open_the_environments_breaker(ended, failures, verdict, state):
    for number in (1, 2):
        ended(number, state, hours_ago=50 - number)
    assert verdict().ok
    ended(3, state, hours_ago=40)
    assert failures() == 3
    assert "a person must reset its breaker" in verdict().reason
    assert verdict(environment=Environment.PRODUCTION).ok


def test_a_success_in_between_closes_it(ended, failures, verdict):
    ended(1, ChangeState.FAILED, hours_ago=9)
    ended(2, ChangeState.FAILED, hours_ago=8)
    ended(3, ChangeState.SUCCEEDED, hours_ago=7)
    ended(4, ChangeState.FAILED, hours_ago=6)
    assert failures() == 1
    assert verdict().ok


@pytest.mark.parametrize("state", [ChangeState.REJECTED, ChangeState.EXPIRED, ChangeState.OBSOLETE, ChangeState.HALTED])
def test_changes_that_neither_failed_nor_worked_say_nothing(ended, failures, state):
    for number in (1, 2):
        ended(number, ChangeState.FAILED, hours_ago=9 - number)
    ended(3, state, hours_ago=5)
    assert failures() == 2


def test_failures_of_other_workspaces_do_not_count(ended, failures):
    for number in range(1, 4):
        ended(number, ChangeState.FAILED, hours_ago=number, workspace="other")
    assert failures() == 0


def test_a_person_resets_the_breaker_and_only_later_failures_count(database, person, ended, failures, verdict, now):
    for number in range(1, 4):
        ended(number, ChangeState.FAILED, hours_ago=9 - number)
    reset_at = now - timedelta(hours=2)
    ana = person("ana", "halts.release")
    database.write_now(limits.reset_breaker, ana, Environment.STAGING, reason="cause found", now=reset_at)
    assert failures() == 0
    assert verdict().ok
    ended(4, ChangeState.FAILED, hours_ago=1)
    assert failures() == 1


def test_resetting_one_environment_leaves_the_others(database, person, ended, failures, now):
    for number in range(1, 4):
        ended(number, ChangeState.FAILED, hours_ago=number)
    ana = person("ana", "halts.release")
    database.write_now(limits.reset_breaker, ana, Environment.PRODUCTION, reason="x", now=now)
    assert failures() == 3


@pytest.mark.parametrize(
    ("principal", "rights"), [(PrincipalType.HUMAN, ["halts.engage"]), (PrincipalType.SERVICE, ["halts.release"])]
)
def test_nobody_else_resets_it(database, person, now, principal, rights):
    asker = person("bob", *rights, principal=principal)
    with pytest.raises(PermissionDeniedError):
        database.write_now(limits.reset_breaker, asker, Environment.STAGING, reason="x", now=now)
