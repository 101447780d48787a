"""A migrated database of each kind."""

import pytest

from tests.support.store import Store
from triage.store.database import Database


@pytest.fixture
def database(migrated_url):
    database = Database(migrated_url)
    yield database
    database.close()


@pytest.fixture
def store(database):
    return Store(database)
