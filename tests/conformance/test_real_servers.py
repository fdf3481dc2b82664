"""Alertmanager and Prometheus themselves, as Debian ships them: their payloads and answers, not our idea of them."""

import asyncio
import contextlib
import shutil
import socket
import subprocess
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from queue import Queue

import httpx2
import pytest

from toban.errors import UpstreamRefusedError
from toban.integrations.alertmanager import Settings as AlertmanagerSettings
from toban.integrations.alertmanager import fingerprint
from toban.integrations.alertmanager.source import AlertmanagerSource
from toban.integrations.prometheus import Settings as PrometheusSettings
from toban.integrations.prometheus.provider import PrometheusActions
from toban.model.alert import AlertState, Severity
from toban.plugins.action import gate_open

READY_S = 20
LABELS = {"alertname": "支払い遅延", "severity": "page", "namespace": "shop", "odd": 'a"b\\c\nd', "zero": "0"}
RULES = """\
groups:
  - name: g
    interval: 1s
    rules:
      - {alert: AlwaysOn, expr: vector(7), for: 0s, labels: {severity: warning}, annotations: {summary: s}}
      - {alert: NeverOn, expr: vector(1) > 2, for: 5m}
      - {alert: Waiting, expr: vector(1), for: 1h}
      - {record: AlwaysOn, expr: vector(1)}
"""


@contextlib.contextmanager
def server(name, folder, *flags, ready):
    """A server of Debian's package `name` on a free port of loopback, until the block ends; its address."""
    program = shutil.which(name)
    assert program, f"{name} is missing: install Debian's package (apt-get install {name}), or put it on PATH"
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{found.getsockname()[1]}"
    with (folder / "server.log").open("wb") as log:
        command = [program, f"--web.listen-address={place}", *flags]
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
    try:
        _wait_until_ready(process, f"http://{place}{ready}", folder / "server.log")
        yield f"http://{place}"
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(process, url, log):
    until = time.monotonic() + READY_S
    while True:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < until, log.read_text()
        with contextlib.suppress(httpx2.HTTPError):
            if httpx2.get(url, trust_env=False).status_code == 200:
                return
        time.sleep(0.05)


@pytest.fixture
def deliveries():
    """A webhook on loopback: its address, and a queue of `(headers, body)`."""
    arrived = Queue()

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self):
            headers = {name.lower(): value for name, value in self.headers.items()}
            arrived.put((headers, self.rfile.read(int(headers["content-length"]))))
            self.send_response(202)
            self.end_headers()

        def log_message(self, *_):
            pass

    hook = HTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=hook.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{hook.server_port}/hooks/alertmanager", arrived
    hook.shutdown()
    hook.server_close()
    thread.join(5)


def test_what_alertmanager_posts_is_understood_from_firing_to_resolved(tmp_path, deliveries):
    url, arrived = deliveries
    (tmp_path / "config.yml").write_text(f"""\
route: {{receiver: toban, group_wait: 0s, group_interval: 1s, group_by: [alertname]}}
receivers:
  - name: toban
    webhook_configs:
      - {{url: "{url}", http_config: {{authorization: {{credentials: hook-token}}}}}}
""")
    flags = ("--config.file=config.yml", "--storage.path=data", "--cluster.listen-address=")
    source = AlertmanagerSource(AlertmanagerSettings(token="hook-token"))
    started = datetime.now(UTC).replace(microsecond=123000) - timedelta(minutes=3)
    alert = {
        "labels": LABELS,
        "annotations": {"summary": "遅い", "runbook_url": "https://wiki.example/pay"},
        "startsAt": started.isoformat(),
        "generatorURL": "http://prometheus.example/graph?g0.expr=up",
    }
    with server("prometheus-alertmanager", tmp_path, *flags, ready="/-/ready") as address:
        for ending in ({}, {"endsAt": datetime.now(UTC).isoformat()}):
            sent = httpx2.post(f"{address}/api/v2/alerts", json=[{**alert, **ending}], trust_env=False)
            sent.raise_for_status()
            headers, body = arrived.get(timeout=READY_S)
            assert source.authenticate(headers, body)
            (event,) = source.parse(body)
            assert (event.labels, event.annotations) == (LABELS, alert["annotations"])
            assert (event.severity, event.started_at, event.truncated) == (Severity.CRITICAL, started, 0)
            assert event.fingerprint == fingerprint.of_labels(LABELS)
            assert [link.title for link in event.links] == ["Source", "Runbook"]
            assert (event.state is AlertState.RESOLVED) == bool(ending) == (event.ended_at is not None)


async def test_prometheus_itself_answers_queries_and_tells_the_state_of_rules(tmp_path):
    (tmp_path / "prometheus.yml").write_text("global: {evaluation_interval: 1s}\nrule_files: [rules.yml]\n")
    (tmp_path / "rules.yml").write_text(RULES)
    flags = ("--config.file=prometheus.yml", "--storage.tsdb.path=data")
    with server("prometheus", tmp_path, *flags, ready="/-/ready") as address:
        provider = PrometheusActions(PrometheusSettings(url=address))
        actions = {action.spec.name: action for action in provider.actions()}

        async def read(name, **params):
            action = actions[f"prometheus.{name}"]
            return await action.read(action.parameters(**params))

        with gate_open():
            await _tell(read)
        await provider.close()


async def _tell(read):
    found = await read("query", expr="vector(7)", at="2026-11-21T03:00:00Z")
    assert found == {"series": [{"labels": {}, "points": [[1795230000.0, 7.0]]}], "warnings": []}
    span = {"start": "2026-11-21T03:00:00Z", "end": "2026-11-21T03:01:00Z", "step_s": 15}
    points = (await read("query_range", expr="vector(time())", **span))["series"][0]["points"]
    assert points == [[1795230000.0 + step, 1795230000.0 + step] for step in (0, 15, 30, 45, 60)]
    assert (await read("query", expr="time()"))["series"][0]["labels"] == {}
    assert (await read("query", expr="vector(0)/0"))["series"][0]["points"] == []
    with pytest.raises(UpstreamRefusedError, match="parse error"):
        await read("query", expr="sum(")
    until = time.monotonic() + READY_S
    while not (rule := (await read("rule_state", alert_name="AlwaysOn"))["rules"])[0]["alerts"]:
        assert time.monotonic() < until
        await asyncio.sleep(0.1)
    (rule,) = rule
    (alert,) = rule["alerts"]
    assert (rule["name"], rule["query"], rule["health"], rule["duration_s"]) == ("AlwaysOn", "vector(7)", "ok", 0.0)
    assert (alert["state"], alert["value"]) == ("firing", 7.0)
    assert alert["labels"] == {"alertname": "AlwaysOn", "severity": "warning"}
    assert datetime.fromisoformat(alert["active_at"][:19] + "Z").tzinfo is not None
    (quiet,) = (await read("rule_state", alert_name="NeverOn"))["rules"]
    assert (quiet["state"], quiet["alerts"], quiet["duration_s"]) == ("inactive", [], 300.0)
    (waiting,) = (await read("rule_state", alert_name="Waiting"))["rules"]
    assert waiting["alerts"][0]["state"] == "pending"
    assert await read("rule_state", alert_name="Nothing") == {"rules": []}
