"""Prometheus's read actions against its answers and its failures, without a network."""

import asyncio
import socket
from urllib.parse import parse_qs

import httpx2
import pytest

from toban.errors import UpstreamError, UpstreamRefusedError
from toban.integrations.prometheus import Settings, client
from toban.integrations.prometheus.provider import PrometheusActions
from toban.plugins.action import gate_open

RANGE = {"expr": "up", "start": "2026-11-21T03:00:00Z", "end": "2026-11-21T04:00:00Z", "step_s": 15}


def success(kind, result, **more):
    return httpx2.Response(200, json={"status": "success", "data": {"resultType": kind, "result": result}, **more})


def failure(code, words="", **headers):
    body = {"status": "error", "errorType": "bad_data", "error": words}
    return httpx2.Response(code, json=body, headers={key.replace("_", "-"): value for key, value in headers.items()})


async def read(answers, action="prometheus.query", settings=None, **params):
    """What the action gives, and the requests that it took. An answer is a response, an exception, or a sleep in s."""
    requests, left = [], list(answers if isinstance(answers, list) else [answers])

    async def answer(request):
        requests.append(request)
        now = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(now, Exception):
            raise now
        if isinstance(now, float):
            await asyncio.sleep(now)
        return now

    given = {"url": "http://prometheus.example:9090/prom/", "timeout_s": 2, **(settings or {})}
    provider = PrometheusActions(Settings(**given), transport=httpx2.MockTransport(answer))
    chosen = next(one for one in provider.actions() if one.spec.name == action)
    try:
        with gate_open():
            return await chosen.read(chosen.parameters(**(params or {"expr": "up"}))), requests
    finally:
        await provider.close()


async def refused(answers, kind=UpstreamError, **more):
    with pytest.raises(UpstreamError) as caught:
        await read(answers, **more)
    assert type(caught.value) is kind
    return caught.value


async def test_a_query_gives_series_with_labels_and_points():
    result, (request,) = await read(
        success(
            "vector", [{"metric": {"__name__": "up", "job": "x"}, "value": [1790000000.5, "1"]}], warnings=["slow"]
        ),
        expr='up{job="x"}',
        at="2026-11-21T03:00:00Z",
    )
    labels = {"__name__": "up", "job": "x"}
    assert result == {"series": [{"labels": labels, "points": [[1790000000.5, 1.0]]}], "warnings": ["slow"]}
    assert str(request.url) == "http://prometheus.example:9090/prom/api/v1/query"
    assert parse_qs(request.content.decode()) == {"query": ['up{job="x"}'], "time": ["1795230000.000"]}


async def test_a_range_query_asks_for_the_span_and_gives_every_point():
    result, (request,) = await read(
        success("matrix", [{"metric": {}, "values": [[1, "1"], [2, "NaN"], [3, "+Inf"], [4, "-Inf"], [5, "2.5"]]}]),
        "prometheus.query_range",
        **RANGE,
    )
    assert result["series"] == [{"labels": {}, "points": [[1.0, 1.0], [5.0, 2.5]]}]
    assert parse_qs(request.content.decode())["step"] == ["15.000"]


async def test_a_scalar_is_one_series_without_labels():
    result, _ = await read(success("scalar", [7, "42"]))
    assert result == {"series": [{"labels": {}, "points": [[7.0, 42.0]]}], "warnings": []}


async def test_native_histograms_are_left_out_with_a_warning():
    result, _ = await read(success("vector", [{"metric": {}, "histogram": [1, {"count": "1"}]}]))
    assert result == {"series": [], "warnings": ["1 series of native histograms are left out"]}


async def test_the_token_is_sent_and_never_shown():
    _, (request,) = await read(success("vector", []), settings={"token": "hidden-token"})
    assert request.headers["authorization"] == "Bearer hidden-token"
    error = await refused(failure(401), UpstreamRefusedError, settings={"token": "hidden-token"})
    assert "hidden-token" not in str(error)


async def test_the_state_of_a_rule_is_found_by_its_exact_name():
    alert = {"labels": {"pod": "a"}, "state": "firing", "activeAt": "2026-11-21T03:00:00Z", "value": "1e+00"}
    odd = {**alert, "value": "NaN"}
    rule = {
        "type": "alerting", "name": "Down", "query": "up == 0", "duration": 60, "labels": {"severity": "high"},
        "state": "firing", "health": "ok", "lastEvaluation": "2026-11-21T03:01:00Z", "alerts": [alert, odd],
    }  # fmt: skip
    others = [{**rule, "name": "DownToo"}, {"type": "recording", "name": "Down", "query": "1"}]
    data = {"groups": [{"name": "g", "rules": [others[0], rule]}, {"name": "h", "rules": [others[1]]}]}
    answer = httpx2.Response(200, json={"status": "success", "data": data})
    result, _ = await read(answer, "prometheus.rule_state", alert_name="Down")
    (found,) = result["rules"]
    assert (found["name"], found["query"], found["duration_s"], found["health"]) == ("Down", "up == 0", 60.0, "ok")
    assert found["alerts"][0] == {
        "labels": {"pod": "a"}, "state": "firing", "active_at": "2026-11-21T03:00:00Z", "value": 1.0,
    }  # fmt: skip
    assert found["alerts"][1]["value"] is None


async def test_a_bad_expression_is_refused_in_prometheus_own_words():
    for code in (400, 422):
        words = "1:4: parse error: unexpected end of input"
        assert words in (await refused(failure(code, words), UpstreamRefusedError)).message


async def test_a_missing_permission_names_the_setting_to_check():
    for code in (401, 403):
        error = await refused(failure(code), UpstreamRefusedError)
        assert "integrations.prometheus.token" in error.message
        assert error.retry_after is None


async def test_a_redirect_is_not_followed():
    moved = httpx2.Response(302, headers={"location": "http://169.254.169.254/"})
    assert "integrations.prometheus.url" in (await refused(moved, UpstreamRefusedError)).message


@pytest.mark.parametrize(
    "trouble", [failure(503, "loading"), failure(429), httpx2.ConnectError("refused"), httpx2.ReadError("reset")]
)
async def test_a_passing_trouble_is_survived_by_trying_again(trouble):
    result, requests = await read([trouble, trouble, success("vector", [])])
    assert result["series"] == []
    assert len(requests) == 3


async def test_a_lasting_trouble_is_given_up_after_two_more_tries():
    with pytest.raises(UpstreamError, match=r"prometheus\.example:9090") as caught:
        await read(failure(503, "loading"))
    assert caught.value.retry_after == 5


async def test_a_refusal_is_not_tried_again():
    answers = [failure(400, "no"), success("vector", [])]
    assert "no" in (await refused(answers, UpstreamRefusedError)).message


async def test_a_long_wait_that_prometheus_asks_for_is_passed_on_to_the_caller():
    assert (await refused([failure(429, retry_after="60"), success("vector", [])])).retry_after == 60


async def test_silence_ends_at_the_time_limit_over_all_tries():
    started = asyncio.get_running_loop().time()
    error = await refused(5.0, settings={"timeout_s": 0.2})
    assert asyncio.get_running_loop().time() - started < 2
    assert "prometheus.example:9090" in error.message


async def test_a_port_without_a_listener_is_named():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        provider = PrometheusActions(Settings(url=f"http://127.0.0.1:{port}", timeout_s=2))
        query = provider.actions()[0]
        with gate_open(), pytest.raises(UpstreamError, match=f"127.0.0.1:{port}"):
            await query.read(query.parameters(expr="up"))
        await provider.close()


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"",
        b"[1]",
        b'{"status": "odd"}',
        b'{"status":"success"}',
        b'{"status":"success","data":{"result":1}}',
    ],
)
async def test_an_answer_that_is_not_prometheus_own_is_an_upstream_error(body):
    await refused(httpx2.Response(200, content=body))


async def test_an_answer_beyond_the_cap_is_not_read_to_its_end(monkeypatch):
    monkeypatch.setattr(client, "MOST_BYTES", 1000)
    await refused(success("vector", [{"metric": {"a": "x" * 2000}, "value": [1, "1"]}]), UpstreamRefusedError)


@pytest.mark.parametrize(
    ("action", "wrong"),
    [
        ("prometheus.query", {"expr": ""}),
        ("prometheus.query", {"expr": "up", "at": "2026-11-21T03:00:00"}),
        ("prometheus.query", {"expr": "up", "at": "soon"}),
        ("prometheus.query_range", {**RANGE, "step_s": 0}),
        ("prometheus.query_range", {**RANGE, "step_s": 0.3}),
        ("prometheus.query_range", {**RANGE, "end": "2026-11-21T02:00:00Z"}),
        ("prometheus.rule_state", {"alert_name": ""}),
    ],
)
def test_parameters_out_of_bounds_are_refused_before_anything_is_sent(action, wrong):
    chosen = next(
        one for one in PrometheusActions(Settings(url="http://p.example")).actions() if one.spec.name == action
    )
    with pytest.raises(ValueError, match="validation error"):
        chosen.parameters(**wrong)


def test_the_address_must_be_http_without_credentials():
    for url in ("prometheus:9090", "ftp://x", "http://u:p@x", "http://x?y=1", "http://"):
        with pytest.raises(ValueError, match="address"):
            Settings(url=url)
