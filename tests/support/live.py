"""A real sandbox and a real Toban as processes, for tests that kill them."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx2

START_S = 30.0


def free_port() -> int:
    """A port that nobody uses at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(what: Any, seconds: float = START_S, pause_s: float = 0.05) -> Any:
    """The first true answer of `what()`; AssertionError when there is none in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = what()
        if found:
            return found
        time.sleep(pause_s)
    raise AssertionError(f"not within {seconds} s: {what}")


class Process:
    """A child process with its output in files."""

    def __init__(self, folder: Path, name: str, command: list[str], **environment: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / f"{name}.log"
        with self.log.open("a") as out:
            self.popen = subprocess.Popen(
                command, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=os.environ | environment
            )

    def kill(self) -> None:
        self.popen.send_signal(signal.SIGKILL)
        self.popen.wait(timeout=10)

    def stop(self) -> int:
        self.popen.send_signal(signal.SIGTERM)
        try:
            return self.popen.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"did not stop: {self.log.read_text()[-2000:]}") from None


class Sandbox:
    """`python -m toban_sandbox serve` on free ports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ports = ["--kubernetes-port", "0", "--metrics-port", "0", "--control-port", "0"]
        command = [sys.executable, "-m", "toban_sandbox", "serve", "--state-dir", str(folder), *ports]
        self.process = Process(folder, "sandbox", command)
        wait_until(lambda: (folder / "sandbox.json").exists() or self.process.popen.poll() is not None)
        assert self.process.popen.poll() is None, self.process.log.read_text()
        self.where = json.loads((folder / "sandbox.json").read_text())
        token = (folder / "control-token").read_text().strip()
        self.control = httpx2.Client(
            base_url=self.where["control"], headers={"Authorization": f"Bearer {token}"}, timeout=10
        )

    def post(self, path: str, **body: Any) -> Any:
        answer = self.control.post(path, json=body or None)
        assert answer.status_code < 300, answer.text
        return answer.json()

    def begin(self, scenario: str) -> None:
        self.post(f"/scenarios/{scenario}/start")

    def send_alerts_to(self, url: str) -> None:
        self.post("/receivers", url=url, name="toban", token="")

    def effects(self) -> list[dict[str, Any]]:
        """What Toban changed in the cluster: writes that took effect, dry-runs left out."""
        lines = (self.folder / "audit.jsonl").read_text().splitlines()
        return [
            line
            for line in map(json.loads, lines)
            if line["changed"] and not line["dry_run"] and line["user"] == "operator"
        ]

    def close(self) -> None:
        self.control.close()
        self.process.stop()


class Toban:
    """`toban up` on a fixed port, to be killed and started again on the same state folder."""

    def __init__(self, home: Path, sandbox: Sandbox | None = None, **variables: str) -> None:
        self.home = home
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {"TOBAN_HOME": str(home), **variables}
        if sandbox is not None:
            self.environment |= {
                "TOBAN_INTEGRATIONS__KUBERNETES__KUBECONFIG": sandbox.where["kubeconfigs"]["operator"],
                "TOBAN_INTEGRATIONS__PROMETHEUS__URL": sandbox.where["metrics"],
            }
        self.client = httpx2.Client(base_url=self.url, timeout=10)
        self.start()

    def start(self) -> float:
        """Start the process; seconds until it was ready."""
        began = time.monotonic()
        command = [sys.executable, "-m", "toban.main", "up", "--port", str(self.port)]
        self.process = Process(self.home, "toban", command, **self.environment)
        wait_until(self._ready, pause_s=0.02)
        return time.monotonic() - began

    def _ready(self) -> bool:
        assert self.process.popen.poll() is None, self.process.log.read_text()[-3000:]
        try:
            return self.client.get("/readyz").status_code == 200
        except httpx2.HTTPError:
            return False

    def get(self, path: str) -> Any:
        answer = self.client.get(f"/api/v1{path}")
        answer.raise_for_status()
        return answer.json()

    def services_known(self) -> bool:
        """Whether the first look at the cluster is over."""
        import sqlite3

        with sqlite3.connect(self.home / "toban.db", timeout=5) as connection:
            return bool(connection.execute("select count(*) from service").fetchone()[0])

    def change(self) -> dict[str, Any] | None:
        """The first change, once there is one."""
        try:
            incidents = self.get("/incidents")["items"]
            files = [self.get(f"/incidents/{one['id']}") for one in incidents]
        except httpx2.HTTPError:
            return None
        return next((file["changes"][0]["change"] for file in files if file["changes"]), None)

    def approve(self, change: dict[str, Any]) -> None:
        body = {"decision": "approve", "digest": change["digest"], "reason": "test"}
        answer = self.client.post(f"/api/v1/changes/{change['id']}/votes", json=body)
        assert answer.status_code == 200, answer.text

    def kill(self) -> None:
        self.process.kill()

    def close(self) -> None:
        self.client.close()
        if self.process.popen.poll() is None:
            self.process.stop()
