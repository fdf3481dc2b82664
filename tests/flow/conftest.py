"""Fixtures of the flow tests."""

import pytest

from support.house import House


@pytest.fixture
def house(tmp_path):
    built = House(tmp_path)
    yield built
    built.close()
