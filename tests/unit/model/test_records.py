"""Records are frozen and strict, times are aware, and small rules hold at their borders."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from toban.model import finding, verification
from toban.model.alert import Severity
from toban.model.environment import Environment
from toban.model.finding import FindingKind
from toban.model.risk import RiskLevel
from toban.model.service import ObjectRef, Service, neighbours
from toban.model.verification import Check, CheckResult

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


def service(name, *calls, seen_at=NOW):
    return Service(workspace="default", name=name, calls=calls, seen_at=seen_at)


def test_a_record_can_be_neither_changed_nor_extended():
    with pytest.raises(ValidationError):
        ObjectRef(kind="Pod", name="a", colour="blue")
    with pytest.raises(ValidationError):
        service("cart").name = "web"


def test_a_time_without_a_zone_is_refused_and_others_become_utc():
    with pytest.raises(ValidationError, match="time without a zone"):
        service("cart", seen_at=datetime(2026, 11, 21, 3, 0))  # noqa: DTZ001 - the mistake that is tested
    tokyo = datetime(2026, 11, 21, 12, 0, tzinfo=timezone(timedelta(hours=9)))
    assert service("cart", seen_at=tokyo).seen_at.isoformat() == "2026-11-21T03:00:00+00:00"


@pytest.mark.parametrize(
    ("label", "environment"),
    [
        ("dev", Environment.DEVELOPMENT),
        (" Staging ", Environment.STAGING),
        ("PROD", Environment.PRODUCTION),
        ("", Environment.PRODUCTION),
        (None, Environment.PRODUCTION),
        ("qa-7", Environment.PRODUCTION),
    ],
)
def test_an_environment_that_is_not_known_is_production(label, environment):
    assert Environment.of(label) is environment


def test_risk_rises_to_high_and_no_further():
    assert [level.raised(0) for level in RiskLevel] == list(RiskLevel)
    assert RiskLevel.LOW_RISK.raised(1) is RiskLevel.MEDIUM_RISK
    assert RiskLevel.LOW_RISK.raised(9) is RiskLevel.HIGH_RISK
    assert RiskLevel.READ_ONLY.raised(9) is RiskLevel.READ_ONLY
    assert RiskLevel.CRITICAL.raised(1) is RiskLevel.CRITICAL


def test_severities_are_ordered_and_unknown_is_the_least():
    assert min(Severity, key=lambda one: one.rank) is Severity.UNKNOWN
    assert Severity.CRITICAL.rank > Severity.HIGH.rank > Severity.WARNING.rank > Severity.INFO.rank


@pytest.mark.parametrize(
    ("results", "whole"),
    [
        ([], CheckResult.INCONCLUSIVE),
        (["passed"], CheckResult.PASSED),
        (["passed", "inconclusive"], CheckResult.INCONCLUSIVE),
        (["passed", "failed", "inconclusive"], CheckResult.FAILED),
    ],
)
def test_no_data_is_never_success(results, whole):
    checks = tuple(Check(name="c", kind="signal", query="q", result=CheckResult(result)) for result in results)
    assert verification.overall(checks) is whole


def make(**fields):
    values = {
        "kind": FindingKind.KUBERNETES,
        "code": "container.oom_killed",
        "subject": ObjectRef(kind="Pod", namespace="shop", name="cart-1"),
        "statement": "killed",
        "source": "kubernetes",
        "query": "inventory",
        "observed_at": NOW,
    }
    return finding.make(**values | fields)


def test_the_same_evidence_seen_twice_has_one_id():
    assert make().id == make(observed_at=NOW + timedelta(hours=1)).id
    assert make().id != make(statement="killed twice").id
    assert make().id == f"F-{make().digest[:10]}"


def test_neighbours_are_those_who_call_and_those_who_are_called():
    known = {one.name: one for one in (service("web", "cart"), service("cart", "db"), service("mail"))}
    assert neighbours(known, "cart") == {"web", "db"}
    assert neighbours(known, "mail") == set()
    assert neighbours(known, "nobody") == set()


def test_an_object_is_named_as_people_say_it():
    assert str(ObjectRef(kind="Deployment", namespace="shop", name="cart", container="app")) == (
        "Deployment shop/cart [app]"
    )
    assert str(ObjectRef(kind="Node", name="n1")) == "Node n1"
