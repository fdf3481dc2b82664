"""Diagnoses of whole situations: the right cause first, with honest confidence, and facts for a runbook."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import objects as build
from toban.analysis import codes, logs, rootcause
from toban.model import finding as finding_model
from toban.model.diagnosis import Verdict
from toban.model.finding import FindingKind
from toban.model.service import ObjectRef

_BY_KIND = {"deployment", "configmap", "secret"}


def diagnose(findings, *, alerts=None, service="cart", services=build.SHOP, missing=()):
    alerts = [build.alert(service_name=service)] if alerts is None else alerts
    diagnosis = rootcause.join(build.incident(service), alerts, findings, services, build.NOW, missing)
    for hypothesis in diagnosis.hypotheses:  # whatever a test is about, pages can translate what comes out
        assert set(hypothesis.facts) - _BY_KIND == set(codes.CAUSES[hypothesis.cause]), hypothesis.cause
    return diagnosis


def world(state=None, *, new=None, old=None, minutes=5, name="cart", pods=2, **status):
    """A deployment with its pods in one state; rolled out `minutes` before the start when `old` is given."""
    new = new or build.template(name, f"shop/{name}:1.0")
    sets = [build.replicaset(name, 2, new, created=build.ago(minutes=minutes), replicas=pods)]
    if old:
        sets.insert(0, build.replicaset(name, 1, old))
    return build.inventory(
        deployments=[build.deployment(name, new, revision=2, available=0 if state else pods)],
        replicasets=sets,
        pods=[build.pod(sets[-1], number + 1, state=state, **status) for number in range(pods)],
        services=[build.service(name)],
    )


def memory_kill(**more):
    last = build.terminated("OOMKilled", 137)
    return world(build.waiting("CrashLoopBackOff"), last=last, restarts=3, ready=False, **more)


def memory_kills():
    return build.analyze(memory_kill(new=build.template(limit="128Mi")))


def log_finding(line, name="cart", peers=None):
    subject = ObjectRef(kind="Deployment", namespace="shop", name=name, container=name)
    return logs.findings([line], logs.Source(subject, name, "pod", "logs", build.NOW), peers=peers or {})


def ended_alert(seconds=12):
    alert = build.alert("CpuBurst", "catalog", ended=build.START + timedelta(seconds=seconds))
    finding = finding_model.make(
        kind=FindingKind.ALERT,
        code="alert.ended",
        subject=ObjectRef(kind="Alert", name="CpuBurst"),
        service="catalog",
        statement="Alert CpuBurst ended.",
        facts={"alert": "CpuBurst", "seconds": seconds},
        source="alertmanager",
        query="alert",
        observed_at=build.NOW,
    )
    return alert, finding


def rivals(diagnosis):
    return {hypothesis.cause: hypothesis.confidence for hypothesis in reversed(diagnosis.hypotheses)}


def test_memory_kills_are_the_limits_fault_and_suggest_a_higher_one():
    findings = memory_kills()
    peak = build.metric("memory", "cart", peak=300 * 1024 * 1024)

    diagnosis = diagnose([*findings, peak])

    best = diagnosis.best
    assert (diagnosis.verdict, best.cause, best.service) == (Verdict.LIKELY, "memory_limit", "cart")
    assert best.statement == "Container cart of Deployment shop/cart needs more memory than its limit of 128Mi."
    wanted = {"namespace": "shop", "deployment": "cart", "container": "cart", "limit": "128Mi"}
    assert wanted.items() <= best.facts.items()
    assert best.facts["suggested_limit"] == "400Mi"
    assert best.explains == ("ALR-0001",)


def test_a_rollout_that_kept_the_limit_is_not_blamed_for_memory_kills():
    form = build.template(limit="128Mi")
    again = build.template(image="shop/cart:1.1", limit="128Mi")
    symptom = build.metric("error_share", "cart")

    diagnosis = diagnose([*build.analyze(memory_kill(new=again, old=form)), symptom])

    assert diagnosis.best.cause == "memory_limit"
    assert rivals(diagnosis)["bad_rollout"] < 0.5


def test_a_rollout_that_lowered_the_limit_is_blamed_for_memory_kills():
    lowered, before = build.template(limit="128Mi"), build.template(limit="512Mi")

    diagnosis = diagnose(build.analyze(memory_kill(new=lowered, old=before)))

    assert (diagnosis.verdict, diagnosis.best.cause) == (Verdict.LIKELY, "bad_rollout")
    assert diagnosis.best.facts["previous_revision"] == 1
    assert rivals(diagnosis)["memory_limit"] < 0.5


def test_an_image_that_a_rollout_brought_asks_for_a_rollback():
    bad, before = build.template(image="shop/cart:nope"), build.template()
    findings = build.analyze(world(build.waiting("ImagePullBackOff", "not found"), new=bad, old=before))

    best = diagnose(findings).best

    assert best.cause == "bad_rollout"
    assert best.statement == "Revision 2 of Deployment shop/cart uses image shop/cart:nope, which cannot be pulled."
    assert (best.facts["revision"], best.facts["previous_revision"]) == (2, 1)
    assert "container.image_unavailable" in {
        finding.code for finding in findings for evidence in best.supports if evidence.finding_id == finding.id
    }


def test_an_image_that_was_always_there_is_its_own_cause():
    form = build.template(image="shop/cart:gone")
    again = build.template(image="shop/cart:gone", env={"A": "1"})

    diagnosis = diagnose(build.analyze(world(build.waiting("ImagePullBackOff"), new=again, old=form)))

    assert diagnosis.best.cause == "image_unavailable"
    assert rivals(diagnosis)["bad_rollout"] < 0.5


def test_missing_configuration_that_the_old_revision_needs_too_is_not_the_rollouts_fault():
    new = build.template(image="shop/cart:1.1", references=["cart-config"])
    old = build.template(references=["cart-config"])
    waiting = build.waiting("CreateContainerConfigError", 'configmap "cart-config" not found')
    symptom = build.metric("error_share", "cart")

    diagnosis = diagnose([*build.analyze(world(waiting, new=new, old=old)), symptom])

    best = diagnosis.best
    assert (diagnosis.verdict, best.cause, best.facts["configmap"]) == (Verdict.LIKELY, "config_missing", "cart-config")
    assert best.statement == "ConfigMap shop/cart-config, which Deployment shop/cart needs, does not exist."
    assert rivals(diagnosis)["bad_rollout"] < 0.5


def test_configuration_that_only_the_new_revision_needs_is_the_rollouts_fault():
    waiting = build.waiting("CreateContainerConfigError", 'configmap "cart-config" not found')
    new = build.template(references=["cart-config"])

    assert diagnose(build.analyze(world(waiting, new=new, old=build.template()))).best.cause == "bad_rollout"


def test_a_crash_for_want_of_a_variable_is_missing_configuration():
    crash = world(build.waiting("CrashLoopBackOff"), last=build.terminated(), restarts=3, ready=False)
    findings = [*build.analyze(crash), *log_finding("KeyError: 'DB_HOST'")]

    best = diagnose(findings).best

    assert (best.cause, best.facts["missing_key"]) == ("config_missing", "DB_HOST")


def test_a_crash_without_a_better_reason_is_the_applications():
    crash = world(build.waiting("CrashLoopBackOff"), last=build.terminated(code=3), restarts=3, ready=False)

    best = diagnose([*build.analyze(crash), *log_finding("panic: index out of range")]).best

    assert (best.cause, best.facts["exit_code"]) == ("crash", 3)
    assert best.facts["last_words"] == "panic: index out of range"


def test_a_crash_that_began_with_a_rollout_is_the_rollouts():
    last = build.terminated(finished=build.ago(seconds=5))
    crash = world(
        build.waiting("CrashLoopBackOff"), last=last, restarts=2, ready=False,
        new=build.template(image="shop/cart:1.1"), old=build.template(), minutes=1,
    )  # fmt: skip

    assert diagnose(build.analyze(crash)).best.cause == "bad_rollout"


def rollout(name="payment", minutes=1.0, image="shop/payment:2.0"):
    return build.analyze(world(name=name, new=build.template(name, image), old=build.template(name), minutes=minutes))


def test_a_release_with_errors_is_found_by_metrics_alone_and_explains_its_callers():
    symptoms = [build.metric("error_share", name) for name in ("payment", "checkout", "frontend")]
    alerts = [
        build.alert(service_name=name, number=index) for index, name in enumerate(("frontend", "checkout", "payment"))
    ]
    herrings = [*rollout("checkout", 10, "shop/checkout:3"), *rollout("catalog", 10, "shop/catalog:3")]

    diagnosis = diagnose([*rollout(), *herrings, *symptoms], alerts=alerts, service="frontend")

    best = diagnosis.best
    assert (diagnosis.verdict, best.cause, best.service) == (Verdict.LIKELY, "bad_rollout", "payment")
    assert set(best.explains) == {alert.id for alert in alerts}
    others = [hypothesis for hypothesis in diagnosis.hypotheses if hypothesis.service in {"checkout", "catalog"}]
    assert len(others) == 2
    assert all(hypothesis.confidence < 0.2 for hypothesis in others)


def test_suspicion_of_a_rollout_falls_with_time():
    symptom = build.metric("error_share", "payment")
    confidence = [
        diagnose([*rollout(minutes=minutes), symptom], service="payment").hypotheses[0].confidence
        for minutes in (1, 15, 60, 115)
    ]

    assert confidence == sorted(set(confidence), reverse=True)
    assert confidence[0] > 0.9


def test_a_rollout_after_the_start_is_no_cause():
    late = rollout(minutes=-0.5)

    diagnosis = diagnose([*late, build.metric("error_share", "payment")], service="payment")

    assert diagnosis.verdict is Verdict.INCONCLUSIVE
    assert "after" in late[0].statement


def test_a_symptom_that_was_there_before_the_rollout_speaks_against_it():
    early = build.metric("error_share", "payment", onset=build.START - timedelta(minutes=8))

    diagnosis = diagnose([*rollout(), early], service="payment")

    (hypothesis,) = diagnosis.hypotheses
    assert any("before the rollout" in evidence.why for evidence in hypothesis.contradicts)


def test_a_rollout_without_a_measured_symptom_stays_inconclusive():
    diagnosis = diagnose(rollout(), service="payment")

    assert diagnosis.verdict is Verdict.INCONCLUSIVE
    assert diagnosis.best is None
    assert diagnosis.summary.startswith("No cause was found.")


def test_trouble_that_no_alerting_service_depends_on_is_not_the_cause():
    elsewhere = build.analyze(memory_kill(name="catalog", new=build.template("catalog", limit="128Mi")))

    diagnosis = diagnose([*elsewhere, build.metric("error_share", "payment")], service="payment")

    assert diagnosis.verdict is Verdict.INCONCLUSIVE


def test_a_callees_trouble_explains_a_crashing_caller():
    down = build.analyze(
        world(build.waiting("CrashLoopBackOff"), last=build.terminated(), restarts=3, ready=False, name="checkout"),
        memory_kill(name="payment", new=build.template("payment", limit="128Mi")),
    )
    said = log_finding("connection to server at payment:80 refused", "checkout", {"payment": "payment"})

    diagnosis = diagnose([*down, *said], service="checkout")

    assert (diagnosis.best.cause, diagnosis.best.service) == ("memory_limit", "payment")
    assert "dependency" not in rivals(diagnosis)


def test_a_silent_callee_of_which_nothing_is_known_is_named_as_a_dependency():
    said = log_finding("connection to server at db.example:5432 refused")
    crash = world(build.waiting("CrashLoopBackOff"), last=build.terminated(), restarts=3, ready=False)

    best = diagnose([*build.analyze(crash), *said]).best

    assert (best.cause, best.facts["host"], best.facts["caller"]) == ("dependency", "db.example", "cart")


@pytest.mark.parametrize(("condition", "status"), [("Ready", "False"), ("MemoryPressure", "True")])
def test_a_node_in_trouble_is_the_cause_only_where_it_runs_the_service(condition, status):
    inventory = build.healthy("cart")
    inventory["nodes"] = [build.node("node-1", **{condition: status})]
    for pod in inventory["pods"]:
        pod["spec"] = {**pod["spec"], "nodeName": "node-1"}
    findings = build.analyze(inventory)

    assert diagnose(findings).hypotheses[0].cause == "node_problem"
    assert diagnose(findings).hypotheses[0].confidence > 0.5
    assert diagnose(findings, service="payment").verdict is Verdict.INCONCLUSIVE


def test_no_room_in_the_cluster_is_named():
    inventory = world(build.waiting("x"))
    for pod in inventory["pods"]:
        pod["status"]["conditions"] = [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "3 Insufficient cpu."}
        ]

    best = diagnose(build.analyze(inventory)).best

    assert (best.cause, best.statement) == (
        "capacity",
        "The cluster has no room for Deployment shop/cart for lack of cpu.",
    )


def test_an_alert_that_ended_by_itself_is_said_so_and_is_no_cause():
    alert, finding = ended_alert()

    diagnosis = diagnose([finding], alerts=[alert], service="catalog")

    assert diagnosis.verdict is Verdict.INCONCLUSIVE
    assert diagnosis.summary == (
        "Alert CpuBurst ended by itself after 12 s. No cause was found. "
        "Looked at: objects, metrics; nothing there is wrong."
    )


def test_without_findings_the_summary_says_what_was_not_read():
    missing = ("kubernetes: objects: connection refused", "prometheus: latency: no answer in time")

    diagnosis = diagnose([], missing=missing)

    assert diagnosis.verdict is Verdict.INCONCLUSIVE
    assert diagnosis.summary == f"No cause was found. Not read: {'; '.join(missing)}."
    assert diagnosis.missing == missing


def test_two_causes_that_fit_equally_well_are_not_told_apart():
    both = build.analyze(
        memory_kill(new=build.template(limit="128Mi")),
        memory_kill(name="payment", new=build.template("payment", limit="128Mi")),
    )

    diagnosis = diagnose(both, service="checkout")

    assert diagnosis.verdict is Verdict.INCONCLUSIVE
    assert diagnosis.summary.startswith("Two causes fit equally well:")


def test_one_missing_configmap_that_stops_two_services_is_one_fault():
    waiting = build.waiting("CreateContainerConfigError", 'configmap "common" not found')
    both = build.analyze(world(waiting), world(waiting, name="payment"))

    assert diagnose(both, service="checkout").best.cause == "config_missing"


def test_only_the_latest_of_what_was_seen_again_and_again_counts():
    (seen,) = [one for one in memory_kills() if one.code == "container.oom_killed"]
    body = seen.model_dump(exclude={"id", "digest"})
    looks = [
        finding_model.make(
            **body | {"facts": seen.facts | {"restarts": number}, "observed_at": build.NOW + timedelta(seconds=number)}
        )
        for number in range(1, 10)
    ]

    diagnosis = diagnose(looks)

    assert len(diagnosis.hypotheses) == 1
    assert diagnosis.best.facts["restarts"] == 9


def test_services_that_call_each_other_do_not_explain_each_other_away():
    services = [build.known("payment", "ledger"), build.known("ledger", "payment")]
    symptoms = [build.metric("error_share", name) for name in ("payment", "ledger")]

    diagnosis = diagnose([*rollout(), *symptoms], service="payment", services=services)

    assert (diagnosis.verdict, diagnosis.best.cause) == (Verdict.LIKELY, "bad_rollout")


def everything():
    return [
        *memory_kills(),
        *rollout(),
        *rollout("catalog", 10, "shop/catalog:2"),
        build.metric("error_share", "cart"),
        build.metric("error_share", "checkout"),
        build.metric("latency_p95", "frontend", unit="s"),
        *log_finding("panic: out of range"),
    ]


@given(st.randoms(use_true_random=False))
def test_the_same_input_in_any_order_gives_the_same_bytes(shuffler):
    findings, services = everything(), list(build.SHOP)
    alerts = [build.alert(service_name=name, number=index) for index, name in enumerate(("cart", "frontend"))]
    expected = diagnose(findings, alerts=alerts, services=services).model_dump_json()
    for part in (findings, alerts, services):
        shuffler.shuffle(part)

    assert diagnose(findings, alerts=alerts, services=services).model_dump_json() == expected


@given(st.sets(st.integers(0, 40)))
def test_whatever_is_known_the_diagnosis_is_well_formed(chosen):
    findings = [finding for index, finding in enumerate(everything()) if index in chosen]

    diagnosis = diagnose(findings)

    known = {finding.id for finding in findings}
    confidence = [hypothesis.confidence for hypothesis in diagnosis.hypotheses]
    assert confidence == sorted(confidence, reverse=True)
    assert all(0 < one < 1 for one in confidence)
    for hypothesis in diagnosis.hypotheses:
        evidence = [*hypothesis.supports, *hypothesis.contradicts]
        assert {one.finding_id for one in evidence} <= known
        assert all(one.weight > 0 and one.why for one in evidence)
    ids = [node.id for node in diagnosis.nodes]
    assert len(ids) == len(set(ids))
    assert all({edge.cause, edge.effect} <= set(ids) and 0 < edge.weight <= 1 for edge in diagnosis.edges)
