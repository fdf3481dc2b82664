"""The command line called in the process, as `toban …` would be."""

import pytest

from toban import main


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A state folder of the test's own, no server, no colours, a terminal of 100 columns."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("TOBAN_HOME", str(folder))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return folder


@pytest.fixture
def toban(home, capsys):
    """Runs one command: exit code, stdout, stderr."""

    def run(*words):
        code = main.main([str(word) for word in words])
        out, err = capsys.readouterr()
        return code, out, err

    return run
