"""What a failure comes to, in one place."""

import inspect

import pytest

from toban import errors
from toban.entrypoints.cli import exits
from toban.entrypoints.cli.exits import Exit

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, errors.TobanError)]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("INVALID_INPUT", 2),
        ("CONFIGURATION", 2),
        ("NOT_FOUND", 3),
        ("REFUSED", 4),
        ("PERMISSION_DENIED", 4),
        ("UNAUTHENTICATED", 5),
        ("OVERLOADED", 6),
        ("PORT_IN_USE", 6),
        ("CONFLICT", 1),
        ("BROUGHT_BY_A_PLUGIN", 1),
    ],
)
def test_codes_become_the_agreed_exit_codes(code, expected):
    assert exits.of_code(code) == expected


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.code)
def test_no_error_ends_as_success(kind):
    assert exits.of_code(kind.code) not in {Exit.OK, Exit.PARTIAL, Exit.FINDINGS, Exit.INTERRUPTED}


def test_every_problem_of_a_configuration_has_its_line():
    told = exits.of_error(errors.ConfigurationError(["a.yaml:1: x", "a.yaml:2: y"]))
    assert told.lines == ("a.yaml:1: x", "a.yaml:2: y")
    assert told.exit_code == Exit.USAGE
