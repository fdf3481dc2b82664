"""`toban info`: what is installed, where it keeps things, and how the running Toban is; works when none runs."""

import os
import platform
import sys
from typing import Any

from toban import __version__
from toban.entrypoints.cli import client, options, running, sandboxes, speech, tables, terminal
from toban.entrypoints.cli.exits import CommandError
from toban.entrypoints.cli.speech import Speaker


def info(*, output: options.Output = "table", lang: options.Language = None) -> None:
    """Version, places and health."""
    speaker = speech.speaker(lang)
    found = _found()
    if output in {"json", "yaml"}:
        tables.show_data(found, output)
    elif output == "name":
        sys.stdout.write(f"toban {__version__}\n")
    else:
        _draw(found, speaker)


def _found() -> dict[str, Any]:
    home = running.home()
    url = client.server_url()
    sandbox = sandboxes.read(running.sandbox_folder(home))
    found: dict[str, Any] = {
        "version": __version__,
        "python": platform.python_version(),
        "home": str(home),
        "config": os.environ.get("TOBAN_CONFIG") or _configuration(),
        "url": url,
        "sandbox": sandbox.control if sandbox and running.is_locked(sandbox.folder) else None,
        "server": None,
        "problem": None,
    }
    try:
        with client.connect() as api:
            found["server"] = api.get("/info")
    except CommandError as error:
        found["problem"] = str(error)
    return found


def _configuration() -> str | None:
    from toban import settings

    file = settings.find_file(os.environ)
    return str(file) if file else None


def _draw(found: dict[str, Any], speaker: Speaker) -> None:
    from toban.entrypoints.cli.paper import Paper

    paper = Paper(terminal.data(), label=16)
    server = found["server"]

    def line(name: str, text: str, style: str = "") -> None:
        paper.line(speaker(f"info.{name}"), text, style=style)

    line("version", found["version"])
    line("python", found["python"])
    line("home", found["home"])
    line("config", found["config"] or speaker("info.no_file"))
    if found["sandbox"]:
        line("sandbox", found["sandbox"])
    if server is None:
        line("server", speaker("info.down", url=found["url"], why=found["problem"]), "yellow")
        return
    wrong = {name: state for name, state in server["ready"].items() if state != "ok"}
    line("server", f"{found['url']} ({server['version']})")
    line("user", f"{server['user']} ({server['sign_in']})")
    line("sources", ", ".join(server["sources"]) or "-")
    line("actions", ", ".join(server["actions"]) or "-")
    told = "; ".join(f"{name}: {state}" for name, state in wrong.items()) or "ok"
    line("health", told, "red" if wrong else "green")
