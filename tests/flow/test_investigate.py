"""Investigations: which reads are made, what happens when sources fail, and what comes out."""

import asyncio
from datetime import timedelta

import pytest

from support import objects as build
from toban.analysis import codes
from toban.errors import PermissionDeniedError, UpstreamError
from toban.flow import investigate
from toban.flow.settings import InvestigateSettings

MI = 1024 * 1024
SERVICES = {service.name: service for service in build.SHOP}


class FakeReader:
    """Answers reads from canned worlds; an exception in `broken` is raised for its action."""

    def __init__(self, inventory, *, series=None, lines=None, rules=None, broken=None, delay_s=0.0):
        self.inventory = inventory
        self.series = series or {}
        self.lines = lines or []
        self.rules = rules or []
        self.broken = broken or {}
        self.delay_s = delay_s
        self.calls = []
        self.running = self.most = 0

    async def read(self, action, params):
        self.calls.append((action, params))
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await asyncio.sleep(self.delay_s)
            if action in self.broken:
                raise self.broken[action]
            return self.answer(action, params)
        finally:
            self.running -= 1

    def answer(self, action, params):
        if action == "kubernetes.inventory":
            return self.inventory
        if action == "kubernetes.pod_logs":
            return {"lines": self.lines}
        if action == "prometheus.rule_state":
            return {"rules": self.rules}
        found = [one for name, one in self.series.items() if name in params["expr"]]
        return {"series": found[0] if found else [], "warnings": []}

    def asked(self, action):
        return [params for name, params in self.calls if name == action]


def crashing():
    form = build.template(limit="128Mi")
    owner = build.replicaset("cart", 1, form, replicas=2)
    last = build.terminated(code=3)
    pods = [
        build.pod(owner, number, state=build.waiting("CrashLoopBackOff"), last=last, restarts=3, ready=False)
        for number in (1, 2)
    ]
    return build.inventory(
        deployments=[build.deployment("cart", form, available=0)], replicasets=[owner], pods=pods,
        services=[build.service("cart")],
    )  # fmt: skip


def points(before, after):
    end = build.NOW.timestamp()
    values = [*before, *after]
    return [[end - 15 * (len(values) - 1 - index), value] for index, value in enumerate(values)]


async def run(reader, *, service="cart", alerts=None, timeout_s=30.0):
    return await investigate.investigate(
        reader,
        incident=build.incident(service),
        alerts=[build.alert(service_name=service)] if alerts is None else alerts,
        services=SERVICES,
        settings=InvestigateSettings(timeout_s=timeout_s),
        now=build.NOW,
    )


def found_codes(done):
    return {finding.code for finding in done.findings}


async def test_objects_metrics_rules_and_logs_are_read_and_become_findings():
    reader = FakeReader(
        crashing(),
        series={
            'code=~"5.."': [{"labels": {"service": "cart"}, "points": points([0.0] * 100, [0.4] * 4)}],
            "container_memory": [{"labels": {"pod": "cart-ccccccccc-ccccc"}, "points": points([90.0 * MI] * 100, [])}],
            "resource_limits": [{"labels": {"pod": "cart-ccccccccc-ccccc"}, "points": [[0, 96.0 * MI]]}],
        },
        lines=["starting", "KeyError: 'DB_HOST'"],
        rules=[{"name": "X", "query": "up == 0", "duration_s": 3, "alerts": [{"state": "firing", "labels": {}}]}],
    )

    done = await run(reader)

    assert found_codes(done) == {
        "alert.rule", "container.crash_loop", "deployment.unavailable", "log.env_missing", "metric.error_share",
        "metric.memory_near_limit",
    }  # fmt: skip
    assert done.missing == ()
    assert done.reads == len(reader.calls)
    assert {finding.service for finding in done.findings if finding.kind != "alert"} == {"cart"}


async def test_every_finding_has_the_facts_that_are_promised():
    reader = FakeReader(crashing(), lines=["panic: no"], rules=[{"name": "X", "query": "up"}])

    for finding in (await run(reader)).findings:
        assert set(finding.facts) == set(codes.FINDINGS[finding.code]), finding.code


async def test_metrics_are_asked_for_the_services_above_and_all_below():
    reader = FakeReader(build.inventory())

    await run(reader, service="checkout", alerts=[build.alert(service_name="checkout")])

    (request_rate,) = {
        params["expr"] for params in reader.asked("prometheus.query_range")
        if params["expr"].startswith("sum by (service)") and "[1m]" in params["expr"]
    }  # fmt: skip
    assert 'service=~"cart|cart-db|checkout|frontend|payment"' in request_rate


async def test_the_window_reaches_half_an_hour_back_and_ends_now():
    reader = FakeReader(build.inventory())

    await run(reader)

    asked = reader.asked("prometheus.query_range")[0]
    assert asked["step_s"] == 15
    assert asked["start"] == (build.START - timedelta(minutes=30)).isoformat()
    assert asked["end"] == build.NOW.isoformat()


async def test_a_wider_range_is_tried_where_samples_are_far_apart():
    reader = FakeReader(build.inventory())

    await run(reader)

    ranges = [params["expr"] for params in reader.asked("prometheus.query_range") if "http_server" in params["expr"]]
    assert sum("[1m]" in one for one in ranges) == sum("[5m]" in one for one in ranges) == 3


async def test_at_most_six_reads_run_at_once():
    reader = FakeReader(crashing(), delay_s=0.005)

    await run(reader, alerts=[build.alert(f"Rule{index}", "cart", number=index) for index in range(9)])

    assert 1 < reader.most <= 6


async def test_a_source_that_fails_is_missing_and_the_rest_goes_on():
    down = UpstreamError("connection refused")
    reader = FakeReader(crashing(), broken={"prometheus.query_range": down, "prometheus.query": down})

    done = await run(reader)

    assert "container.crash_loop" in found_codes(done)
    assert len(done.missing) == 1
    assert done.missing[0].startswith("prometheus: ")
    assert done.missing[0].endswith("connection refused")


async def test_objects_that_may_not_be_read_are_missing():
    reader = FakeReader(build.inventory(), broken={"kubernetes.inventory": PermissionDeniedError("no objects.read")})

    done = await run(reader)

    assert done.findings == ()
    assert done.missing == ("kubernetes: objects: no objects.read",)


async def test_what_an_inventory_lacks_is_told():
    reader = FakeReader({**build.inventory(), "missing": ["events: forbidden"]})

    assert (await run(reader)).missing == ("kubernetes: events: forbidden",)


async def test_a_source_that_never_answers_does_not_hold_up_the_answer():
    reader = FakeReader(crashing(), delay_s=60.0)
    loop = asyncio.get_running_loop()
    began = loop.time()

    done = await run(reader, timeout_s=0.2)

    assert loop.time() - began < 1.0
    assert done.findings == ()
    assert {entry.partition(":")[0] for entry in done.missing} == {"kubernetes", "prometheus"}
    assert all(entry.endswith("no answer in time") for entry in done.missing)
    assert reader.running == 0


def test_the_first_answer_comes_within_five_seconds():
    assert investigate.FIRST_ANSWER_S < 5


async def test_an_incident_without_a_known_service_looks_where_its_alerts_point():
    reader = FakeReader(crashing())

    done = await run(reader, service=None, alerts=[build.alert("NodeNotReady", None)])

    assert reader.asked("kubernetes.inventory") == [{"namespace": "shop"}]
    assert "container.crash_loop" in found_codes(done)


async def test_logs_are_read_of_six_containers_at_most_those_of_involved_services_first():
    names = ["catalog", "a", "b", "c", "d", "e", "f", "cart"]
    parts = []
    for name in names:
        owner = build.replicaset(name, 1, build.template(name))
        state, last = build.waiting("CrashLoopBackOff"), build.terminated()
        parts.append(build.pod(owner, state=state, last=last, restarts=2, ready=False))
        parts.append(owner)
    inventory = build.inventory(pods=parts[::2], replicasets=parts[1::2])
    reader = FakeReader(inventory)

    await run(reader)

    asked = reader.asked("kubernetes.pod_logs")
    assert len(asked) == 12
    assert {params["previous"] for params in asked} == {True, False}
    assert "cart" in {params["container"] for params in asked}


async def test_the_same_world_gives_the_same_findings_in_the_same_order():
    assert (await run(FakeReader(crashing(), lines=["panic"]))) == (await run(FakeReader(crashing(), lines=["panic"])))


@pytest.mark.parametrize("answer", [{}, {"series": None}, {"rules": None}])
async def test_answers_without_content_are_no_findings(answer):
    reader = FakeReader(build.inventory())
    reader.answer = lambda action, params: answer if action != "kubernetes.inventory" else {}

    done = await run(reader)

    assert done.findings == ()


async def test_alerts_that_ended_are_findings():
    ended = build.alert("CpuBurst", "catalog", ended=build.START + timedelta(seconds=12))

    (finding,) = (await run(FakeReader(build.inventory()), service="catalog", alerts=[ended])).findings

    assert finding.statement == "Alert CpuBurst ended after 12 s."
