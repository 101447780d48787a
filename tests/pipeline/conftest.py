"""A site of each kind of database."""

import pytest

from tests.support.keeping import Site
from triage.store import schema
from triage.store.database import Database


@pytest.fixture
def site(database_url, tmp_path):
    database = Database(database_url)
    schema.upgrade(database)
    yield Site(database, tmp_path)
    database.close()
