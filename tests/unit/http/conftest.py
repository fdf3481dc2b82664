"""A web door on a backend in memory, and a client that calls it in the process."""

import httpx2
import pytest

from browser.support.web_fake import FakeToban
from toban.entrypoints.http import application


class _Current:
    """Stands for the running test's backend: the application is built once, since that takes its time."""

    def __init__(self):
        self.toban = FakeToban()

    def __getattr__(self, name):
        return getattr(self.toban, name)


@pytest.fixture(scope="session")
def _current():
    return _Current()


@pytest.fixture(scope="session")
def _app(_current):
    return application.create(_current)


@pytest.fixture
def toban(_current):
    _current.toban = FakeToban()
    return _current.toban


@pytest.fixture
async def client(_app, toban):
    transport = httpx2.ASGITransport(app=_app, raise_app_exceptions=False)
    headers = {"Accept": "text/html"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8420", headers=headers) as client:
        yield client
