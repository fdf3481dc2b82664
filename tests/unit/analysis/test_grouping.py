"""Whether an alert joins an open incident, and in which words."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import objects as build
from toban.analysis import grouping
from toban.model.environment import Environment
from toban.model.incident import IncidentState


def facts(service, *, seconds=14, fingerprint="new", **more):
    return grouping.AlertFacts(
        fingerprint=fingerprint, service=service, name="X", at=build.START + timedelta(seconds=seconds), **more
    )


def opened(*services, number=1, fingerprints=("old",), **more):
    incident = build.incident(services[0] if services else None, number=number, **more)
    return grouping.OpenIncident(incident, frozenset(fingerprints), frozenset(services))


def decide(alert, *incidents, window_s=300):
    return grouping.decide(alert, incidents, build.SHOP, window_s=window_s)


@pytest.mark.parametrize(
    ("alert", "incident", "reason"),
    [
        (facts("cart", fingerprint="old", seconds=90_000), opened("cart"), "same alert as one of INC-0001"),
        (facts("cart"), opened("cart"), "same service cart, 14 s apart"),
        (facts("payment"), opened("checkout"), "payment is called by checkout, 14 s apart"),
        (facts("checkout"), opened("payment"), "checkout calls payment, 14 s apart"),
        (facts("frontend"), opened("payment", "checkout"), "frontend calls checkout, 14 s apart"),
        (facts("cart", seconds=-30), opened("cart"), "same service cart, 30 s apart"),
    ],
)
def test_an_alert_joins_and_says_why(alert, incident, reason):
    decision = decide(alert, incident)

    assert (decision.incident_id, decision.reason) == ("INC-0001", reason)


@pytest.mark.parametrize(
    ("alert", "incident", "reason"),
    [
        (facts("payment"), opened("catalog"), "no open incident of payment or its neighbours within 300 s"),
        (facts("frontend"), opened("payment"), "no open incident of frontend or its neighbours within 300 s"),
        (facts("cart", seconds=301), opened("cart"), "no open incident of cart or its neighbours within 300 s"),
        (facts(None), opened("cart"), "its labels name no known service, so it stands alone"),
        (
            facts("cart"),
            opened("cart", state=IncidentState.RESOLVED),
            "no open incident of cart or its neighbours within 300 s",
        ),
        (
            facts("cart", environment=Environment.PRODUCTION),
            opened("cart"),
            "no open incident of cart or its neighbours within 300 s",
        ),
    ],
)
def test_an_alert_opens_a_new_incident_and_says_why(alert, incident, reason):
    decision = decide(alert, incident)

    assert (decision.incident_id, decision.reason) == (None, reason)


def test_a_stronger_rule_wins_over_a_newer_incident():
    older = opened("cart", number=1)
    newer = opened("checkout", number=2, at=build.START + timedelta(seconds=5))

    assert decide(facts("cart"), older, newer).incident_id == "INC-0001"


def test_of_several_that_match_the_newest_wins():
    older = opened("cart", number=1)
    newer = opened("cart", number=2, at=build.START + timedelta(seconds=5))

    assert decide(facts("cart"), older, newer).incident_id == "INC-0002"


@given(st.permutations(range(6)), st.sampled_from(["cart", "payment", "checkout", "catalog"]))
def test_the_order_in_which_incidents_are_given_does_not_matter(order, service):
    names = ["cart", "checkout", "payment", "catalog", "frontend", "cart"]
    incidents = [opened(name, number=index) for index, name in enumerate(names)]

    assert decide(facts(service), *(incidents[index] for index in order)) == decide(facts(service), *incidents)


@given(st.integers(-1000, 1000), st.integers(1, 900))
def test_nothing_outside_the_window_joins_by_service(seconds, window_s):
    decision = decide(facts("cart", seconds=seconds), opened("cart"), window_s=window_s)

    assert (decision.incident_id is not None) == (abs(seconds) <= window_s)


def test_the_reason_is_also_given_as_facts():
    assert decide(facts("payment"), opened("checkout")).facts == {
        "rule": "neighbour",
        "incident": "INC-0001",
        "service": "payment",
        "other": "checkout",
        "relation": "called_by",
        "seconds": 14,
    }
