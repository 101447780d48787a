"""The view `worklist` and the schema, on both databases."""

import json
import re
import warnings
from dataclasses import asdict, fields
from datetime import UTC, datetime

import numpy as np
import pytest
from sqlalchemy import Column, inspect, text, update

from tests.support.order import reading_order
from tests.support.store import Store, at
from triage.cli.output import print_json
from triage.core.documents import timestamp
from triage.core.study import StudyStatus
from triage.core.worklist import WorklistRow
from triage.errors import AmbiguousStudy, StudyNotFound
from triage.store import queries, reading, schema, scoring
from triage.store.database import Database
from triage.store.progress import mark_overdue
from triage.store.tables import metadata, study

STUDIES = 400
FIRST_ROWS = "SELECT * FROM worklist LIMIT 5"
CONTRACT = [
    *("position", "priority", "overdue", "label", "probability", "provisional", "status"),
    *("reason", "study_type", "views", "views_scored", "accession_number", "patient_id"),
    *("patient_name", "study_instance_uid", "study_description", "received_at"),
    *("completed_at", "waiting_seconds", "claimed_by", "model"),
]


@pytest.fixture(
    scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
)
def crowd(request, new_database):
    """Hundreds of studies in every state, many arrived at the same moment; to be looked at only."""
    store = Store(Database(new_database(request.param)))
    schema.upgrade(store.database)
    random = np.random.default_rng(11)
    for number in random.permutation(STUDIES):
        # Twenty moments for all of them, so that most arrivals tie.
        store.file(f"1.{number}", seconds=int(random.integers(20)) * 10)
    while work := store.hold(limit=50):
        results = [
            scoring.Result(work=item, reason="undecodable: broken", final=True)
            if random.random() < 0.25
            else scoring.Result(
                # Few values, so that probabilities tie too; 0.5 itself is normal.
                work=item,
                probability=round(float(random.random()), 1),
                threshold=0.5,
                model="m 1",
            )
            for item in work
        ]
        scoring.save_results(store.database, "s1", results, at(0))
    for number in range(0, STUDIES, 9):
        reading.mark_read(store.database, store.id(f"1.{number}"), "anna", None, at(300))
    while mark_overdue(store.database, at(1000), 945):
        pass
    yield store
    store.database.close()


def test_the_order_is_the_rule_s(crowd):
    rows = [asdict(row) for row in queries.worklist(crowd.database)]

    assert len(rows) == STUDIES - len(range(0, STUDIES, 9))
    assert {row["priority"] for row in rows} == {"HIGH", "MEDIUM", "LOW"}
    assert 20 < sum(row["overdue"] for row in rows) < 200
    assert [row["study_instance_uid"] for row in rows] == reading_order(rows)
    assert [row["position"] for row in rows] == list(range(1, len(rows) + 1))


def test_the_first_rows_and_a_study_by_itself_have_the_positions_of_the_whole_list(crowd):
    whole = queries.worklist(crowd.database)

    first = queries.worklist(crowd.database, 7)
    assert [(row.position, row.study_instance_uid) for row in first] == [
        (row.position, row.study_instance_uid) for row in whole[:7]
    ]
    for row in whole[::9]:
        assert crowd.row(row.study_instance_uid).position == row.position
    assert crowd.row("1.0").position is None  # it was read
    assert queries.count_on_worklist(crowd.database) == len(whole)


def test_select_star_comes_in_reading_order(crowd):
    with crowd.database.reading() as connection:
        rows = connection.execute(text("SELECT * FROM worklist")).mappings().all()

    assert [row["position"] for row in rows] == list(range(1, len(rows) + 1))


def test_the_first_rows_are_the_first_of_the_whole(crowd):
    whole = queries.worklist(crowd.database)

    first = queries.worklist(crowd.database, 7)

    assert [row.study_instance_uid for row in first] == [
        row.study_instance_uid for row in whole[:7]
    ]


def test_the_detail_of_a_study_repeats_its_row(crowd):
    now = datetime.now(UTC)
    for row in queries.worklist(crowd.database)[::40]:
        shown = queries.show_study(crowd.database, crowd.id(row.study_instance_uid), now).row

        a, b = asdict(shown), asdict(row)
        assert abs(a.pop("waiting_seconds") - b.pop("waiting_seconds")) < 5
        assert a == b


def test_priorities_follow_from_the_place(crowd):
    for row in queries.worklist(crowd.database):
        high = row.overdue or row.label == "abnormal"
        expected = "HIGH" if high else "MEDIUM" if row.label is None else "LOW"
        assert row.priority == expected


def test_the_columns_are_those_of_the_contract(database):
    columns = [column["name"] for column in inspect_view(database)]

    assert columns == [field.name for field in fields(WorklistRow)]
    assert columns == CONTRACT


def inspect_view(database):
    with database.reading() as connection:
        return inspect(connection).get_columns("worklist")


def test_the_waiting_time_is_that_of_the_clock(store):
    store.file(seconds=0)

    (row,) = queries.worklist(store.database)

    assert row.waiting_seconds == pytest.approx((datetime.now(UTC) - at(0)).total_seconds(), abs=5)


def test_a_moment_keeps_its_microseconds(store):
    store.file(seconds=0.000001)

    (row,) = queries.worklist(store.database)

    assert row.received_at == at(0.000001)
    assert timestamp(row.received_at) == "2025-03-01T12:00:00.123457Z"


def test_a_moment_of_whole_seconds_has_its_microseconds_too(store):
    store.file(seconds=-0.123456)

    (row,) = queries.worklist(store.database)

    assert timestamp(row.received_at) == "2025-03-01T12:00:00.000000Z"


def test_the_json_has_booleans_nulls_and_moments_in_utc(store, capsys):
    store.file()

    print_json([asdict(row) for row in queries.worklist(store.database)])

    (row,) = json.loads(capsys.readouterr().out)
    assert row["overdue"] is False
    assert row["provisional"] is True
    assert row["probability"] is None
    assert row["accession_number"] is None
    assert row["received_at"] == "2025-03-01T12:00:00.123456Z"


def test_a_probability_is_not_rounded(store):
    store.file()

    store.score(0.1 + 0.2)

    assert queries.worklist(store.database)[0].probability == 0.1 + 0.2


def test_a_provisional_result_orders_like_a_final_one(store):
    store.file("1.1", seconds=0)
    store.score(0.6)
    store.complete(10)
    store.file("1.2", seconds=20)
    store.score(0.7, seconds=20)

    rows = queries.worklist(store.database)

    assert [(row.study_instance_uid, row.status) for row in rows] == [
        ("1.2", StudyStatus.RECEIVING),
        ("1.1", StudyStatus.SCORED),
    ]


def test_a_study_is_found_by_its_uid_or_its_accession_number(store):
    store.file("1.1", accession_number="A1")
    store.file("1.2", accession_number="A2")

    assert store.id("1.2") == store.id("A2")
    with pytest.raises(StudyNotFound, match="A3"):
        store.id("A3")


def test_an_accession_number_of_several_studies_lists_them(store):
    store.file("1.1", accession_number="A1")
    store.file("1.2", accession_number="A1")

    with pytest.raises(AmbiguousStudy, match=r"(?s)1\.1.*1\.2"):
        store.id("A1")


def test_the_migrations_make_the_tables_that_the_code_describes(database):
    assert schema.differences(database) == []


def test_a_difference_between_migrations_and_tables_is_found(database):
    with database.writing() as connection:
        connection.execute(text("ALTER TABLE study ADD COLUMN extra TEXT"))

    assert "extra" in str(schema.differences(database))


def test_the_partial_indexes_are_those_that_the_code_describes(database):
    """Alembic's comparison does not look at their conditions.

    Of one over an expression SQLite tells nothing; `test_backlog` sees that it is used.
    """
    reflectable = {
        index.name
        for table in metadata.tables.values()
        for index in table.indexes
        if len(index.columns) == len(index.expressions)
        and all(isinstance(part, Column) for part in index.expressions)
    }
    with database.reading() as connection, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Skipped unsupported reflection of expression-based")
        found = inspect(connection)
        dialect = "sqlite" if database.is_sqlite else "postgresql"
        made = {
            index["name"]: (
                index["column_names"],
                bool(index["unique"]),
                plain(index.get("dialect_options", {}).get(f"{dialect}_where")),
            )
            for table in metadata.tables
            for index in found.get_indexes(table)
            if not index.get("duplicates_constraint") and index["name"] in reflectable
        }
    described = {
        index.name: (
            [column.name for column in index.columns],
            bool(index.unique),
            plain(index.dialect_options[dialect]["where"]),
        )
        for table in metadata.tables.values()
        for index in table.indexes
        if index.name in reflectable
    }
    assert made == described
    assert len(reflectable) >= 15
    assert sum(where != "" for _, _, where in described.values()) >= 5


def plain(condition):
    """Write a condition without what PostgreSQL adds when it stores one."""
    condition = "" if condition is None else str(condition)
    return re.sub(r"::text|[()]", "", condition).strip()


def test_the_reading_order_is_read_from_its_index(crowd):
    explain = "EXPLAIN QUERY PLAN " if crowd.database.is_sqlite else "EXPLAIN "
    with crowd.database.writing() as connection:
        if not crowd.database.is_sqlite:
            connection.execute(text("ANALYZE study"))
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        plan = connection.execute(text(explain + FIRST_ROWS)).all()

    assert "ix_study_reading_order" in str(plan)


def test_an_upgrade_of_a_database_that_is_up_to_date_does_nothing(database):
    assert schema.upgrade(database) == (schema.latest(), schema.latest())


def test_the_stored_order_key_never_disagrees_with_the_row(crowd):
    with crowd.database.reading() as connection:
        rows = connection.execute(
            study.select().with_only_columns(
                study.c.band, study.c.weight, study.c.overdue, study.c.label, study.c.probability
            )
        ).all()

    bands = {(True, None): 0, (False, "abnormal"): 1, (False, None): 2, (False, "normal"): 3}
    for row in rows:
        key = (True, None) if row.overdue else (False, row.label)
        assert row.band == bands[key]
        assert row.weight == (-row.probability if row.band == 1 else 0)


def test_a_moment_without_a_time_zone_is_refused(database):
    with pytest.raises(Exception, match="time zone"), database.writing() as connection:
        connection.execute(update(study).values(received_at=datetime(2025, 1, 1)))  # noqa: DTZ001
