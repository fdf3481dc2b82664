"""The metrics port's HTTP API; tests/real compares its answers with a real Prometheus."""

import re

import pytest
from starlette.testclient import TestClient

from toban_sandbox.metrics import api
from toban_sandbox.metrics.series import SeriesStore
from toban_sandbox.promql.labels import canonical

LABELS = canonical({"__name__": "requests_total", "path": 'a"b\\c\n'})
BUCKET = canonical({"__name__": "wait_seconds_bucket", "le": "+Inf"})


class Readings:
    def __init__(self):
        self.store = SeriesStore()
        self.store.scrape(60_000, [(LABELS, 3.0), (BUCKET, 1.0)])

    def now_ms(self):
        return 61_500

    def source(self):
        return self.store

    def current(self):
        return [(LABELS, 3.0), (BUCKET, 1.0), (canonical({"__name__": "heat"}), float("inf"))]

    def rule_groups(self):
        return [{"name": "g", "rules": [{"name": "r"}]}]

    def alerts(self):
        return [{"state": "firing"}]


@pytest.fixture
def client():
    with TestClient(api.build_app(Readings())) as client:
        yield client


def test_a_query_without_a_time_is_answered_for_now(client):
    data = client.get("/api/v1/query", params={"query": "requests_total"}).json()["data"]
    assert data["result"] == [{"metric": dict(LABELS), "value": [61.5, "3"]}]


def test_a_query_may_be_posted_as_a_form(client):
    posted = client.post("/api/v1/query", data={"query": "requests_total + 1", "time": "61"})
    assert posted.json()["data"]["result"][0]["value"] == [61, "4"]
    ranged = client.post("/api/v1/query_range", data={"query": "1", "start": "0", "end": "2", "step": "1s"})
    assert len(ranged.json()["data"]["result"][0]["values"]) == 3


def test_a_body_that_is_too_long_is_refused(client):
    assert client.post("/api/v1/query", data={"query": "1" * 1_100_000}).status_code == 400


def test_metrics_are_written_in_the_text_format(client):
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = answer.text.splitlines()
    assert "# TYPE requests_total counter" in lines
    assert "# TYPE wait_seconds histogram" in lines
    assert 'requests_total{path="a\\"b\\\\c\\n"} 3' in lines
    assert "heat +Inf" in lines
    assert answer.text.endswith("\n")


def test_rules_alerts_metadata_and_build_are_told(client):
    assert client.get("/api/v1/rules").json()["data"]["groups"][0]["rules"] == [{"name": "r"}]
    assert client.get("/api/v1/rules?type=record").json()["data"]["groups"][0]["rules"] == []
    assert client.get("/api/v1/rules?type=x").status_code == 400
    assert client.get("/api/v1/alerts").json() == {"status": "success", "data": {"alerts": [{"state": "firing"}]}}
    assert client.get("/api/v1/metadata").json()["data"]["requests_total"][0]["type"] == "counter"
    assert re.fullmatch(r"\d+\.\d+\.\d+", client.get("/api/v1/status/buildinfo").json()["data"]["version"])


def test_the_server_says_that_it_is_healthy_and_ready(client):
    assert client.get("/-/healthy").text == "Prometheus Server is Healthy.\n"
    assert client.get("/-/ready").text == "Prometheus Server is Ready.\n"


def test_an_expression_outside_the_subset_is_named_with_its_place(client):
    answer = client.get("/api/v1/query", params={"query": "sum(holt_winters(a[5m], 1, 1))"})
    assert answer.status_code == 400
    assert answer.json() == {
        "status": "error",
        "errorType": "bad_data",
        "error": 'invalid parameter "query": 1:5: parse error: unknown function with name "holt_winters"',
    }
