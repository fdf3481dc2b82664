"""Every command is there, is loaded only when called, and tells its mistakes in one clear line."""

import subprocess
import sys

import pytest

from toban import main

HEAVY = (
    "alembic",
    "dbos",
    "fastapi",
    "httpx2",
    "lightkube",
    "pydantic",
    "pydantic_settings",
    "sqlalchemy",
    "starlette",
    "structlog",
    "toban.app",
    "toban.settings",
    "uvicorn",
    "yaml",
)


def commands(app=None, chain=()):
    """Every command as its words."""
    app = app or main.build()
    for name in app:
        if name.startswith("-"):
            continue
        own = app[name]
        inner = [word for word in own if not word.startswith("-")]
        yield from commands(own, (*chain, name)) if inner else [(*chain, name)]


COMMANDS = list(commands())


def loaded_after(*words):
    """The modules in a fresh process after a command."""
    code = (
        "import sys; from toban.main import main\n"
        f"words = {list(words)!r}\n"
        "if words: main(words)\n"
        "sys.stderr.write(' '.join(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    return set(done.stderr.split())


def test_the_agreed_commands_are_there():
    assert {" ".join(chain) for chain in COMMANDS} == {
        "demo", "up", "approve", "reject", "info",
        "sandbox up", "sandbox down", "sandbox status",
        "sandbox scenario list", "sandbox scenario start", "sandbox scenario reset",
        "incident list", "incident show", "incident watch", "change list", "change show", "change settle",
        "alert send", "alert dead-letters", "alert replay",
        "config show", "config validate", "audit verify", "audit export",
        "user add", "user list", "token create",
    }  # fmt: skip


@pytest.mark.parametrize("words", [("--help",), ("up", "--help"), ("incident", "--help"), ("--version",)], ids=" ".join)
def test_help_loads_nothing_heavy(words):
    assert loaded_after(*words) & set(HEAVY) == set()


def test_importing_the_command_line_loads_not_even_what_draws():
    assert loaded_after() & {*HEAVY, "rich", "asyncio"} == set()


@pytest.mark.parametrize("chain", COMMANDS, ids=" ".join)
def test_every_command_explains_itself(toban, chain):
    code, out, err = toban(*chain, "--help")
    assert (code, err) == (0, "")
    assert f"Usage: toban {' '.join(chain)}" in out
    unexplained = [line for line in out.splitlines() if line.strip().endswith(("[required]", "None]"))]
    assert all(len(line.split()) > 3 for line in unexplained)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["incidnt"], 'Did you mean "incident"'),
        (["incident", "show"], "INCIDENT requires an argument"),
        (["incident", "list", "--colour"], "--colour"),
        (["up", "--port", "70000"], "70000"),
        (["up", "--port", "abc"], "--port"),
        (["reject", "CHG-0001"], "--reason"),
        (["change", "settle", "CHG-0001", "executed"], "--reason"),
        (["change", "settle", "CHG-0001", "perhaps"], "perhaps"),
        (["user", "add", "aiko", "--role", "boss"], "boss"),
        (["up", "--scenario", "noise"], "--scenario happens in a sandbox"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_words_are_told_in_one_line_with_exit_code_2(toban, words, told):
    code, out, err = toban(*words)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert told in err
    assert "Traceback" not in err


def test_an_unexpected_error_is_one_line_unless_debugging(toban, monkeypatch):
    from toban.entrypoints.cli import running

    def broken(*_):
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(running, "home", broken)
    code, _, err = toban("info")
    assert code == 1
    assert err.splitlines()[0] == "error: unexpected: ZeroDivisionError: by zero"
    monkeypatch.setenv("TOBAN_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        toban("info")


@pytest.mark.parametrize("words", ["--help", "sandbox scenario list -o name", "sandbox scenario list"])
def test_a_reader_that_leaves_early_hears_no_complaint(words):
    command = f"{sys.executable} -m toban.main {words} | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=30, check=True)
    assert done.stderr == ""
