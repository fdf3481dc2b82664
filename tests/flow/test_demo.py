"""The demo from end to end, as a person or a script runs it: from a fault in the sandbox to a verified fix."""

import json
import os
import pty
import select
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

DEMO = [sys.executable, "-m", "toban.main", "demo"]
LIMIT_S = 90
KEYS = ["scenario", "incident", "diagnosis", "change", "verification", "seconds"]


@pytest.fixture
def environment(tmp_path):
    return {**os.environ, "TOBAN_HOME": str(tmp_path / "home"), "COLUMNS": "100"}


def run(environment, *words, stdin=subprocess.DEVNULL):
    return subprocess.run(
        [*DEMO, *words], env=environment, stdin=stdin, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )


def left_behind(environment):
    """Processes that still run on this test's folder."""
    home = environment["TOBAN_HOME"]
    return [one for one in psutil.process_iter(["cmdline"]) if home in " ".join(one.info["cmdline"] or [])]


@pytest.mark.slow
def test_the_demo_fixes_what_is_broken_and_proves_it(environment):
    began = time.monotonic()
    done = run(environment, "--yes", "--json")
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began < 60
    found = json.loads(done.stdout)
    assert list(found) == KEYS
    assert found["scenario"] == "memory-limit"
    assert found["incident"].startswith("INC-")
    assert found["diagnosis"]["cause"] == "memory_limit"
    assert 0.5 < found["diagnosis"]["confidence"] <= 1
    assert found["change"] == {"id": "CHG-0001", "state": "succeeded"}
    assert found["verification"] == "passed"
    assert 0 <= found["seconds"]["diagnosis"] < found["seconds"]["verified"] < 60
    for told in ("opened INC-", "128Mi", "+", "digest", "you approved CHG-0001", "✓"):
        assert told in done.stderr
    assert left_behind(environment) == []


@pytest.mark.slow
def test_a_harmless_scenario_ends_without_a_change(environment):
    done = run(environment, "--json", "--scenario", "noise", "--lang", "ja")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["change"] == {"id": None, "state": None}
    assert found["verification"] is None
    assert found["seconds"]["verified"] is None
    assert "インシデント" in done.stderr


@pytest.mark.slow
def test_a_person_who_says_no_ends_it_without_a_change(environment):
    master, slave = pty.openpty()
    process = subprocess.Popen(
        DEMO, env=environment, stdin=slave, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        asked = read_until(process.stderr, "[y/N]")
        assert "Approve CHG-0001?" in asked
        os.write(master, b"n\n")
        out, err = process.communicate(timeout=LIMIT_S)
    finally:
        process.kill()
        process.wait(10)
        os.close(master)
        os.close(slave)
    assert process.returncode == 4
    assert "error: CHG-0001 was rejected, so nothing was changed" in err
    assert "rejected by you" in out
    assert left_behind(environment) == []


def read_until(stream, words):
    """Everything up to these words."""
    deadline = time.monotonic() + LIMIT_S
    text = ""
    while words not in text and time.monotonic() < deadline:
        ready, _, _ = select.select([stream], [], [], 1)
        if ready:
            part = os.read(stream.fileno(), 4096).decode("utf-8", "replace")
            if not part:
                break
            text += part
    assert words in text, text
    return text


def test_nobody_to_ask_is_told_before_anything_starts(environment):
    done = run(environment, "--json")
    assert (done.returncode, done.stdout) == (4, "")
    assert "--yes" in done.stderr
    assert not Path(environment["TOBAN_HOME"]).exists()


def test_yes_votes_nowhere_but_in_the_demos_own_sandbox(environment):
    done = run({**environment, "TOBAN_URL": "http://ops.example:8420"}, "--yes")
    assert (done.returncode, done.stdout) == (4, "")
    assert "http://ops.example:8420" in done.stderr


def test_an_unknown_scenario_is_told_with_the_known_ones(environment):
    done = run(environment, "--yes", "--scenario", "nope")
    assert (done.returncode, done.stdout) == (3, "")
    assert "bad-release, memory-limit" in done.stderr


def test_a_folder_that_is_a_link_is_not_emptied(environment, tmp_path):
    home = tmp_path / "home"
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("mine")
    home.mkdir()
    (home / "demo").symlink_to(precious)
    done = run(environment, "--yes")
    assert done.returncode == 1
    assert "is a link" in done.stderr
    assert (precious / "file").read_text() == "mine"
