"""`toban config`: what is set, and whether it is valid. Works without a server; secrets are never shown."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

if TYPE_CHECKING:
    from toban.settings import Settings

ConfigurationFile = Annotated[Path | None, Parameter(help="A configuration file (else the one that Toban would find).")]


def load(file: Path | None = None) -> "Settings":
    """The settings of this machine. Raises ConfigurationError that lists every mistake with its place."""
    from toban import settings

    return settings.load(file=file)


def show(file: ConfigurationFile = None, /) -> None:
    """Show the settings that count, with defaults; secrets are masked."""
    import yaml

    from toban import settings
    from toban.governance import redaction

    found = redaction.mask_tree(settings.shown(load(file)))
    yaml.safe_dump(found, sys.stdout, allow_unicode=True, sort_keys=False)


def validate(file: ConfigurationFile = None, /) -> None:
    """Check configuration file and variables; every mistake is told with its place."""
    from toban import settings

    load(file)
    used = file or settings.find_file(os.environ)
    sys.stdout.write(f"valid: {used or 'no file, defaults and variables only'}\n")
