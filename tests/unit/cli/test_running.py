"""What a running Toban leaves in its folder, and what a dead one left behind."""

import fcntl
import json

import pytest

from toban import settings
from toban.entrypoints.cli import running
from toban.entrypoints.cli.exits import CommandError


@pytest.mark.parametrize("variables", [{}, {"TOBAN_HOME": "/srv/toban"}, {"TOBAN_HOME": "~/t"}, {"TOBAN_HOME": ""}])
def test_the_state_folder_is_where_the_settings_have_it(variables):
    assert running.home(variables) == settings.home_folder(variables)


def announce(folder, content=None):
    content = content or {"pid": 1, "url": "http://127.0.0.1:1", "host": "127.0.0.1", "port": 1, "sandbox": {}}
    (folder / "run.json").write_text(json.dumps(content))


def test_a_living_one_is_found(tmp_path):
    announce(tmp_path)
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert running.find(tmp_path).url == "http://127.0.0.1:1"
    assert running.find(tmp_path) is None


def test_what_is_not_ours_is_nothing(tmp_path):
    assert running.find(tmp_path) is None
    announce(tmp_path, {"pid": "x"})
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert running.find(tmp_path) is None


def test_a_folder_that_cannot_be_made_says_what_to_set(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandError) as raised:
        running.make(tmp_path / "file" / "home")
    assert raised.value.exit_code == 2
    assert "TOBAN_HOME" in raised.value.hint


def test_a_folder_is_made_for_its_owner_alone(tmp_path):
    running.make(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700
