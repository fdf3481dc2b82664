"""The risk table is SAFETY's, a workspace can only be stricter, and circumstances only raise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toban.errors import ConfigurationError
from toban.governance import policy
from toban.governance.policy import Autonomy, CellSettings, Outcome, Policy, PolicySettings, Rule
from toban.model.environment import Environment
from toban.model.risk import RiskLevel

D, S, P = Environment
READ, LOW, MEDIUM, HIGH, CRITICAL = RiskLevel
CALM = {
    "targets": 1,
    "touched": 1,
    "total": 4,
    "namespace": "shop",
    "dry_run_possible": True,
    "changed_recently": False,
    "last_replica_to_zero": False,
    "environment": D,
}
WORRIES = {
    "targets": 2,
    "touched": 2,
    "namespace": "kube-system",
    "dry_run_possible": False,
    "changed_recently": True,
}
cells = st.builds(
    CellSettings,
    approvals=st.none() | st.integers(0, 5),
    needs_window=st.none() | st.booleans(),
    fresh_sign_in=st.none() | st.booleans(),
    manual=st.none() | st.booleans(),
    approve_within_s=st.none() | st.integers(60, 20_000),
)
tables = st.dictionaries(
    st.sampled_from(Environment), st.dictionaries(st.sampled_from(RiskLevel), cells, max_size=5), max_size=3
)


@pytest.mark.parametrize(
    ("risk", "environment", "outcome", "approvals"),
    [
        (READ, D, Outcome.AUTO, 0),
        (READ, S, Outcome.AUTO, 0),
        (READ, P, Outcome.AUTO, 0),
        (LOW, D, Outcome.AUTO, 0),
        (LOW, S, Outcome.APPROVALS, 1),
        (LOW, P, Outcome.APPROVALS, 2),
        (MEDIUM, D, Outcome.APPROVALS, 1),
        (MEDIUM, S, Outcome.APPROVALS, 1),
        (MEDIUM, P, Outcome.APPROVALS, 2),
        (HIGH, D, Outcome.APPROVALS, 2),
        (HIGH, S, Outcome.APPROVALS, 2),
        (HIGH, P, Outcome.APPROVALS, 2),
        (CRITICAL, D, Outcome.MANUAL, 0),
        (CRITICAL, S, Outcome.MANUAL, 0),
        (CRITICAL, P, Outcome.MANUAL, 0),
    ],
)
def test_the_table_as_it_stands_decides_under_auto_limited(risk, environment, outcome, approvals):
    decision = Policy().decide(risk, environment, Autonomy.AUTO_LIMITED)
    assert (decision.outcome, decision.approvals) == (outcome, approvals)
    assert decision.reasons


def test_only_high_risk_in_production_needs_a_window_and_a_fresh_sign_in():
    marked = [
        (risk, environment)
        for risk in RiskLevel
        for environment in Environment
        if Policy().rule(risk, environment).needs_window and Policy().rule(risk, environment).fresh_sign_in
    ]
    assert marked == [(HIGH, P)]


def test_high_risk_has_half_an_hour_for_its_approvals_and_the_rest_four_hours():
    times = {risk: Policy().rule(risk, S).approve_within_s for risk in RiskLevel}
    assert times == {READ: 14_400, LOW: 14_400, MEDIUM: 14_400, HIGH: 1_800, CRITICAL: 14_400}


def test_the_defaults_are_auto_limited_in_development_and_approve_elsewhere():
    assert [Policy().autonomy_in(environment) for environment in Environment] == [
        Autonomy.AUTO_LIMITED,
        Autonomy.APPROVE,
        Autonomy.APPROVE,
    ]
    assert Policy().decide(LOW, D).outcome is Outcome.AUTO


@pytest.mark.parametrize("environment", list(Environment))
@pytest.mark.parametrize(
    ("autonomy", "low", "critical"),
    [
        (Autonomy.OBSERVE, Outcome.OBSERVE_ONLY, Outcome.OBSERVE_ONLY),
        (Autonomy.SUGGEST, Outcome.SUGGEST_ONLY, Outcome.MANUAL),
        (Autonomy.APPROVE, Outcome.APPROVALS, Outcome.MANUAL),
    ],
)
def test_less_autonomy_lets_less_run_but_always_lets_toban_read(environment, autonomy, low, critical):
    assert Policy().decide(LOW, environment, autonomy).outcome is low
    assert Policy().decide(CRITICAL, environment, autonomy).outcome is critical
    assert Policy().decide(READ, environment, autonomy).outcome is Outcome.AUTO


def test_under_approve_what_would_run_by_itself_needs_one_approval():
    decision = Policy().decide(LOW, D, Autonomy.APPROVE)
    assert (decision.outcome, decision.approvals) == (Outcome.APPROVALS, 1)
    assert len(decision.reasons) == 2


def test_a_failed_verification_lowers_autonomy_by_one_down_to_observe():
    level, seen = Autonomy.AUTO_LIMITED, []
    for _ in range(4):
        level = level.lowered()
        seen.append(level)
    assert seen == [Autonomy.APPROVE, Autonomy.SUGGEST, Autonomy.OBSERVE, Autonomy.OBSERVE]


# --- circumstances ---------------------------------------------------------------------------------------------------


def test_without_any_worry_the_base_stays():
    for base in RiskLevel:
        assert policy.assess(base, **CALM) == (base, ())


@pytest.mark.parametrize("worry", WORRIES)
def test_each_worry_alone_raises_by_one_level_and_says_why(worry):
    risk, reasons = policy.assess(LOW, **CALM | {worry: WORRIES[worry]})
    assert risk is MEDIUM
    assert len(reasons) == 1


def test_all_worries_together_raise_to_high_and_never_to_critical():
    assert policy.assess(LOW, **CALM | WORRIES)[0] is HIGH
    assert len(policy.assess(LOW, **CALM | WORRIES)[1]) == 5


@pytest.mark.parametrize("base", [READ, CRITICAL])
def test_reading_and_critical_stay_what_they_are(base):
    assert policy.assess(base, **CALM | WORRIES)[0] is base


@pytest.mark.parametrize(("touched", "total", "raised"), [(1, 4, 0), (2, 4, 1), (25, 100, 0), (26, 100, 1), (0, 0, 0)])
def test_more_than_a_quarter_of_the_replicas_raises(touched, total, raised):
    assert len(policy.assess(LOW, **CALM | {"touched": touched, "total": total})[1]) == raised


def test_an_unknown_total_counts_as_a_large_share():
    assert policy.assess(LOW, **CALM | {"touched": 1, "total": 0}) == (
        MEDIUM,
        ("it touches an unknown share of the replicas",),
    )


@pytest.mark.parametrize(("environment", "risk"), [(P, CRITICAL), (S, LOW), (D, LOW)])
def test_the_last_replica_to_zero_is_critical_in_production(environment, risk):
    found = CALM | {"last_replica_to_zero": True, "environment": environment}
    assert policy.assess(LOW, **found)[0] is risk


def test_a_namespace_that_the_policy_protects_raises_too():
    assert policy.assess(LOW, **CALM, protected=("shop",))[0] is MEDIUM


@given(base=st.sampled_from(RiskLevel), advised=st.sampled_from(RiskLevel))
def test_a_models_opinion_only_raises(base, advised):
    risk, _ = policy.assess(base, **CALM, advised=advised)
    assert risk.rank == max(base.rank, advised.rank)


def test_the_highest_of_some_levels():
    assert policy.highest([LOW, HIGH, READ]) is HIGH
    assert policy.highest([]) is READ


# --- configuration ---------------------------------------------------------------------------------------------------


def settings(**cell):
    return PolicySettings(cells={P: {LOW: CellSettings(**cell)}})


def test_no_settings_give_the_built_in_policy():
    assert policy.load(PolicySettings()) == Policy()


@pytest.mark.parametrize(
    "cell",
    [{"approvals": 3}, {"needs_window": True}, {"fresh_sign_in": True}, {"manual": True}, {"approve_within_s": 60}],
)
def test_a_cell_can_become_stricter(cell):
    rule = policy.load(settings(**cell)).rule(LOW, P)
    assert rule.model_dump().items() >= cell.items()
    assert rule.missing(Policy().rule(LOW, P)) == []


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ({"approvals": 1}, "approvals 1 is less than 2"),
        ({"approvals": 0}, "approvals 0 is less than 2"),
        ({"approve_within_s": 14_401}, "approve_within_s 14401 is more than 14400"),
    ],
)
def test_a_weaker_cell_is_refused_by_name(cell, told):
    with pytest.raises(ConfigurationError) as refused:
        policy.load(settings(**cell))
    assert refused.value.problems == [f"policy.cells.production.LOW_RISK: weaker than the built-in rule: {told}"]


def test_every_weaker_cell_is_named():
    weak = {
        P: {HIGH: CellSettings(needs_window=False, fresh_sign_in=False), CRITICAL: CellSettings(manual=False)},
        S: {LOW: CellSettings(approvals=0)},
    }
    with pytest.raises(ConfigurationError) as refused:
        policy.load(PolicySettings(cells=weak))
    assert sorted(problem.split(":")[0] for problem in refused.value.problems) == [
        "policy.cells.production.CRITICAL",
        "policy.cells.production.HIGH_RISK",
        "policy.cells.production.HIGH_RISK",
        "policy.cells.staging.LOW_RISK",
    ]


def test_a_stricter_cell_lifts_the_riskier_ones_of_its_environment_alone():
    loaded = policy.load(settings(approvals=4))
    assert [loaded.rule(risk, P).approvals for risk in (LOW, MEDIUM, HIGH)] == [4, 4, 4]
    assert loaded.rule(MEDIUM, S) == Policy().rule(MEDIUM, S)


@given(own=tables)
def test_whatever_loads_is_as_strict_as_the_table_and_never_falls_with_the_risk(own):
    try:
        loaded = policy.load(PolicySettings(cells=own))
    except ConfigurationError:
        return
    for environment in Environment:
        for risk in RiskLevel:
            assert loaded.rule(risk, environment).missing(Policy().rule(risk, environment)) == []
        for lower, higher in ((LOW, MEDIUM), (MEDIUM, HIGH), (HIGH, CRITICAL)):
            assert loaded.rule(higher, environment).missing(loaded.rule(lower, environment)) == []


def test_autonomy_and_protected_namespaces_are_taken_over():
    own = PolicySettings(autonomy={P: Autonomy.SUGGEST}, protected_namespaces=("payments", "toban"))
    loaded = policy.load(own)
    assert loaded.autonomy_in(P) is Autonomy.SUGGEST
    assert loaded.autonomy_in(D) is Autonomy.AUTO_LIMITED
    assert loaded.protected_namespaces == ("kube-system", "kube-public", "kube-node-lease", "toban", "payments")


def test_the_version_is_the_content():
    assert Policy().version == policy.load(PolicySettings()).version
    changed = [
        policy.load(settings(approvals=3)),
        policy.load(PolicySettings(autonomy={S: Autonomy.OBSERVE})),
        policy.load(PolicySettings(protected_namespaces=("payments",))),
    ]
    assert len({one.version for one in [Policy(), *changed]}) == 4


def test_a_level_without_a_row_is_never_run():
    assert Policy(table=()).decide(LOW, D).outcome is Outcome.MANUAL


def test_a_manual_rule_is_as_strict_as_any():
    assert Rule(manual=True).missing(Rule(approvals=9, needs_window=True)) == []
    assert not Rule(manual=True).automatic
