"""kill -9 at random moments of a real change on a real socket: nothing twice, no false success, nothing lost."""

import random
import time

import pytest

from support.live import Sandbox, Toban, wait_until

pytestmark = [pytest.mark.crash, pytest.mark.slow]
ENDED = {"succeeded", "unknown", "escalated", "rolled_back", "obsolete", "expired", "halted"}


@pytest.fixture
def sandbox(tmp_path):
    started = Sandbox(tmp_path / "sandbox")
    yield started
    started.close()


def one_round(sandbox, home, moment_s, *, before_approval=False):
    """A whole change with one kill, `moment_s` after the approval or after the fault; the change in the end."""
    toban = Toban(home, sandbox, TOBAN_FLOW__VERIFY__INTERVAL_S="0.5")
    try:
        wait_until(toban.services_known)
        sandbox.send_alerts_to(f"{toban.url}/hooks/alertmanager")
        before = len(sandbox.effects())
        sandbox.begin("memory-limit")
        if not before_approval:
            toban.approve(wait_until(toban.change, 40))
        time.sleep(moment_s)
        toban.kill()
        toban.start()
        if before_approval:
            toban.approve(wait_until(toban.change, 60))
        ended = wait_until(lambda: (now := toban.change()) and now["state"] in ENDED and now, 60, pause_s=0.2)
        return ended, sandbox.effects()[before:]
    finally:
        toban.close()


def test_a_change_interrupted_by_kill_9_happens_once_and_is_verified(sandbox, tmp_path, crash_seed):
    dice = random.Random(crash_seed)
    before = dice.random() < 0.3
    moment = dice.uniform(4.0, 8.0) if before else dice.uniform(0.0, 3.0)
    ended, effects = one_round(sandbox, tmp_path / "home", moment, before_approval=before)
    assert [(one["verb"], one["name"]) for one in effects] == [("patch", "cart")], (moment, effects)
    assert ended["state"] == "succeeded", (moment, ended["outcome"])
    assert ended["steps"][0]["state"] == "executed"


def test_what_was_accepted_before_kill_9_is_there_after_it(tmp_path):
    from support.house import alert, payload

    toban = Toban(tmp_path)
    try:
        accepted = 0
        for number in range(200):
            body = payload(alert(fingerprint=f"{number:016x}", labels={"deployment": f"d{number}"}))
            accepted += toban.client.post("/hooks/alertmanager", content=body).status_code == 202
        toban.kill()
        toban.start()
        assert accepted == 200
        wait_until(lambda: toban.get("/overview")["alerts_received"] == accepted)
    finally:
        toban.close()
