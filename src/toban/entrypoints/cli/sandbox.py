"""`toban sandbox`: a world to practise in, alone in the background, and the faults in it."""

import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from toban.entrypoints.cli import options, processes, running, sandboxes, speech, tables
from toban.entrypoints.cli.exits import CommandError
from toban.entrypoints.cli.tables import Column

scenario_app = App(name="scenario")


def up(
    *,
    any_port: Annotated[bool, Parameter(help="Take free ports where the usual ones are in use.")] = False,
    seed: Annotated[int, Parameter(help="Names, addresses and traffic follow from it.")] = 1,
    alert_url: Annotated[str | None, Parameter(help="Where alerts are posted, as Alertmanager does.")] = None,
    alert_token_file: Annotated[Path | None, Parameter(help="File with the token for that.")] = None,
    output: options.Output = "table",
) -> None:
    """Start a sandbox in the background; `toban sandbox down` stops it."""
    home = running.home()
    folder = running.sandbox_folder(home)
    if running.is_locked(folder):
        raise CommandError(
            "a sandbox runs here already", hint="see `toban sandbox status`; stop it with `toban sandbox down`"
        )
    running.make(home)
    ports = {name: port if not any_port or sandboxes.is_free(port) else 0 for name, port in sandboxes.PORTS.items()}
    more = ["--seed", str(seed)]
    more += ["--alert-url", alert_url] if alert_url else []
    more += ["--alert-token-file", str(alert_token_file.absolute())] if alert_token_file else []
    log = home / sandboxes.LOG
    child = processes.start(sandboxes.command(folder, ports, *more), log=log, outlives=True)
    try:
        found = sandboxes.wait_ready(child, folder, log)
    except BaseException:
        processes.stop(child)
        raise
    _show(found, output)


def _show(found: sandboxes.Sandbox, output: options.Format) -> None:
    if output in {"json", "yaml"}:
        tables.show_data(found.told(), output)
        return
    sys.stdout.write(f"kubernetes  {found.kubernetes}\nmetrics     {found.metrics}\ncontrol     {found.control}\n")
    sys.stdout.write(f"kubeconfig  {found.kubeconfigs['admin']}\n")
    sys.stderr.write("try: toban sandbox scenario list\n")


def down() -> None:
    """Stop the sandbox."""
    home = running.home()
    found = sandboxes.find(home)
    own = running.find(home)
    if own is not None and own.sandbox.get("pid") == found.pid:
        raise CommandError(
            f"the sandbox belongs to the Toban at {own.url} (process {own.pid}) and ends with it",
            hint=f"stop that one: Ctrl-C where it runs, or kill {own.pid}",
        )
    sandboxes.stop(found)
    sys.stdout.write("stopped\n")


def status(*, output: options.Output = "table") -> None:
    """Where the sandbox is, what is wrong in it now."""
    found = sandboxes.find(running.home())
    state = sandboxes.control(found, "GET", "/state")
    if output in {"json", "yaml"}:
        tables.show_data({**found.told(), "state": state}, output)
        return
    scenario: dict[str, Any] = state["scenario"] or {}
    firing = ", ".join(sorted({one["alertname"] for one in state["firing"]})) or "none"
    rows = {
        "health": "all well" if state["healthy"] else "not well: " + (", ".join(state["incomplete"]) or firing),
        "scenario": scenario.get("name") or "none",
        "firing": firing,
        "kubernetes": found.kubernetes,
        "metrics": found.metrics,
        "control": found.control,
        "kubeconfig": found.kubeconfigs["admin"],
        "process": str(found.pid),
    }
    sys.stdout.writelines(f"{name:<12}{speech.safe(value)}\n" for name, value in rows.items())


@scenario_app.command(name="list", help="The faults that can be practised.")
def scenario_list(*, output: options.Output = "table", lang: options.Language = None) -> None:
    """The faults that can be practised."""
    speaker = speech.speaker(lang)
    columns = (
        Column(speaker("column.name"), lambda one: one["name"]),
        Column(speaker("column.family"), lambda one: one["family"]),
        Column(speaker("column.harmless"), lambda one: speaker("yes" if one["harmless"] else "no")),
        Column(speaker("column.title"), lambda one: one["title"][speaker.lang], flexible=True),
    )
    tables.show_list({"items": sandboxes.scenarios(), "next": None}, columns, output, name="name")


@scenario_app.command(name="start", help="Let one happen in the running sandbox.")
def scenario_start(name: Annotated[str, Parameter(help="See `toban sandbox scenario list`.")], /) -> None:
    """Let one happen in the running sandbox."""
    known = sandboxes.scenario(name)
    sandboxes.control(sandboxes.find(running.home()), "POST", f"/scenarios/{name}/start")
    sys.stdout.write(f"{name} began: {known['title'][speech.language(None)]}\n")


@scenario_app.command(name="reset", help="Back to the healthy world.")
def scenario_reset() -> None:
    """Back to the healthy world; alerts of the old one resolve."""
    sandboxes.control(sandboxes.find(running.home()), "POST", "/reset")
    sys.stdout.write("the sandbox is healthy again\n")
