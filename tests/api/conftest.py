"""Fixtures of the API tests."""

import pytest

from support.web import build, client_of, shut


@pytest.fixture
async def toban(tmp_path):
    built = build(tmp_path)
    yield built
    await shut(built)


@pytest.fixture
async def client(toban):
    async with client_of(toban) as opened:
        yield opened
