"""What all tests share: an environment without the machine's own Toban, and how often crash tests try.

Fixtures of one folder live in that folder's conftest; shared test doubles in `tests/support`.
"""

import os

import pytest

_ROUNDS = 3


def pytest_addoption(parser):
    parser.addoption(
        "--crash-rounds", type=int, default=_ROUNDS, help=f"kills in a crash test (default {_ROUNDS}); see `make chaos`"
    )


def pytest_generate_tests(metafunc):
    """A test that asks for `crash_seed` runs once for each round, each with a number of its own."""
    if "crash_seed" in metafunc.fixturenames:
        rounds = metafunc.config.getoption("--crash-rounds")
        if rounds < 1:
            raise pytest.UsageError("--crash-rounds must be at least 1")
        metafunc.parametrize("crash_seed", range(rounds))


_PERSONAL = {"FORCE_COLOR", "NO_COLOR", "KUBECONFIG", "PYTHONPATH"}


@pytest.fixture(scope="session", autouse=True)
def _own_environment():
    """No setting, proxy or colour wish of the person who runs the tests reaches them, nor the processes they start."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            is_toban = name.startswith("TOBAN_") and name != "TOBAN_SHARED"
            if is_toban or name in _PERSONAL or name.lower().endswith("_proxy"):
                patch.delenv(name)
        patch.setenv("NO_PROXY", "127.0.0.1,localhost,::1")
        yield
