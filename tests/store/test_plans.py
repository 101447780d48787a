"""No question of the daemon or of a reader walks over what grows with the archive."""

import re
from contextlib import contextmanager
from itertools import chain

import pytest
from sqlalchemy import event

from tests.support.archive import fill
from tests.support.questions import day, seldom
from triage.store import tables

STUDIES, UNREAD, KEPT = 3000, 600, 100
FIRST_ROWS = "SELECT * FROM worklist LIMIT 100"
# Hold no more than what is on the worklist, in the queue or in the spool; to walk over one of
# them in its order, up to a limit, is what it is for.
SHORT = {
    *("ix_study_reading_order", "ix_study_waiting", "ix_study_receiving", "ix_study_kept_since"),
    *("ix_view_pending", "ix_view_queue", "ix_view_unexplained", "ix_view_held_by"),
    "ix_instance_kept",
}


@pytest.fixture(
    scope="module",
    params=["sqlite", "sqlite analysed", pytest.param("postgres", marks=pytest.mark.postgres)],
)
def archive(request, new_database):
    """An archive that is small, and in which the share of the unread is large."""
    kind, _, analysed = request.param.partition(" ")
    archive = fill(new_database(kind), STUDIES, UNREAD, KEPT)
    if analysed:  # as an administrator may have done
        with archive.database.writing() as connection:
            connection.exec_driver_sql("ANALYZE")
    yield archive
    archive.database.close()


@contextmanager
def explained(database):
    """Collect statement and plan of whatever the database is asked."""
    found = []
    how = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN (FORMAT JSON)"

    def explain(connection, cursor, statement, parameters, context, many):
        if statement.startswith(("SELECT", "UPDATE", "DELETE")) or " SELECT " in statement:
            cursor.execute(f"{how} {statement}", parameters[0] if many else parameters)
            found.append((statement, cursor.fetchall()))

    event.listen(database._engine, "before_cursor_execute", explain)
    yield found
    event.remove(database._engine, "before_cursor_execute", explain)


def walks(plan):
    """Return what the plan walks over that grows with the archive."""
    if isinstance(plan[0][-1], str):  # SQLite's, a step a row
        scans = [re.fullmatch(r"SCAN (\w+)(?:.* INDEX (\w+))?.*", row[-1]) for row in plan]
        return [s[0] for s in scans if s and s[1] in tables.metadata.tables and s[2] not in SHORT]
    return [
        f"{node['Node Type']} of {node['Relation Name']} by {node.get('Index Name')}"
        for node in nodes(plan[0][0][0]["Plan"])
        if "Relation Name" in node
        and "Index Cond" not in node
        and "Recheck Cond" not in node
        and node["Node Type"] != "ModifyTable"
        and node.get("Index Name") not in SHORT
    ]


def nodes(plan):
    """Yield a node of PostgreSQL's plan and those below it."""
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


@pytest.fixture(scope="module")
def plans(archive):
    """What each question came to: its name, a statement, and how the database answers that."""
    found = []
    for name, question in chain(day(archive, 0), seldom(archive)):
        with explained(archive.database) as statements:
            question()
        assert statements, name
        found += [(name, statement, plan) for statement, plan in statements]
    return found


def test_nothing_is_scanned_that_grows_with_the_archive(plans):
    found = [
        f"{name}: {walk}\n{statement}" for name, statement, plan in plans for walk in walks(plan)
    ]

    assert not found, "\n\n".join(found)


def test_every_index_is_what_some_question_is_answered_by(plans):
    every = {index.name for table in tables.metadata.tables.values() for index in table.indexes}

    assert every <= set(re.findall(r"\bix_\w+", str([plan for _, _, plan in plans])))


def test_the_first_of_the_worklist_are_read_in_its_order_and_no_others(plans):
    (plan,) = [plan for _, statement, plan in plans if statement == FIRST_ROWS]

    assert "ix_study_reading_order" in str(plan)
    assert not re.search("Sort|TEMP B-TREE", str(plan))
