"""What all tests share: an environment without the machine's own Toban, and how often crash tests try.

Fixtures of one folder live in that folder's conftest; shared test doubles in `tests/support`.
"""

import os

import pytest

_ROUNDS = 10


def pytest_addoption(parser):
    parser.addoption(
        "--crash-rounds", type=int, default=_ROUNDS, help=f"kills of a crash test (default {_ROUNDS}); see `make chaos`"
    )


@pytest.fixture(scope="session")
def crash_rounds(request):
    """How many times a crash test kills the process."""
    rounds = request.config.getoption("--crash-rounds")
    assert rounds > 0, "--crash-rounds must be at least 1"
    return rounds


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
