"""The sandbox as a process: its command line, its sockets, its files, its notifications."""

import json
import signal
import socket
import ssl
import stat
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from toban_sandbox import server
from toban_sandbox.__main__ import main

ANY_PORTS = ["--kubernetes-port", "0", "--metrics-port", "0", "--control-port", "0"]


def command(*arguments):
    return [sys.executable, "-m", "toban_sandbox", *map(str, arguments)]


def run(*arguments):
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=20, check=False)


class Running:
    """A sandbox process that has said that it is ready."""

    def __init__(self, state_dir, *arguments):
        self.state_dir = state_dir
        self.process = subprocess.Popen(
            command("serve", "--state-dir", state_dir, *ANY_PORTS, *arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        line = self.process.stdout.readline()
        assert line, self.process.stderr.read()
        self.ready = json.loads(line)

    def get(self, name, path):
        headers = {"Authorization": f"Bearer {(self.state_dir / 'control-token').read_text().strip()}"}
        request = urllib.request.Request(self.ready[name] + path, headers=headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    def stop(self, number=signal.SIGTERM):
        started = time.monotonic()
        self.process.send_signal(number)
        code = self.process.wait(10)
        return code, time.monotonic() - started, self.process.stderr.read()

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        self.process.stdout.close()
        self.process.stderr.close()


@pytest.fixture
def start(tmp_path):
    running = []

    def begin(*arguments, state_dir=tmp_path / "state"):
        running.append(Running(state_dir, *arguments))
        return running[-1]

    yield begin
    for one in running:
        one.end()


@pytest.fixture
def receiver():
    """(url, notifications): an HTTP server that keeps what is posted to it."""
    notifications = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            notifications.append((self.headers["Authorization"], json.loads(body)))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hooks/alertmanager", notifications
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_sandbox_serves_three_sockets_until_it_is_stopped(start):
    sandbox = start()
    ready, folder = sandbox.ready, sandbox.state_dir
    assert ready["pid"] == sandbox.process.pid
    assert json.loads((folder / "sandbox.json").read_text()) == ready
    private = ["sandbox.json", "control-token", "audit.jsonl", "kubeconfig-admin.yaml", "pki/server.key"]
    assert {stat.S_IMODE((folder / name).stat().st_mode) for name in private} == {0o600}
    assert sandbox.get("control", "/state")["healthy"]
    answer = sandbox.get("metrics", "/api/v1/query?query=count(kube_pod_info)")
    assert answer["data"]["result"][0]["value"][1] == "13"
    trusted = ssl.create_default_context(cafile=folder / "pki" / "ca.crt")
    with urllib.request.urlopen(ready["kubernetes"] + "/readyz", context=trusted, timeout=10) as health:
        assert health.read() == b"ok"
    code, seconds, stderr = sandbox.stop()
    assert (code, stderr) == (0, "")
    assert seconds < 2
    assert not (folder / "sandbox.json").exists()


def test_an_open_watch_does_not_delay_the_stop(start):
    sandbox = start()
    trusted = ssl.create_default_context(cafile=sandbox.state_dir / "pki" / "ca.crt")
    token = json.loads((sandbox.state_dir / "tokens.json").read_text())["reader"]
    request = urllib.request.Request(
        sandbox.ready["kubernetes"] + "/api/v1/pods?watch=true", headers={"Authorization": f"Bearer {token}"}
    )
    with urllib.request.urlopen(request, context=trusted, timeout=10) as watch:
        assert json.loads(watch.readline())["type"] == "ADDED"
        code, seconds, _ = sandbox.stop(signal.SIGINT)
    assert code == 0
    assert seconds < 2.5


def test_notifications_are_posted_with_the_token_and_tell_of_firing_and_resolution(start, receiver, tmp_path):
    url, notifications = receiver
    token = tmp_path / "token"
    token.write_text("hook-token\n")
    start("--scenario", "noise", "--speed", "20", "--alert-url", url, "--alert-token-file", token)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and not any(body["status"] == "resolved" for _, body in notifications):
        time.sleep(0.02)
    assert [body["status"] for _, body in notifications] == ["firing", "resolved"]
    assert {authorization for authorization, _ in notifications} == {"Bearer hook-token"}
    body = notifications[0][1]
    assert (body["version"], body["groupLabels"]) == ("4", {"alertname": "CpuBurst", "namespace": "shop"})
    assert len(body["alerts"][0]["fingerprint"]) == 16


def test_a_second_sandbox_in_the_same_state_directory_is_refused(tmp_path, capsys):
    with server._state_directory(tmp_path):
        assert main(["serve", "--state-dir", str(tmp_path), *ANY_PORTS]) == 1
    assert "another sandbox uses the state directory" in capsys.readouterr().err


def test_the_control_token_is_private_and_survives_a_restart(tmp_path):
    path = tmp_path / "control-token"
    token = server._control_token(path)
    assert len(token) >= 40
    assert server._control_token(path) == token
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_port_in_use_is_told_with_exit_code_6(tmp_path, capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["serve", "--state-dir", str(tmp_path), *ANY_PORTS, "--metrics-port", str(port)]) == 6
    stderr = capsys.readouterr().err
    assert f"port {port} on 127.0.0.1 cannot be used" in stderr
    assert len(stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--scenario", "nothing"], 3, "known are: bad-release"),
        (["--world", "nothing"], 1, "known are: shop"),
        (["--host", "0.0.0.0"], 1, "must be a loopback address"),
        (["--alert-url", "ftp://x"], 1, "--alert-url"),
        (["--alert-url", "http://x", "--alert-token-file", "/nonexistent/token"], 1, "--alert-token-file"),
        (["--state-dir", "/dev/null/state"], 1, "cannot be written"),
    ],
)
def test_what_cannot_be_started_is_told_in_one_line_with_its_exit_code(tmp_path, capsys, arguments, code, words):
    assert main(["serve", "--state-dir", str(tmp_path), *ANY_PORTS, *arguments]) == code
    stderr = capsys.readouterr().err
    assert words in stderr
    assert len(stderr.splitlines()) == 1


@pytest.mark.parametrize("arguments", [["--speed", "-1"], ["--metrics-port", "70000"], ["--nonsense"], ["--seed", "x"]])
def test_a_wrong_usage_ends_with_exit_code_2(tmp_path, capsys, arguments):
    with pytest.raises(SystemExit) as caught:
        main(["serve", "--state-dir", str(tmp_path), *arguments])
    assert caught.value.code == 2
    assert arguments[0] in capsys.readouterr().err


def test_a_broken_world_file_is_told_with_its_line(tmp_path, capsys):
    path = tmp_path / "broken.yaml"
    path.write_text("name: x\nnamespace: [\n")
    assert main(["serve", "--state-dir", str(tmp_path / "state"), *ANY_PORTS, "--world", str(path)]) == 1
    assert f"{path}:3: not valid YAML" in capsys.readouterr().err


def test_a_world_that_cannot_become_healthy_is_told(tmp_path, capsys):
    path = tmp_path / "sick.yaml"
    path.write_text(
        "name: sick\nnamespace: sick\nage: 1d\nnodes: [{name: n, cpu: '1', memory: 1Gi}]\n"
        "traffic: {entry: web, rps: 1}\nimages: [{image: 'sick/web:1', memory_base: 1Mi, latency_ms: 1}]\n"
        "services: [{name: web, replicas: 1, history: [{image: 'sick/web:2', age: 1h}]}]\n"
    )
    assert main(["serve", "--state-dir", str(tmp_path / "state"), *ANY_PORTS, "--world", str(path)]) == 1
    assert "does not settle; not complete: web" in capsys.readouterr().err


def test_the_scenarios_are_listed_as_a_table_and_as_json():
    table, listed = run("scenarios"), run("scenarios", "--json")
    assert table.stdout.splitlines()[0].split() == ["NAME", "FAMILY", "HARMLESS", "TITLE"]
    found = json.loads(listed.stdout)
    assert {one["name"] for one in found} >= {"memory-limit", "noise"}
    assert len(table.stdout.splitlines()) == len(found) + 1


def test_help_needs_none_of_the_parts_that_serve():
    code = "import sys, toban_sandbox.__main__ as m\ntry: m.main(['--help'])\nexcept SystemExit: pass\n"
    code += "print([n for n in ('starlette', 'uvicorn', 'yaml', 'cryptography') if n in sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=True)
    assert done.stderr.strip() == "[]"
    assert "serve" in done.stdout
