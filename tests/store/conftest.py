"""A migrated database of each kind."""

import pytest

from tests.support.store import Store
from triage.store import schema
from triage.store.database import Database


@pytest.fixture
def database(database_url):
    database = Database(database_url)
    schema.upgrade(database)
    yield database
    database.close()


@pytest.fixture
def store(database):
    return Store(database)
