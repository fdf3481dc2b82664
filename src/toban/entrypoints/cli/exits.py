"""Exit codes: the one place that says what a failure comes to, for errors of our own and for those a server tells.

Used by every command; `main` prints what is raised here. Codes of errors are those of `toban.errors` and problem+json.
"""

from enum import IntEnum
from typing import Final

from toban.errors import ConfigurationError, TobanError


class Exit(IntEnum):
    """What a script can rely on."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_FOUND = 3
    REFUSED = 4
    SIGN_IN = 5
    CONNECTION = 6
    TIME_OUT = 7
    PARTIAL = 8
    FINDINGS = 10
    INTERRUPTED = 130


_CODES: Final = {
    "INVALID_INPUT": Exit.USAGE,
    "MAPPING_FAILED": Exit.USAGE,
    "CONFIGURATION": Exit.USAGE,
    "TOO_LARGE": Exit.USAGE,
    "UNKNOWN_ACTION": Exit.USAGE,
    "NOT_FOUND": Exit.NOT_FOUND,
    "PERMISSION_DENIED": Exit.REFUSED,
    "REFUSED": Exit.REFUSED,
    "FORBIDDEN_ORIGIN": Exit.REFUSED,
    "UNAUTHENTICATED": Exit.SIGN_IN,
    "OVERLOADED": Exit.CONNECTION,
    "STORAGE_UNAVAILABLE": Exit.CONNECTION,
    "MISDIRECTED": Exit.CONNECTION,
    "PORT_IN_USE": Exit.CONNECTION,
}
_HINTS: Final = {
    "UNAUTHENTICATED": "set TOBAN_TOKEN or TOBAN_TOKEN_FILE; `toban token create` issues one",
    "OVERLOADED": "send it again in a moment",
    "STORAGE_UNAVAILABLE": "look at the server's log and its disk, then try again",
    "MISDIRECTED": "add the name to http.public_hosts of the server, or use its address in TOBAN_URL",
}


class CommandError(Exception):
    """A command failed: what happened in one line each, what to do about it, the exit code, an error's stable code."""

    def __init__(self, *lines: str, exit_code: Exit = Exit.FAILED, hint: str = "", code: str = "") -> None:
        self.lines = lines
        self.code = code
        self.exit_code = exit_code
        self.hint = hint
        super().__init__("\n".join(lines))


def of_code(code: str) -> Exit:
    """The exit code for the stable code of an error; FAILED where none is fixed."""
    return _CODES.get(code, Exit.FAILED)


def told(code: str, message: str) -> CommandError:
    """What a command says of an error with this code."""
    return CommandError(message, exit_code=of_code(code), hint=_HINTS.get(code, ""), code=code)


def of_error(error: TobanError) -> CommandError:
    """The same for an error of this process: every problem of a configuration on its own line."""
    if isinstance(error, ConfigurationError):
        return CommandError(*error.problems, exit_code=Exit.USAGE)
    return told(error.code, error.message)
