"""A Toban with its HTTP application, called in the process; its loops are turned by the tests."""

import httpx2

from toban import settings
from toban.app import Toban
from toban.entrypoints.http import application
from toban.store import migrate


def build(home, **variables):
    named = {"TOBAN_HOME": str(home)} | {f"TOBAN_{name}": str(value) for name, value in variables.items()}
    toban = Toban(settings.load(named))
    migrate.upgrade(toban.database.engine)
    return toban


async def shut(toban):
    await toban.intake.close()
    await toban.gate.close()
    toban.passwords.close()
    toban.database.close()


def client_of(toban):
    transport = httpx2.ASGITransport(app=application.create(toban))
    return httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1:8420")
