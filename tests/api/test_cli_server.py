"""Commands against a real server in a process of its own: what they print, and how they end."""

import io
import json
import os
import re
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from browser.support import web_cases
from support.live import Process, free_port, wait_until
from toban import main
from toban.model.change import ChangeState, StepState
from toban.model.diagnosis import Evidence
from toban.model.timeline import Lane, Note
from toban.store import changes, evidence, incidents, migrate, timeline
from toban.store.database import Database, make_engine

ALERTMANAGER = {
    "version": "4", "groupKey": "{}:{}", "truncatedAlerts": 0, "status": "firing", "receiver": "toban",
    "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://am",
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "Evil\x1b[31m", "severity": "critical", "namespace": "shop"},
            "annotations": {"summary": "決済サービスが応答しません \x1b[2J"},
            "startsAt": "2026-11-21T02:59:30Z", "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "",
            "fingerprint": "a1b2c3d4e5f60718",
        }
    ],
}  # fmt: skip


def remember(home, *notes):
    """Write records into the database of a server that does not run."""
    database = Database(make_engine(f"sqlite:///{home / 'toban.db'}"))
    migrate.upgrade(database.engine)
    with database.engine.begin() as connection:
        if not notes:
            fill(connection)
        for note in notes:
            timeline.append(connection, "default", "INC-0900", note)
    database.close()


def doubted(diagnosis):
    """The diagnosis with something that speaks against its first hypothesis."""
    best, *rest = diagnosis.hypotheses
    best = best.model_copy(update={"contradicts": (Evidence(finding_id=best.supports[0].finding_id, weight=0.4),)})
    return diagnosis.model_copy(update={"incident_id": "INC-0900", "hypotheses": (best, *rest)})


def fill(connection):
    """One incident with a diagnosis and five changes that wait."""
    now = datetime.now(UTC)
    incidents.insert(connection, web_cases.incident(id="INC-0900"))
    found = web_cases.findings()
    evidence.save_findings(connection, "INC-0900", list(found))
    evidence.save_diagnosis(connection, doubted(web_cases.diagnosis(found)))
    for number, needed in ((900, 2), (901, 1), (902, 1), (903, 2), (904, 1)):
        until = now + timedelta(hours=1)
        made = web_cases.change(
            id=f"CHG-0{number}", incident_id="INC-0900", approvals_needed=needed, created_at=now, approve_by=until
        )
        changes.insert(connection, made)
    unknown = web_cases.change(ChangeState.UNKNOWN, id="CHG-0905", incident_id="INC-0900", step_state=StepState.UNKNOWN)
    changes.insert(connection, unknown)
    note = Note(at=now, lane=Lane.ALERTS, kind="incident.opened", text="HighErrorRate opened INC-0900", facts={})
    timeline.append(connection, "default", "INC-0900", note)


class Server:
    def __init__(self, home, port="0"):
        self.home = home
        command = [sys.executable, "-m", "toban.main", "up", "--port", port]
        self.process = Process(home, "toban", command, TOBAN_HOME=str(home))
        wait_until(lambda: (home / "run.json").exists() or self.process.popen.poll() is not None)
        assert self.process.popen.poll() is None, self.process.log.read_text()

    @property
    def told(self):
        return json.loads((self.home / "run.json").read_text())


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    remember(home)
    found = Server(home)
    yield found
    assert found.process.stop() == 0


@pytest.fixture
def toban(server, capsys, monkeypatch):
    """Runs one command against the server: exit code, stdout, stderr."""
    monkeypatch.setenv("TOBAN_HOME", str(server.home))
    monkeypatch.setenv("COLUMNS", "100")

    def run(*words, stdin=""):
        monkeypatch.setattr(sys, "stdin", stdin if hasattr(stdin, "readline") else io.StringIO(stdin))
        code = main.main([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out, err

    return run


class Person(io.StringIO):
    """Somebody in front of the terminal."""

    def isatty(self):
        return True


# --- looking -------------------------------------------------------------------------------------------------------


def test_the_running_server_is_found_by_its_state_folder(toban, server):
    code, out, _ = toban("info")
    assert code == 0
    assert server.told["url"] in out
    assert "health          ok" in out


def test_info_as_json_has_the_servers_own_words(toban):
    _, out, _ = toban("info", "-o", "json")
    found = json.loads(out)
    assert found["server"]["user"] == "you"
    assert found["problem"] is None


def test_incidents_are_listed_in_every_form(toban):
    assert "INC-0900\n" in toban("incident", "list", "-o", "name")[1]
    code, out, err = toban("incident", "list", "--open")
    assert (code, err) == (0, "")
    # other tests decide about its changes, so its state may have moved on
    assert re.search(r"INC-0900  critical  (remediating|escalated) +checkout", out)
    assert re.search(r"INC-0900 +重大 ", toban("incident", "list", "--lang", "ja")[1])
    assert json.loads(toban("incident", "list", "-o", "json")[1])["items"]


@pytest.mark.parametrize(
    ("lang", "words"), [("en", (" % sure, ", "for ", "against")), ("ja", ("確信度 ", "根拠", "反証"))]
)
def test_an_incident_is_shown_with_what_speaks_for_and_against(toban, lang, words):
    code, out, _ = toban("incident", "show", "inc-0900", "--lang", lang)
    assert code == 0
    assert out.startswith("INC-0900 Error rate of checkout above 5 %")
    for word in words:
        assert word in out


def test_an_incident_as_json_is_the_whole_case_file(toban):
    found = json.loads(toban("incident", "show", "INC-0900", "-o", "json")[1])
    assert len(found["changes"]) == 6
    assert found["diagnosis"]["hypotheses"]


@pytest.mark.parametrize(
    "words",
    [
        ("incident", "show", "INC-9999"),
        ("incident", "watch", "INC-9999"),
        ("change", "show", "CHG-9999"),
        ("approve", "CHG-9999", "--yes"),
        ("change", "settle", "CHG-9999", "probe"),
        ("alert", "replay", "DLQ-9999"),
        ("incident", "show", "../users"),
    ],
    ids=" ".join,
)
def test_what_is_not_there_is_exit_code_3(toban, words):
    code, out, err = toban(*words)
    assert (code, out) == (3, "")
    assert err.startswith("error: ")


def test_waiting_changes_are_listed_and_shown(toban):
    assert "CHG-0900  INC-0900  high  0/2" in toban("change", "list")[1]
    assert "CHG-0900" in toban("change", "list", "-o", "name")[1].split()
    out = toban("change", "show", "CHG-0900")[1]
    for told in ("shop/checkout (1 object, 3 of 3 replicas touched)", "it touches 3 of 3 replicas", "digest"):
        assert told in out
    assert toban("change", "show", "CHG-0900", "--lang", "ja")[1].startswith(
        "CHG-0900 デプロイメントをロールバックする"
    )


# --- deciding ------------------------------------------------------------------------------------------------------


def test_a_vote_without_a_terminal_needs_yes(toban):
    code, out, err = toban("approve", "CHG-0900")
    assert (code, out) == (4, "")
    assert "no terminal to ask on" in err


def test_anything_but_a_yes_touches_nothing(toban):
    code, out, err = toban("approve", "CHG-0900", stdin=Person("\n"))
    assert (code, out) == (1, "")
    assert "Approve CHG-0900? [y/N]" in err
    assert "0/2" in toban("change", "list")[1]


def test_one_of_two_approvals_says_how_many_are_missing_and_counts_once(toban):
    code, out, err = toban("approve", "chg-0903", "--reason", "seen", stdin=Person("y\n"))
    assert (code, out) == (0, "CHG-0903 approved; 1 more needed\n")
    assert "shop/checkout" in err
    code, _, err = toban("approve", "CHG-0903", "--yes")
    assert (code, err) == (4, "error: you may not vote on CHG-0903: you have voted already\n")


def test_only_a_change_whose_outcome_is_unknown_can_be_settled(toban):
    code, out, err = toban("change", "settle", "CHG-0900", "failed", "--reason", "I looked")
    assert (code, out) == (1, "")
    assert "CHG-0900" in err
    assert toban("change", "settle", "CHG-0905", "failed", "--reason", "I looked")[:2] == (0, "CHG-0905: failed\n")


def test_a_rejection_ends_a_change(toban):
    assert toban("reject", "CHG-0901", "--reason", "not now", "--yes")[:2] == (0, "CHG-0901 rejected\n")
    code, _, err = toban("approve", "CHG-0901", "--yes")
    assert code == 4
    assert "nothing to vote on" in err
    assert "rejected by you" in toban("change", "show", "CHG-0901")[1]


def test_a_plan_that_moved_on_is_not_approved(toban, monkeypatch):
    from toban.entrypoints.cli import client

    real = client.Api.change_file

    def older(api, change):
        file, why_not = real(api, change)
        return file.model_copy(update={"change": file.change.model_copy(update={"digest": "0" * 64})}), why_not

    monkeypatch.setattr(client.Api, "change_file", older)
    code, out, err = toban("approve", "CHG-0902", "--yes")
    assert (code, out) == (1, "")
    assert "toban change show CHG-0902" in err


def until_told(toban, *words, told):
    """What a command prints once it says this; deliveries are read after they were accepted."""
    deadline = time.monotonic() + 10
    while told not in (out := toban(*words)[1]) and time.monotonic() < deadline:
        time.sleep(0.05)
    return out


# --- alerts --------------------------------------------------------------------------------------------------------


def test_a_delivery_is_accepted_and_its_text_cannot_steer_the_terminal(toban, tmp_path, server):
    file = tmp_path / "alert.json"
    file.write_text(json.dumps(ALERTMANAGER))
    code, out, _ = toban("alert", "send", file)
    assert code == 0
    assert out == f"accepted by {server.told['url']}/hooks/alertmanager: 1 alert, {file.stat().st_size} bytes\n"
    listed = until_told(toban, "incident", "list", told="決済")
    assert "決済サービスが応答しません <U+001B>[2J" in listed
    assert "\x1b" not in listed


def test_what_cannot_be_read_is_a_dead_letter_with_its_field(toban, monkeypatch):
    class Stdin(io.StringIO):
        buffer = io.BytesIO(b'{"version": "4", "alerts": [{"labels": 3}]}')

    assert toban("alert", "send", "-", stdin=Stdin())[0] == 0
    assert "alerts[0].labels" in until_told(toban, "alert", "dead-letters", told="DLQ-")
    assert toban("alert", "replay", "dlq-0001")[:2] == (0, "DLQ-0001 will be read once more\n")


@pytest.mark.parametrize(
    ("content", "words", "code", "told"),
    [
        ('{"version": ', (), 2, ":1:13: not JSON"),
        (None, (), 2, "cannot read"),
        ("{}", ("--source", "zabbix"), 3, "configured are: alertmanager"),
        (" " * (5 * 1024 * 1024 + 1) + "{}", (), 2, "nothing was stored"),
    ],
    ids=["not json", "no file", "unknown source", "too large"],
)
def test_a_wrong_delivery_is_told(toban, tmp_path, content, words, code, told):
    file = tmp_path / "alert.json"
    if content is not None:
        file.write_text(content)
    found, out, err = toban("alert", "send", file, *words)
    assert (found, out) == (code, "")
    assert told in err


# --- the record ----------------------------------------------------------------------------------------------------


def test_an_exported_record_can_be_proved(toban, tmp_path):
    file = tmp_path / "audit.jsonl"
    assert toban("reject", "CHG-0904", "--reason", "for the record", "--yes")[0] == 0
    code, out, err = toban("audit", "export", "-o", file)
    assert (code, out) == (0, "")
    assert "events written" in err
    assert "for the record" in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    assert toban("audit", "verify", file)[0] == 2
    assert toban("audit", "export")[1].splitlines()[0].startswith("{")
    assert toban("audit", "export", "-o", tmp_path / "none" / "x")[0] == 2


# --- accounts ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_with_the_first_account_everybody_must_sign_in(tmp_path, capsys, monkeypatch):
    """In the order in which it happens to an administrator."""
    password = tmp_path / "password"
    password.write_text("correct horse battery\n")
    started = Server(tmp_path / "home")
    monkeypatch.setenv("TOBAN_HOME", str(started.home))
    monkeypatch.setenv("COLUMNS", "100")

    def toban(*words):
        code = main.main([str(word) for word in words])
        return code, *capsys.readouterr()

    create = ("token", "create", "--user", "aiko", "--label", "laptop", "--password-file", password)
    try:
        assert toban("user", "list")[2].startswith("no accounts")
        assert toban(*create)[0] == 4
        added = toban(
            "user", "add", "aiko", "--role", "administrator", "--role", "approver", "--password-file", password
        )
        assert added[:2] == (0, "aiko added: administrator, approver\n")
        code, _, err = toban("incident", "list")
        assert code == 5
        assert "TOBAN_TOKEN" in err
        code, secret, err = toban(*create)
        assert code == 0
        assert "not shown again" in err
        monkeypatch.setenv("TOBAN_TOKEN", secret.strip())
        assert "aiko  human  administrator, approver" in toban("user", "list")[1]
        assert toban("user", "add", "ci", "--role", "viewer", "--service")[0] == 0
        assert toban("user", "add", "ci", "--role", "viewer", "--service")[0] == 1
        monkeypatch.setenv("TOBAN_TOKEN", "tbn_wrong")
        assert toban("user", "list")[0] == 5
        password.write_text("another horse battery\n")
        assert toban(*create)[0] == 5
    finally:
        assert started.process.stop() == 0
    assert secret.strip() not in started.process.log.read_text()
    assert "horse" not in started.process.log.read_text()


# --- watching ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_watching_goes_on_where_it_was_when_the_server_comes_back(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    remember(home)
    port = str(free_port())
    first = Server(home, port)
    environment = {**os.environ, "TOBAN_URL": f"http://127.0.0.1:{port}"}
    command = [sys.executable, "-m", "toban.main", "incident", "watch", "INC-0900", "-o", "json"]
    out, err = tmp_path / "out", tmp_path / "err"
    with out.open("w") as stdout, err.open("w") as stderr:
        watch = subprocess.Popen(command, env=environment, stdout=stdout, stderr=stderr)
        try:
            wait_until(lambda: "opened INC-0900" in out.read_text(), 20)
            assert first.process.stop() == 0
            wait_until(lambda: "connection lost" in err.read_text(), 20)
            note = Note(at=datetime.now(UTC), lane=Lane.PEOPLE, kind="note", text="while it was away", facts={})
            remember(home, note)
            second = Server(home, port)
            wait_until(lambda: "while it was away" in out.read_text(), 20)
            assert second.process.stop() == 0
        finally:
            watch.kill()
            watch.wait(10)
    texts = [json.loads(line)["text"] for line in out.read_text().splitlines()]
    assert texts == ["HighErrorRate opened INC-0900", "while it was away"]
