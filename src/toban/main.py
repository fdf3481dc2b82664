"""Starts things: the command `toban` and `python -m toban.main`. The only module that may import every entry point.

Each command is loaded when it is called, so that `--help` is quick; errors become one clear line and an exit code here.
"""

import os
import sys
from typing import Annotated, Any, Final

from cyclopts import App, CycloptsError, Group, Parameter, validators

from toban import __version__
from toban.entrypoints.cli import speech
from toban.entrypoints.cli.exits import CommandError, Exit, of_error
from toban.errors import TobanError

_START: Final = Group.create_ordered("Begin")
_WORK: Final = Group.create_ordered("Work with a running Toban")
_KEEP: Final = Group.create_ordered("Look after it")
_CLI: Final = "toban.entrypoints.cli"


def _words(lang: str) -> Any:
    """The pages' sentences, lent to the command line: entry points do not know each other."""
    from toban.entrypoints.http.i18n.words import Words

    return Words(lang)


def build() -> App:
    """The whole command line; nothing behind a command is imported."""
    app = App(
        name="toban",
        help="The one on duty: alerts become incidents, incidents get a proven cause, an approved fix and a verified "
        "recovery.",
        version=__version__,
        version_flags=["--version"],
        help_format="plaintext",
        exit_on_error=False,
        print_error=False,
        result_action="return_value",
        suppress_keyboard_interrupt=False,
        default_parameter=Parameter(negative=()),
    )
    app.command(f"{_CLI}.demo:demo", name="demo", group=_START, help="Watch one incident from alert to verified fix.")
    app.command(up, name="up", group=_START, help="Run Toban in the foreground.")
    _group(
        app, "sandbox", _START, "A world to practise in.",
        up="Start a sandbox in the background.", down="Stop it.", status="What runs, what is wrong there.",
    ).command(f"{_CLI}.sandbox:scenario_app", name="scenario", help="Faults to practise on.")  # fmt: skip
    _group(
        app, "incident", _WORK, "Incidents and their stories.", module="incidents",
        list="Incidents, newest first.", show="All that is known of one.", watch="Follow its story as it happens.",
    )  # fmt: skip
    _group(
        app, "change", _WORK, "Planned and made changes.", module="changes",
        list="Changes that wait for approval.", show="One change: plan, votes, verification.",
        settle="Say what came of one whose outcome is unknown.",
    )  # fmt: skip
    app.command(f"{_CLI}.changes:approve", name="approve", group=_WORK, help="Approve a change after looking at it.")
    app.command(f"{_CLI}.changes:reject", name="reject", group=_WORK, help="Reject a change, with a reason.")
    _group(
        app, "alert", _WORK, "Alerts on their way in.", module="alerts",
        send="Post a delivery to a hook.", dead_letters="Deliveries that could not be read.",
        replay="Read a dead letter once more.",
    )  # fmt: skip
    app.command(f"{_CLI}.info:info", name="info", group=_KEEP, help="Version, places, health; also when none runs.")
    _group(
        app, "config", _KEEP, "Settings and their mistakes.", module="configuration",
        show="What is set, secrets masked.", validate="Every mistake with its place.",
    )  # fmt: skip
    _group(
        app, "audit", _KEEP, "The record of who did what.",
        verify="Prove the chain, offline.", export="Write the whole chain to a file.",
    )  # fmt: skip
    _group(
        app, "user", _KEEP, "Accounts.", module="accounts", prefix="user_",
        add="A new account.", list="All accounts.",
    )  # fmt: skip
    _group(app, "token", _KEEP, "API tokens.", module="accounts", prefix="token_", create="Issue one, shown once.")
    return app


def _group(
    app: App, name: str, group: Group, help_text: str, *, module: str = "", prefix: str = "", **commands: str
) -> App:
    """A group of commands, `prefix` + name being a function of `module`; `list` is a word of Python's own."""
    own = App(name=name, help=help_text, group=group)
    for command, told in commands.items():
        function = "list_all" if command == "list" and not prefix else f"{prefix}{command}"
        own.command(f"{_CLI}.{module or name}:{function}", name=command.replace("_", "-"), help=told)
    app.command(own)
    return own


def up(
    *,
    sandbox: Annotated[bool, Parameter(help="Bring a simulated cluster and look after that.")] = False,
    host: Annotated[str | None, Parameter(help="Address to listen on (else the setting http.host).")] = None,
    port: Annotated[
        int | None,
        Parameter(help="Port, 0 for a free one (else http.port).", validator=validators.Number(gte=0, lte=65535)),
    ] = None,
    scenario: Annotated[str | None, Parameter(help="Begin this scenario in the sandbox.")] = None,
    any_port: Annotated[bool, Parameter(help="Take free ports where the usual ones are in use.")] = False,
) -> None:
    """Run Toban in the foreground until Ctrl-C."""
    from toban.entrypoints.cli import up as starting

    wishes = starting.Wishes(host, port, sandbox, scenario, any_port)
    with starting.stopped_by_term():
        starting.check(wishes)
        _serve(wishes)


def _serve(wishes: Any) -> None:
    import asyncio
    import gc

    from toban.entrypoints.cli import running
    from toban.entrypoints.cli import up as starting
    from toban.entrypoints.http import server

    gc.disable()  # loading makes hundreds of thousands of objects and no garbage: a tenth of the start

    running.make(running.home())
    with starting.world(wishes, running.home()) as world:
        settings = starting.load_settings(wishes)
        http = settings.http
        listener = server.listen(http.host, http.port, any_port=wishes.any_port)
        starting.configure_logs()
        from toban.entrypoints.http import application  # noqa: F401 - loaded while the sandbox starts

        ready = world.wait() if world else None
        if ready:
            settings = starting.pointed_at(settings, ready)

        def prepare(url: str) -> None:
            if ready:
                starting.introduce(ready, url, settings, wishes.scenario)

        def tell(url: str) -> None:
            gc.freeze()  # what was loaded stays
            gc.enable()
            place = f" with a sandbox ({ready.control})" if ready else ""
            starting.say(f"Toban is on duty at {url}{place}; Ctrl-C stops it")

        asyncio.run(server.run(settings, server.Door(listener, ready.told() if ready else {}, prepare, tell)))


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the exit code."""
    speech.install(_words)
    debug = bool(os.environ.get("TOBAN_DEBUG"))
    try:
        result = build()(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left; say nothing more at exit
        return Exit.FAILED  # as the library that draws does it
    except Exception as error:  # an entry point: no traceback reaches a person unasked
        if debug:
            raise
        return _tell(error)
    return result if isinstance(result, int) else Exit.OK


def _tell(error: Exception) -> int:
    failure = _failure(error)
    for line in failure.lines:
        for part in line.splitlines() or [""]:
            sys.stderr.write(f"error: {part}\n")
    if failure.hint:
        sys.stderr.write(f"       {failure.hint}\n")
    return failure.exit_code


def _failure(error: Exception) -> CommandError:
    if isinstance(error, CommandError):
        return error
    if isinstance(error, TobanError):
        return of_error(error)
    if isinstance(error, CycloptsError):
        chain = " ".join(["toban", *(error.command_chain or ())])
        return CommandError(str(error).strip(), exit_code=Exit.USAGE, hint=f"see `{chain} --help`")
    told = f"{type(error).__name__}: {error}"
    return CommandError(f"unexpected: {told}", hint="TOBAN_DEBUG=1 shows where; please report it")


if __name__ == "__main__":
    sys.exit(main())
