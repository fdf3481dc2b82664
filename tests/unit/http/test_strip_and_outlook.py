"""How far an incident has come, and what comes next, for every state."""

import pytest

from browser.support import web_cases
from toban.entrypoints.http.i18n.words import Words
from toban.entrypoints.http.views import outlook, strip
from toban.entrypoints.http.views.strip import Mark
from toban.model.casefile import ChangeFile
from toban.model.change import ChangeState
from toban.model.incident import IncidentState

_NAMES = [
    "received",
    "correlated",
    "investigated",
    "diagnosed",
    "planned",
    "approved",
    "executed",
    "verified",
    "learned",
]


def _marks(case):
    return {stage.name: stage.mark for stage in strip.stages(case)}


def _with_state(state):
    base = web_cases.awaiting()
    changed = base.changes[0].change.model_copy(update={"state": state})
    return base.model_copy(update={"changes": (ChangeFile(change=changed, approvals=base.changes[0].approvals),)})


@pytest.mark.parametrize("id_", sorted(web_cases.all_cases()))
def test_the_strip_always_has_its_nine_stages_in_order(id_):
    assert [stage.name for stage in strip.stages(web_cases.all_cases()[id_])] == _NAMES


def test_a_change_that_waits_for_votes_waits_at_approval():
    marks = _marks(web_cases.awaiting())
    assert [marks[name] for name in _NAMES] == [Mark.DONE] * 5 + [Mark.WAITING] + [Mark.LATER] * 3


def test_a_verified_change_with_a_lesson_is_done_throughout():
    assert set(_marks(web_cases.succeeded()).values()) == {Mark.DONE}


def test_an_unknown_outcome_is_a_failure_of_the_execution():
    marks = _marks(web_cases.unknown())
    assert marks["approved"] is Mark.DONE
    assert marks["executed"] is Mark.FAILED
    assert marks["verified"] is Mark.LATER


def test_a_rejected_change_fails_at_approval_and_skips_the_rest():
    marks = _marks(web_cases.rejected())
    assert (marks["approved"], marks["executed"], marks["verified"]) == (Mark.FAILED, Mark.SKIPPED, Mark.SKIPPED)


def test_no_cause_waits_for_a_person():
    marks = _marks(web_cases.inconclusive())
    assert (marks["diagnosed"], marks["planned"], marks["approved"]) == (Mark.WAITING, Mark.WAITING, Mark.LATER)


def test_what_ended_by_itself_skips_what_never_happened():
    marks = _marks(web_cases.harmless())
    assert marks["investigated"] is Mark.SKIPPED
    assert marks["executed"] is Mark.SKIPPED


def test_an_automatic_change_skips_approval_with_a_reason():
    base = _with_state(ChangeState.DISPATCHING)
    automatic = base.changes[0].change.model_copy(update={"approvals_needed": 0})
    stages = strip.stages(base.model_copy(update={"changes": (ChangeFile(change=automatic),)}))
    stage = next(stage for stage in stages if stage.name == "approved")
    assert stage.mark is Mark.SKIPPED
    assert Words("en").phrase(stage.note) == "not needed"


@pytest.mark.parametrize("state", list(ChangeState))
@pytest.mark.parametrize("incident_state", list(IncidentState))
@pytest.mark.parametrize("lang", ["en", "ja"])
def test_every_state_of_a_change_has_a_strip_and_a_sentence(state, incident_state, lang):
    words = Words(lang)
    case = _with_state(state)
    case = case.model_copy(update={"incident": case.incident.model_copy(update={"state": incident_state})})
    for stage in strip.stages(case):
        assert words(f"strip.{stage.name}")
        if stage.note:
            assert words.phrase(stage.note)
    found = outlook.outlook(case, until="12:00:00")
    assert words.phrase(found.say)
    assert found.tone in {"info", "wait", "alarm", "good"}


@pytest.mark.parametrize("state", [ChangeState.UNKNOWN, ChangeState.FAILED, ChangeState.ESCALATED, ChangeState.HALTED])
def test_what_only_a_person_can_settle_is_an_alarm(state):
    assert outlook.outlook(_with_state(state)).tone == "alarm"


@pytest.mark.parametrize("incident_state", list(IncidentState))
@pytest.mark.parametrize("diagnosed", [True, False])
def test_an_incident_without_a_change_has_a_sentence(incident_state, diagnosed):
    base = web_cases.inconclusive() if diagnosed else web_cases.investigating()
    case = base.model_copy(update={"incident": base.incident.model_copy(update={"state": incident_state})})
    assert Words("en").phrase(outlook.outlook(case).say)


def test_a_firing_incident_without_a_cause_is_an_alarm_and_a_quiet_one_is_not():
    case = web_cases.inconclusive()
    quiet = case.model_copy(update={"incident": case.incident.model_copy(update={"firing_count": 0})})
    assert outlook.outlook(case).tone == "alarm"
    assert outlook.outlook(quiet).tone == "wait"
