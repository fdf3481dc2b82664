"""The state machines: every state can be reached, ends are ends, and no way leads around approval and intent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toban.model.alert import ALERT_STATES, AlertState
from toban.model.change import BEFORE_DISPATCH, CHANGE_STATES, STEP_STATES, ChangeState, StepState
from toban.model.incident import INCIDENT_STATES, OPEN_STATES, IncidentState
from toban.model.record import StateTable

C, T, N = ChangeState, StepState, IncidentState

MACHINES = {
    "alert": (ALERT_STATES, AlertState, AlertState.FIRING, set()),
    "step": (STEP_STATES, StepState, T.PENDING, {T.EXECUTED, T.FAILED, T.SKIPPED}),
    "incident": (INCIDENT_STATES, IncidentState, N.NEW, {N.CLOSED}),
    "change": (
        CHANGE_STATES,
        ChangeState,
        C.PROPOSED,
        {C.SUCCEEDED, C.ROLLED_BACK, C.ESCALATED, C.REJECTED, C.EXPIRED, C.OBSOLETE, C.HALTED, C.CANCELLED},
    ),
}
every_machine = pytest.mark.parametrize(("table", "states", "start", "ends"), MACHINES.values(), ids=MACHINES.keys())


def reachable(table: StateTable, start, *, without=frozenset()) -> set:
    """All states that can be reached from `start` by ways that avoid `without`; `start` itself only by a circle."""
    found, waiting = set(), [start]
    while waiting:
        for after in table.moves[waiting.pop()]:
            if after not in found and after not in without:
                found.add(after)
                waiting.append(after)
    return found


def before(table: StateTable, state) -> set:
    """The states from which `state` follows directly."""
    return {one for one in table.moves if table.allows(one, state)}


@every_machine
def test_the_table_knows_every_state_and_no_other(table, states, start, ends):
    assert set(table.moves) == set(states)
    assert all(after <= set(states) for after in table.moves.values())


@every_machine
def test_every_state_can_be_reached_from_the_start(table, states, start, ends):
    assert reachable(table, start) | {start} == set(states)


@every_machine
def test_ends_are_those_that_are_meant_and_nothing_follows_them(table, states, start, ends):
    assert table.ends() == ends
    assert all(not table.allows(end, after) for end in ends for after in states)


@every_machine
def test_no_state_follows_itself(table, states, start, ends):
    assert not any(table.allows(state, state) for state in states)


@pytest.mark.parametrize("machine", ["step", "incident", "change"])
def test_from_every_state_an_end_can_be_reached(machine):
    table, states, _, ends = MACHINES[machine]
    assert all(state in ends or reachable(table, state) & ends for state in states)


# --- changes ---------------------------------------------------------------------------------------------------------


def test_a_change_is_approved_only_when_it_was_planned_or_waited_for_approval():
    assert before(CHANGE_STATES, C.APPROVED) == {C.PLANNED, C.AWAITING_APPROVAL}


def test_nothing_is_dispatched_that_was_not_approved():
    assert before(CHANGE_STATES, C.DISPATCHING) == {C.APPROVED}


@pytest.mark.parametrize(
    "state", [C.EXECUTED, C.FAILED, C.UNKNOWN, C.VERIFYING, C.SUCCEEDED, C.ROLLING_BACK, C.ROLLED_BACK, C.ESCALATED]
)
@pytest.mark.parametrize("passage", [C.PLANNED, C.APPROVED, C.DISPATCHING])
def test_no_outcome_is_reached_around_plan_approval_and_intent(state, passage):
    assert state in reachable(CHANGE_STATES, C.PROPOSED)
    assert state not in reachable(CHANGE_STATES, C.PROPOSED, without={passage})


def test_success_comes_from_verification_alone_and_verification_from_execution_alone():
    assert before(CHANGE_STATES, C.SUCCEEDED) == {C.VERIFYING}
    assert before(CHANGE_STATES, C.VERIFYING) == {C.EXECUTED}


def test_what_was_sent_can_be_neither_cancelled_nor_called_obsolete_rejected_or_expired():
    sent = set(ChangeState) - BEFORE_DISPATCH - CHANGE_STATES.ends()
    for state in sent:
        assert not CHANGE_STATES.moves[state] & {C.CANCELLED, C.OBSOLETE, C.REJECTED, C.EXPIRED}


def test_before_dispatch_is_exactly_what_comes_before_dispatching():
    found = {C.PROPOSED} | reachable(CHANGE_STATES, C.PROPOSED, without={C.DISPATCHING})
    assert found - CHANGE_STATES.ends() == BEFORE_DISPATCH


def test_a_rejection_or_an_expiry_is_possible_only_before_dispatch():
    assert before(CHANGE_STATES, C.REJECTED) <= BEFORE_DISPATCH
    assert before(CHANGE_STATES, C.EXPIRED) <= BEFORE_DISPATCH


def test_unknown_is_left_only_for_what_a_probe_or_a_person_can_say():
    assert CHANGE_STATES.moves[C.UNKNOWN] == {C.EXECUTED, C.FAILED, C.ESCALATED}
    assert STEP_STATES.moves[T.UNKNOWN] == {T.EXECUTED, T.FAILED}


def test_nothing_goes_back_to_before_its_dispatch():
    for state in set(ChangeState) - BEFORE_DISPATCH:
        assert not reachable(CHANGE_STATES, state) & (BEFORE_DISPATCH | {C.DISPATCHING})


def test_a_step_is_executed_only_after_its_intent():
    assert T.EXECUTED not in reachable(STEP_STATES, T.PENDING, without={T.DISPATCHING})
    assert T.UNKNOWN not in reachable(STEP_STATES, T.PENDING, without={T.DISPATCHING})


def test_a_skipped_step_was_never_sent():
    assert before(STEP_STATES, T.SKIPPED) == {T.PENDING}


@given(choices=st.lists(st.integers(0, 10), max_size=25))
def test_any_way_through_a_change_passes_the_stations_in_their_order(choices):
    way = [C.PROPOSED]
    for choice in choices:
        options = sorted(CHANGE_STATES.moves[way[-1]])
        if not options:
            break
        way.append(options[choice % len(options)])
    stations = [state for state in way if state in {C.PLANNED, C.APPROVED, C.DISPATCHING}]
    assert stations == [C.PLANNED, C.APPROVED, C.DISPATCHING][: len(stations)]
    if set(way) & {C.EXECUTED, C.FAILED, C.UNKNOWN, C.SUCCEEDED, C.ROLLED_BACK, C.ESCALATED}:
        assert stations == [C.PLANNED, C.APPROVED, C.DISPATCHING]


# --- incidents and alerts --------------------------------------------------------------------------------------------


def test_a_resolved_incident_can_be_opened_again_and_a_closed_one_cannot():
    assert INCIDENT_STATES.allows(N.RESOLVED, N.INVESTIGATING)
    assert INCIDENT_STATES.moves[N.CLOSED] == frozenset()


def test_an_incident_is_closed_only_after_it_was_resolved():
    assert before(INCIDENT_STATES, N.CLOSED) == {N.RESOLVED}


def test_an_open_incident_can_always_be_resolved_and_escalated():
    assert set(IncidentState) - {N.RESOLVED, N.CLOSED} == OPEN_STATES
    for state in OPEN_STATES:
        assert INCIDENT_STATES.allows(state, N.RESOLVED)
        assert state is N.ESCALATED or INCIDENT_STATES.allows(state, N.ESCALATED)


def test_nothing_is_remedied_that_was_not_diagnosed_or_taken_over_by_people():
    assert before(INCIDENT_STATES, N.REMEDIATING) == {N.DIAGNOSED, N.ESCALATED}


def test_an_alert_fires_and_resolves_in_turns():
    assert ALERT_STATES.allows(AlertState.FIRING, AlertState.RESOLVED)
    assert ALERT_STATES.allows(AlertState.RESOLVED, AlertState.FIRING)
    assert ALERT_STATES.ends() == frozenset()
