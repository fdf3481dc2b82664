"""`toban config`: every mistake with its place, no secret shown."""

import pytest
import yaml


def test_defaults_are_shown_with_the_state_folder(toban, home):
    code, out, _ = toban("config", "show")
    found = yaml.safe_load(out)
    assert code == 0
    assert found["home"] == str(home)
    assert found["http"] == {"host": "127.0.0.1", "port": 8420, "public_hosts": [], "body_limit_bytes": 5242880}


def test_no_secret_is_shown(toban, tmp_path, monkeypatch):
    file = tmp_path / "toban.yaml"
    file.write_text(
        "database: {url: 'postgresql://toban:hunter22@db/toban'}\nintegrations: {alertmanager: {token: hunter23}}\n"
    )
    monkeypatch.setenv("TOBAN_INTEGRATIONS__PROMETHEUS__URL", "http://prometheus:9090")
    monkeypatch.setenv("TOBAN_INTEGRATIONS__PROMETHEUS__TOKEN", "hunter24")
    code, out, _ = toban("config", "show", file)
    assert code == 0
    assert "hunter2" not in out
    assert "http://prometheus:9090" in out


@pytest.mark.parametrize("command", ["show", "validate"])
def test_every_mistake_has_its_line(toban, tmp_path, command):
    file = tmp_path / "own.yaml"
    file.write_text("http:\n  port: 99999\n  hst: x\n")
    code, out, err = toban("config", command, file)
    assert (code, out) == (2, "")
    lines = err.splitlines()
    assert lines[0].startswith(f"error: {file}:2: http.port:")
    assert lines[1].startswith(f"error: {file}:3: http.hst: there is no setting of this name; did you mean host?")


def test_a_valid_file_is_named(toban, tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text("http: {port: 9000}\n")
    assert toban("config", "validate", file) == (0, f"valid: {file}\n", "")
    assert toban("config", "validate") == (0, "valid: no file, defaults and variables only\n", "")


def test_a_file_that_is_not_there_is_told(toban, tmp_path):
    code, _, err = toban("config", "validate", tmp_path / "none.yaml")
    assert (code, err) == (2, f"error: {tmp_path / 'none.yaml'}: No such file or directory\n")


def test_a_variable_that_means_nothing_is_told(toban, monkeypatch):
    monkeypatch.setenv("TOBAN_HTPP__PORT", "1")
    code, _, err = toban("config", "validate")
    assert code == 2
    assert "TOBAN_HTPP__PORT" in err


@pytest.mark.parametrize("name", ["TOBAN_LOG", "TOBAN_DEBUG", "TOBAN_URL", "TOBAN_TOKEN", "TOBAN_LANG"])
def test_the_command_lines_own_variables_are_no_mistakes(toban, monkeypatch, name):
    monkeypatch.setenv(name, "en")
    assert toban("config", "validate")[0] == 0
