"""`toban user` and `toban token`: accounts and API tokens. Passwords are typed unseen or read from files."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter, validators

from toban.entrypoints.cli import client, options, speech, tables, terminal
from toban.entrypoints.cli.exits import CommandError, Exit
from toban.entrypoints.cli.tables import Column

Role = Literal["viewer", "operator", "approver", "service_manager", "auditor", "administrator"]
PasswordFile = Annotated[Path | None, Parameter(help="File with the password (else asked for).")]
_SHORTEST = 12


def user_add(
    name: Annotated[str, Parameter(help="How the person signs in.")],
    /,
    *,
    role: Annotated[tuple[Role, ...], Parameter(help="What the account may do; may be given again.")],
    password_file: PasswordFile = None,
    service: Annotated[bool, Parameter(help="A program: no password, comes in by tokens only.")] = False,
    output: options.Output = "table",
) -> None:
    """A new account. With the first one, everybody must sign in from then on."""
    password = None if service else _new_password(password_file)
    with client.connect() as api:
        made = api.post("/users", {"name": name, "roles": [*role], "password": password})
    if output in {"json", "yaml"}:
        tables.show_data(made, output)
    else:
        sys.stdout.write(f"{made['name']} added: {', '.join(made['roles'])}\n")


def _new_password(file: Path | None) -> str:
    typed = client.read_secret(file, "--password-file") if file else terminal.secret("Password")
    if len(typed) < _SHORTEST:
        raise CommandError(f"a password has {_SHORTEST} characters at least", exit_code=Exit.USAGE)
    if file is None and terminal.secret("Once more") != typed:
        raise CommandError("the two passwords are not the same", exit_code=Exit.USAGE)
    return typed


def user_list(*, output: options.Output = "table", lang: options.Language = None) -> None:
    """All accounts."""
    speaker = speech.speaker(lang)
    with client.connect() as api:
        found = api.get("/users")
    columns = (
        Column(speaker("column.name"), lambda one: one["name"]),
        Column(speaker("column.kind"), lambda one: one["principal"]),
        Column(speaker("column.roles"), lambda one: ", ".join(one["roles"]), flexible=True),
        Column(speaker("column.created"), lambda one: tables.moment(one["created_at"])),
    )
    tables.show_list(found, columns, output, empty=speaker("none.users"), name="name")


def token_create(
    *,
    user: Annotated[str, Parameter(help="Whose token.")],
    label: Annotated[str, Parameter(help="What it is for.")],
    days: Annotated[int, Parameter(help="How long it is valid.", validator=validators.Number(gte=1, lte=90))] = 30,
    password_file: PasswordFile = None,
    output: options.Output = "table",
) -> None:
    """Issue an API token after signing in. The secret goes to stdout, once; the server keeps its hash only."""
    if password_file is not None:
        password = client.read_secret(password_file, "--password-file")
    else:
        password = terminal.secret(f"Password of {user}")
    with client.connect() as api:
        try:
            made = api.post("/tokens", {"user": user, "password": password, "label": label, "days": days})
        except CommandError as error:
            if error.exit_code is Exit.SIGN_IN:
                error.hint = "check name and password"
            raise
    if output in {"json", "yaml"}:
        tables.show_data(made, output)
        return
    sys.stdout.write(made["secret"] + "\n")
    sys.stderr.write(f"keep it: it is not shown again; valid until {tables.moment(made['expires_at'])}\n")
