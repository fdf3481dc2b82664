"""What the demo comes to: the JSON document, the exit code, the sentence."""

import json

import pytest

from browser.support import web_cases
from toban.entrypoints.cli.demo import outcome, story
from toban.model.change import ChangeState
from toban.model.incident import IncidentState


def ended(*files, harmless=False):
    return story._verdict(list(files), harmless=harmless)


def of_change(state, **more):
    base = web_cases.awaiting()
    file = base.changes[0].model_copy(update={"change": web_cases.change(state, **more)})
    return base.model_copy(update={"changes": (file,)})


def test_the_document_has_exactly_the_agreed_keys():
    case = web_cases.succeeded()
    found = json.loads(outcome.document("memory-limit", [case]))
    assert list(found) == ["scenario", "incident", "diagnosis", "change", "verification", "seconds"]
    assert found["diagnosis"] == {"cause": "bad_rollout", "confidence": case.diagnosis.best.confidence}
    assert found["change"] == {"id": case.changes[0].change.id, "state": "succeeded"}
    assert found["verification"] == "passed"
    opened = case.incident.opened_at
    assert found["seconds"]["verified"] == round((case.changes[0].change.ended_at - opened).total_seconds(), 2)


def test_what_did_not_happen_is_null():
    assert json.loads(outcome.document("noise", [])) == {
        "scenario": "noise",
        "incident": None,
        "diagnosis": {"cause": None, "confidence": None},
        "change": {"id": None, "state": None},
        "verification": None,
        "seconds": {"diagnosis": None, "verified": None},
    }


def test_a_change_that_failed_has_no_time_of_a_verified_fix():
    case = of_change(ChangeState.ESCALATED, ended_at=web_cases.NOW)
    assert outcome.seconds(case)["verified"] is None


def test_the_diagnosis_time_is_that_of_the_first_one():
    case = web_cases.succeeded()
    again = next(entry for entry in case.timeline if entry.kind == "diagnosis.made")
    later = again.model_copy(update={"seq": 99, "at": web_cases.NOW})
    case = case.model_copy(update={"timeline": (*case.timeline, later)})
    assert outcome.seconds(case)["diagnosis"] == round((again.at - case.incident.opened_at).total_seconds(), 2)


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (ChangeState.REJECTED, 4),
        (ChangeState.ESCALATED, 1),
        (ChangeState.ROLLED_BACK, 1),
        (ChangeState.EXPIRED, 1),
        (ChangeState.OBSOLETE, 1),
    ],
)
def test_anything_but_a_verified_fix_is_no_success(state, code):
    found = ended(of_change(state))
    assert found.exit_code == code
    assert "CHG-0001" in found.problem


def test_a_fault_without_a_change_is_no_success():
    assert ended(web_cases.inconclusive()).exit_code == 1


def test_a_harmless_scenario_succeeds_only_without_a_change():
    assert ended(web_cases.harmless(), harmless=True).exit_code == 0
    assert ended(of_change(ChangeState.ROLLED_BACK), harmless=True).exit_code == 1


def test_success_needs_a_verification_that_passed():
    case = web_cases.succeeded()
    assert story._verified(case)
    unproved = case.changes[0].model_copy(update={"verification": None})
    assert not story._verified(case.model_copy(update={"changes": (unproved,)}))


@pytest.mark.parametrize(
    ("state", "harmless", "settled"),
    [(IncidentState.ESCALATED, False, True), (IncidentState.ESCALATED, True, False), (IncidentState.NEW, False, False)],
)
def test_a_harmless_incident_may_still_resolve_after_people_were_called(state, harmless, settled):
    case = web_cases.inconclusive()
    case = case.model_copy(update={"incident": case.incident.model_copy(update={"state": state})})
    assert story._is_settled(case, harmless=harmless) is settled
