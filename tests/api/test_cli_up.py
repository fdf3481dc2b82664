"""`toban up` as a process: ready, told where, stopped cleanly; mistakes told before anything is started."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import httpx2
import pytest

from support.live import Process, wait_until

pytestmark = pytest.mark.slow  # each starts a process that loads all of Toban
UP = [sys.executable, "-m", "toban.main", "up"]


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def up(home):
    """Starts `toban up` with these words; ended after the test."""
    started = []

    def start(*words, **variables):
        process = Process(home, "toban", [*UP, *words], TOBAN_HOME=str(home), **variables)
        started.append(process)
        return process

    yield start
    for process in started:
        if process.popen.poll() is None:
            process.kill()


def told(home, process):
    """What `run.json` says, once it is there."""
    wait_until(lambda: (home / "run.json").exists() or process.popen.poll() is not None)
    assert process.popen.poll() is None, process.log.read_text()
    return json.loads((home / "run.json").read_text())


def failed(home, *words, **variables):
    """Exit code and stderr of a start that does not succeed."""
    done = subprocess.run(
        [*UP, *words],
        env=os.environ | {"TOBAN_HOME": str(home)} | variables,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_it_says_where_it_is_and_ends_cleanly_with_an_open_stream(home, up, number):
    process = up("--port", "0")
    found = told(home, process)
    assert found["pid"] == process.popen.pid
    assert found["sandbox"] == {}
    assert (home / "run.json").stat().st_mode & 0o777 == 0o600
    wait_until(lambda: f"Toban is on duty at {found['url']}" in process.log.read_text())
    with httpx2.stream("GET", f"{found['url']}/events", timeout=10) as stream:
        assert stream.status_code == 200
        began = time.monotonic()
        process.popen.send_signal(number)
        assert process.popen.wait(10) == 0
        assert time.monotonic() - began < 6
    assert not (home / "run.json").exists()


def test_a_port_in_use_says_what_to_change(home):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, err = failed(home, "--port", str(port))
    assert code == 6
    assert err.startswith(f"error: port {port} on 127.0.0.1 cannot be used")
    assert "--port" in err
    assert "http.port" in err


def test_any_port_takes_a_free_one(home, up):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = up("--port", str(port), "--any-port")
        assert told(home, process)["port"] != port
    assert process.stop() == 0


def test_every_mistake_in_the_configuration_has_its_line(home, tmp_path):
    file = tmp_path / "toban.yaml"
    file.write_text("http:\n  port: -1\n  hots: x\nworkspce: {}\n")
    code, err = failed(home, TOBAN_CONFIG=str(file))
    assert code == 2
    assert [line.split(": ")[1] for line in err.splitlines()] == [f"{file}:2", f"{file}:3", f"{file}:4"]


def test_it_does_not_listen_to_the_world_without_accounts(home):
    code, err = failed(home, "--port", "0", "--host", "0.0.0.0")
    assert code == 2
    assert [line for line in err.splitlines() if line.startswith("error: http.host 0.0.0.0 is not loopback")]


def test_an_address_of_another_machine_is_told(home):
    code, err = failed(home, "--port", "0", "--host", "no-such-host.invalid")
    assert code == 2
    assert "--host" in err


def test_a_state_folder_belongs_to_one(home, up):
    found = told(home, up("--port", "0"))
    code, err = failed(home, "--port", "0")
    assert code == 2
    assert f"process {found['pid']}" in err
    assert json.loads((home / "run.json").read_text()) == found


def test_a_state_folder_that_cannot_be_made_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    code, err = failed(tmp_path / "file" / "home", "--port", "0")
    assert code == 2
    assert "TOBAN_HOME" in err


def test_logs_are_json_and_only_the_greeting_is_for_people(home, up):
    process = up("--port", "0")
    url = told(home, process)["url"]
    assert httpx2.post(f"{url}/hooks/alertmanager", content=b"{}", timeout=10).status_code == 202
    wait_until(lambda: "dead letter" in process.log.read_text(), 10)
    lines = [line for line in process.log.read_text().splitlines() if not line.startswith("Toban is on duty")]
    found = [json.loads(line) for line in lines]
    assert {"event", "level", "at"} <= found[-1].keys()
    assert process.stop() == 0


def test_a_sandbox_comes_and_goes_with_it_and_its_services_are_known(home, up):
    process = up("--port", "0", "--any-port", "--sandbox")
    found = told(home, process)
    sandbox = found["sandbox"]
    incidents = httpx2.get(f"{found['url']}/api/v1/info", timeout=10).json()
    assert "kubernetes.inventory" in incidents["actions"]
    token = (home / "sandbox" / "control-token").read_text().strip()
    receivers = httpx2.get(
        f"{sandbox['control']}/receivers", headers={"Authorization": f"Bearer {token}"}, timeout=10
    ).json()
    assert receivers["items"] == [{"name": "toban", "url": f"{found['url']}/hooks/alertmanager"}]
    process.kill()
    wait_until(lambda: not (home / "sandbox" / "sandbox.json").exists(), 10)


def test_an_unknown_scenario_is_told_with_the_known_ones(home):
    code, err = failed(home, "--port", "0", "--sandbox", "--scenario", "nope")
    assert code == 3
    assert "memory-limit" in err
