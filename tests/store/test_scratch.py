"""The place for measuring: nobody else sees it, and nothing of it is left."""

import pytest

from tests.support.waiting import wait_until
from triage.errors import DatabaseUnavailable
from triage.store.database import Database
from triage.store.scratch import scratch_schema

pytestmark = pytest.mark.postgres

SCHEMAS = "SELECT count(*) FROM pg_namespace WHERE starts_with(nspname, 'triage_bench_')"


def test_the_tables_are_in_a_schema_of_its_own_that_is_gone_afterwards(postgres_server):
    url = postgres_server.new_database()
    database = Database(url)

    def schemas():
        with database.reading() as connection:
            return connection.exec_driver_sql(SCHEMAS).scalar_one()

    with scratch_schema(url) as scratch:
        inside = Database(scratch)
        with inside.writing() as connection:
            connection.exec_driver_sql("CREATE TABLE figure (value TEXT)")
        inside.close()
        assert schemas() == 1

    assert schemas() == 0
    database.close()


def test_whoever_may_make_no_schema_leaves_no_connection_either(postgres_server):
    postgres_server.execute("CREATE ROLE no_schemas LOGIN")
    url = postgres_server.new_database().replace("postgres@", "no_schemas@")

    with pytest.raises(DatabaseUnavailable, match="GRANT CREATE ON DATABASE"), scratch_schema(url):
        pytest.fail("a schema was made")

    connections = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'no_schemas'"
    wait_until(
        lambda: postgres_server.execute(connections) == [(0,)], "no connection is left", seconds=10
    )
