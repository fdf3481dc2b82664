"""A real Alertmanager posts to the hook of a real Toban; its firing and its resolve arrive and mean what they should."""

import shutil
import time
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from support.live import Process, Toban, free_port, wait_until

pytestmark = pytest.mark.slow

CONFIG = """
route: {{receiver: toban, group_by: [alertname], group_wait: 200ms, group_interval: 1s, repeat_interval: 1h}}
receivers:
- name: toban
  webhook_configs:
  - url: {url}/hooks/alertmanager
    send_resolved: true
    http_config: {{authorization: {{credentials: {token}}}}}
"""


@pytest.fixture
def toban(tmp_path):
    started = Toban(tmp_path / "home", TOBAN_INTEGRATIONS__ALERTMANAGER__TOKEN="hook-token")
    yield started
    started.close()


@pytest.fixture
def alertmanager(tmp_path, toban):
    binary = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if binary is None:
        pytest.fail("Alertmanager is missing: apt-get install prometheus-alertmanager")
    port = free_port()
    (tmp_path / "am.yml").write_text(CONFIG.format(url=toban.url, token="hook-token"))
    command = [
        binary, f"--config.file={tmp_path / 'am.yml'}", f"--storage.path={tmp_path / 'am'}", "--cluster.listen-address=",
        f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    process = Process(tmp_path, "alertmanager", command)
    url = f"http://127.0.0.1:{port}"

    def ready():
        try:
            return httpx2.get(f"{url}/-/ready").status_code == 200
        except httpx2.HTTPError:
            return False

    wait_until(ready)
    yield url
    process.kill()


def send(url, **times):
    alert = {"labels": {"alertname": "DiskFull", "namespace": "shop", "severity": "critical"},
             "annotations": {"summary": "ディスクがいっぱい"}} | times  # fmt: skip
    assert httpx2.post(f"{url}/api/v2/alerts", json=[alert]).status_code == 200


def test_a_real_alertmanager_opens_and_ends_an_incident(alertmanager, toban):
    start = datetime.now(UTC) - timedelta(seconds=5)
    send(alertmanager, startsAt=start.isoformat(), endsAt=(start + timedelta(hours=1)).isoformat())
    incident = wait_until(lambda: toban.get("/incidents")["items"])[0]
    assert incident["title"] == "ディスクがいっぱい"
    assert incident["severity"] == "critical"
    time.sleep(0.2)
    send(alertmanager, startsAt=start.isoformat(), endsAt=datetime.now(UTC).isoformat())
    file = wait_until(
        lambda: (now := toban.get(f"/incidents/{incident['id']}"))["alerts"][0]["state"] == "resolved" and now
    )
    assert len(file["alerts"]) == 1
    assert file["alerts"][0]["ended_at"] is not None
