"""`toban audit`: prove the record of who did what, without a server; and get the whole of it out of one."""

import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from toban.entrypoints.cli import client, options, running, tables
from toban.entrypoints.cli.exits import CommandError, Exit

_DATABASE = "toban.db"


def verify(
    file: Annotated[Path | None, Parameter(help="An export or a database (else the state folder's).")] = None,
    /,
    *,
    anchor: Annotated[Path | None, Parameter(help="The head file that vouches for the chain.")] = None,
    output: options.Output = "table",
) -> int:
    """Prove the audit chain. Exit code: 0 sound, 1 tampered, 2 sound but no anchor to compare with."""
    from toban.governance import audit

    if file is None:
        file = running.home() / _DATABASE
        anchor = anchor or running.home() / audit.HEAD_FILE
    if not file.is_file():
        raise CommandError(
            f"there is no file {file}",
            exit_code=Exit.NOT_FOUND,
            hint="give an export that `toban audit export` wrote, or set TOBAN_HOME",
        )
    if anchor is not None and anchor.exists() and audit.read_head(anchor) is None:
        raise CommandError(f"{anchor} is no anchor that can be read", hint="it is a JSON object of seq and hash")
    report = audit.verify_file(file, anchor=anchor)
    if output in {"json", "yaml"}:
        tables.show_data({**report.model_dump(mode="json"), "file": str(file)}, output)
        return report.exit_code
    if not report.sound:
        raise CommandError(
            f"{file}: tampered at event {report.first_bad}: {report.reason}",
            exit_code=Exit(report.exit_code),
            hint=f"{report.count} events before it are sound",
        )
    told = "no anchor to compare with" if report.anchored is None else f"anchored up to event {report.anchored}"
    sys.stdout.write(f"sound: {report.count} events, {told}\n")
    if report.anchored is None:
        sys.stderr.write("a chain without an anchor could have been written anew as a whole; give --anchor FILE\n")
    return report.exit_code


def export(
    *, output: Annotated[Path | None, Parameter(name=["--output", "-o"], help="File to write (else stdout).")] = None
) -> None:
    """Write the whole chain as JSON lines; `audit verify` proves it anywhere."""
    with client.connect() as api, api.lines("/audit/export") as lines:
        if output is None:
            for line in lines:
                sys.stdout.write(line + "\n")
            return
        try:
            count = _write(output, lines)
        except OSError as error:
            raise CommandError(f"cannot write {output}: {error.strerror}", exit_code=Exit.USAGE) from error
    sys.stderr.write(f"{count} events written to {output}\n")


def _write(file: Path, lines: Iterable[str]) -> int:
    """All or nothing: a broken connection leaves no half of a record behind."""
    handle, name = tempfile.mkstemp(dir=file.absolute().parent, prefix=f".{file.name}-")
    count = 0
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            for line in lines:
                out.write(line + "\n")
                count += 1
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return count
