"""The stage between investigation and plan: a thin one, over real findings."""

from support import objects as build
from toban.analysis import codes
from toban.flow import diagnose
from toban.model.diagnosis import Diagnosis, Verdict

SERVICES = {service.name: service for service in build.SHOP}


def memory_kill():
    form = build.template(limit="128Mi")
    owner = build.replicaset("cart", 1, form, replicas=1)
    state, last = build.waiting("CrashLoopBackOff"), build.terminated("OOMKilled", 137)
    pod = build.pod(owner, state=state, last=last, restarts=3, ready=False)
    return build.analyze(build.inventory(deployments=[build.deployment("cart", form)], replicasets=[owner], pods=[pod]))


def run(findings, missing=()):
    return diagnose.diagnose(
        incident=build.incident("cart"),
        alerts=[build.alert()],
        findings=findings,
        services=SERVICES,
        missing=missing,
        now=build.NOW,
    )


def test_findings_become_a_diagnosis_that_survives_being_stored():
    diagnosis = run(memory_kill())

    assert diagnosis.verdict is Verdict.LIKELY
    assert diagnosis.made_at == build.NOW
    assert Diagnosis.model_validate_json(diagnosis.model_dump_json()) == diagnosis


def test_the_facts_of_a_cause_are_those_that_are_promised():
    (hypothesis,) = run(memory_kill()).hypotheses

    assert set(hypothesis.facts) == {*codes.CAUSES["memory_limit"], "deployment"}


def test_the_timeline_gets_verdict_cause_and_evidence():
    assert diagnose.timeline_facts(run(memory_kill(), ("prometheus: all: down",))) == {
        "verdict": "likely",
        "cause": "memory_limit",
        "confidence": 0.8808,
        "subject": "Deployment shop/cart [cart]",
        "supports": 1,
        "contradicts": 0,
        "missing": ["prometheus: all: down"],
    }


def test_the_timeline_of_an_inconclusive_diagnosis_names_no_cause():
    facts = diagnose.timeline_facts(run([]))

    assert (facts["verdict"], facts["cause"], facts["confidence"]) == ("inconclusive", "", 0.0)
