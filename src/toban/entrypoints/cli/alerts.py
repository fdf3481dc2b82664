"""`toban alert`: post a delivery to a hook as its sender would, and deal with those that could not be read."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from toban.entrypoints.cli import client, options, speech, tables
from toban.entrypoints.cli.exits import CommandError, Exit
from toban.entrypoints.cli.tables import Column

_HOOK_HINT = "give the hook's token with --token-file; it is set as integrations.{source}.token on the server"


def send(
    file: Annotated[str, Parameter(help="A file with the body, or - for stdin.", allow_leading_hyphen=True)],
    /,
    *,
    source: Annotated[str, Parameter(help="The hook's name, as in /hooks/NAME.")] = "alertmanager",
    token_file: Annotated[Path | None, Parameter(help="File with the hook's own token.")] = None,
    output: options.Output = "table",
) -> None:
    """Post a delivery to a hook. It is durable once accepted; reading it comes later."""
    body = _body(file)
    secret = client.read_secret(token_file, "--token-file") if token_file else None
    with client.connect() as api:
        try:
            api.deliver(source, body, secret)
        except CommandError as error:
            if error.exit_code is Exit.SIGN_IN:
                error.hint = _HOOK_HINT.format(source=source)
            raise
        url = api.url
    accepted = {"status": "accepted", "source": source, "bytes": len(body), "alerts": _count(body)}
    if output in {"json", "yaml"}:
        tables.show_data(accepted, output)
        return
    count = accepted["alerts"]
    alerts = "" if count is None else "1 alert, " if count == 1 else f"{count} alerts, "
    sys.stdout.write(f"accepted by {url}/hooks/{source}: {alerts}{len(body)} bytes\n")


def _body(file: str) -> bytes:
    try:
        body = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise CommandError(f"cannot read {file}: {error.strerror}", exit_code=Exit.USAGE) from error
    named = "stdin" if file == "-" else file
    try:
        json.loads(body)
    except json.JSONDecodeError as error:
        raise CommandError(
            f"{named}:{error.lineno}:{error.colno}: not JSON: {error.msg}",
            exit_code=Exit.USAGE,
            hint="the body is what the sender posts, for Alertmanager its webhook's JSON of version 4",
        ) from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise CommandError(f"{named}: not JSON: {error}", exit_code=Exit.USAGE) from error
    return body


def _count(body: bytes) -> int | None:
    found: Any = json.loads(body)
    alerts = found.get("alerts") if isinstance(found, dict) else None
    return len(alerts) if isinstance(alerts, list) else None


def dead_letters(*, output: options.Output = "table", lang: options.Language = None) -> None:
    """Deliveries that could not be read, with the field that is wrong."""
    speaker = speech.speaker(lang)
    with client.connect() as api:
        found = api.get("/dead-letters")
    columns = (
        Column(speaker("column.id"), lambda one: one["id"]),
        Column(speaker("column.received"), lambda one: tables.moment(one["received_at"])),
        Column(speaker("column.source"), lambda one: one["source"]),
        Column(speaker("column.field"), lambda one: one["field"], flexible=True),
        Column(speaker("column.problem"), lambda one: one["problem"], flexible=True),
    )
    tables.show_list(found, columns, output, empty=speaker("none.dead_letters"))


def replay(letter: Annotated[str, Parameter(help="Such as DLQ-0001.")], /) -> None:
    """Read a dead letter once more, after what was wrong has been mended."""
    with client.connect() as api:
        api.post(f"/dead-letters/{client.segment(letter)}/replay")
    sys.stdout.write(f"{letter.upper()} will be read once more\n")
