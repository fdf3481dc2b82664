"""A fresh database for each test."""

import pytest

from toban.store import migrate
from toban.store.database import Database, make_engine


@pytest.fixture
def database(tmp_path):
    opened = Database(make_engine(f"sqlite:///{tmp_path / 'toban.db'}", busy_timeout_s=0.3))
    migrate.upgrade(opened.engine)
    yield opened
    opened.close()
