"""A site, with SQLite or with each kind of database."""

from contextlib import contextmanager

import pytest

from tests.support.keeping import Site
from triage.store.database import Database


@contextmanager
def site_with(url, folder):
    database = Database(url)
    yield Site(database, folder)
    database.close()


@pytest.fixture
def site(migrated, tmp_path):
    with site_with(migrated("sqlite"), tmp_path) as made:
        yield made


@pytest.fixture
def any_site(migrated_url, tmp_path):
    """Once of each kind, for what the databases do in their own ways."""
    with site_with(migrated_url, tmp_path) as made:
        yield made
