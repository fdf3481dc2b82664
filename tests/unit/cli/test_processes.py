"""Children end with whoever started them, however that one ends."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from toban.entrypoints.cli import processes

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
STUBBORN_CODE = """
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
sys.stderr.write("up"); sys.stderr.flush()
time.sleep(60)
"""
STUBBORN = [sys.executable, "-c", STUBBORN_CODE]


def until(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return False


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in {"Z", "X"}
    except FileNotFoundError:
        return False


def test_a_child_is_stopped(tmp_path):
    child = processes.start(SLEEP, log=tmp_path / "log")
    processes.stop(child)
    assert child.returncode == -signal.SIGTERM


def test_a_child_that_does_not_listen_is_ended(tmp_path):
    child = processes.start(STUBBORN, log=tmp_path / "log")
    assert until(lambda: processes.last_line(tmp_path / "log") == "up")
    processes.stop(child, within_s=0.1)
    assert child.returncode == -signal.SIGKILL


@pytest.mark.parametrize("outlives", [False, True])
def test_a_child_of_a_killed_parent_ends_unless_it_shall_not(tmp_path, outlives):
    code = (
        "import sys, time; from pathlib import Path\n"
        "from toban.entrypoints.cli import processes\n"
        f"child = processes.start({SLEEP!r}, log=Path({str(tmp_path / 'log')!r}), outlives={outlives})\n"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    try:
        pid = int(parent.stdout.readline())
        assert is_alive(pid)
        parent.kill()
        parent.wait(10)
        if outlives:
            time.sleep(0.2)
            assert is_alive(pid)
        else:
            assert until(lambda: not is_alive(pid))
    finally:
        parent.kill()
        parent.wait(10)
        parent.stdout.close()
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_the_last_words_of_a_child_are_kept(tmp_path):
    log = tmp_path / "log"
    assert processes.last_line(log) == ""
    log.write_text("one\ntwo\n\n")
    assert processes.last_line(log) == "two"
