"""However many views wait, the questions of the scorer walk over none that they do not take."""

from contextlib import contextmanager
from functools import partial

import pytest
from sqlalchemy import event

from tests.support.store import at
from triage.core.audit import AuditKind
from triage.store import audit, files, scoring, tables, unscored

VIEWS = 20_000


@pytest.fixture
def backlog(store):
    """A site where many studies wait, and a scorer holds a few views."""
    for number in range(4):
        store.file(f"1.{number}")
    with store.database.writing() as connection:
        copy_rows(connection, "study", "study_instance_uid", "'2.' || n")
        copy_rows(connection, "instance", "sop_instance_uid", "'2.' || n", study_id="4 + n")
        copy_rows(connection, "view", "frame", "1", study_id="4 + n", instance_id="4 + n")
    if not store.database.is_sqlite:  # as autovacuum does; nobody does it for SQLite
        with store.database.writing() as connection:
            connection.exec_driver_sql("ANALYZE")
    assert len(store.hold("s1", limit=3)) == 3
    return store


def copy_rows(connection, table, unique, value, **others):
    """Copy a table's first row *VIEWS* times, with other values in some columns."""
    columns = list(tables.metadata.tables[table].columns.keys())
    changed = {"id": "4 + n", unique: value, **others}
    values = ", ".join(changed.get(name, f"{table}.{name}") for name in columns)
    numbers = f"SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {VIEWS}"  # noqa: S608  our own names
    connection.exec_driver_sql(
        f"WITH RECURSIVE numbers(n) AS ({numbers}) INSERT INTO {table} ({', '.join(columns)})"  # noqa: S608  our own names
        f" SELECT {values} FROM {table}, numbers WHERE {table}.id = 1"
    )


@contextmanager
def explained(database, word="held_"):
    """Collect how the database finds the rows of each statement that has *word* in it."""
    plans = []
    how = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "

    def explain(connection, cursor, statement, parameters, context, many):
        if statement.startswith(("SELECT", "UPDATE")) and word in statement:
            cursor.execute(how + statement, parameters[0] if many else parameters)
            plans.append("\n".join(str(row[-1]) for row in cursor.fetchall()))

    event.listen(database._engine, "before_cursor_execute", explain)
    yield plans
    event.remove(database._engine, "before_cursor_execute", explain)


ASKS = {
    "hold": lambda database: scoring.hold_views(database, "s2", 16, partial(at, 1)),
    "renew": lambda database: scoring.renew_holds(database, "s1", partial(at, 1)),
    "free": lambda database: scoring.free_views_of_dead(
        database, lambda name: name == "s1", at(1), scoring.Blame.NONE
    ),
    "explain_new": lambda database: unscored.explain_new(database, "no_model: none", at(1)),
    "explain": lambda database: unscored.explain_pending(database, "no_model: none", at(1), 19_000),
}


def test_no_question_of_the_scorer_walks_over_the_views_that_wait_or_sorts_them(
    backlog, monkeypatch
):
    monkeypatch.setattr(unscored, "PAGE", 20)
    for name, ask in ASKS.items():
        with explained(backlog.database) as plans:
            ask(backlog.database)
        assert plans, name
        for plan in plans:
            for line in plan.splitlines():
                # A walk in the order of an index ends at the limit.
                walks = "Seq Scan" in line or ("SCAN" in line and " USING INDEX ix_" not in line)
                sorts = "Sort" in line or "TEMP B-TREE" in line
                assert not walks, f"{name}:\n{plan}"
                assert not sorts, f"{name}:\n{plan}"


def test_neither_what_was_deleted_long_ago_nor_the_other_kinds_of_the_trail_are_walked_over(
    backlog,
):
    database = backlog.database
    with explained(database, "deleted_at IS NULL") as kept:
        files.known_files(database, "ab", [], at(0))
    with explained(database, "audit") as trail:
        list(audit.entries(database, audit.Wanted(kind=AuditKind.QUARANTINED)))

    assert "ix_instance_kept" in kept[0]
    if database.is_sqlite:  # PostgreSQL reads a trail of four entries as it lies
        assert "ix_audit_kind" in trail[0]
