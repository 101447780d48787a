"""A filled database of an earlier version goes on after the upgrade."""

import pytest
from sqlalchemy import text

from tests.support.store import Store, at
from triage.core.activation import CoarseMap
from triage.store import schema
from triage.store.activations import scored_views
from triage.store.database import Database
from triage.store.scoring import Result, save_results

STUDY = """
INSERT INTO study (id, study_instance_uid, received_at, opened_at, last_received_at, waiting_since,
    completed_at, status, study_type, side, label, probability, model, views, views_scored,
    reading_state, image_after_reading, overdue, band, weight)
VALUES (7, '1.1', :noon, :noon, :noon, :noon, :noon, 'scored', 'hand', 'L', 'abnormal', 0.9, 'm 1',
    1, 1, 'unread', false, false, 1, -0.9)
"""
INSTANCE = """
INSERT INTO instance (id, study_id, sop_instance_uid, digest, pixel_digest, series_instance_uid,
    sop_class_uid, transfer_syntax_uid, modality, body_part, study_type, side, frames, state, size,
    calling_ae_title, received_at)
VALUES (8, 7, '1.1.1', 'aa', 'bb', '1.1.0', '1.2.840.10008.5.1.4.1.1.1.1', '1.2.840.10008.1.2.1',
    'DX', 'HAND', 'hand', 'L', 1, 'scorable', 1000, 'PACS', :noon)
"""
VIEW = """
INSERT INTO view (id, study_id, instance_id, frame, state, probability, threshold, model, attempts,
    interruptions)
VALUES (9, 7, 8, 1, 'scored', 0.9, 0.5, 'm 1', 0, 0)
"""


@pytest.fixture(params=["0001", "0002"])
def revision(request):
    """Each schema that came before this version's."""
    return request.param


@pytest.fixture
def old(database_url, revision):
    """A database of an earlier schema with one scored study."""
    database = Database(database_url)
    schema.upgrade(database, revision)
    noon = at(0) if database_url.startswith("postgresql") else at(0).strftime("%FT%T.%fZ")
    with database.writing() as connection:
        for statement in (STUDY, INSTANCE, VIEW):
            connection.execute(text(statement), {"noon": noon})
    yield database
    database.close()


def test_the_upgrade_keeps_what_is_there(old, revision):
    assert schema.upgrade(old) == (revision, schema.latest())

    store = Store(old)
    assert schema.differences(old) == []
    row = store.row()
    assert (row.status, row.probability, row.views_scored) == ("scored", 0.9, 1)
    (entry,) = store.detail().instances
    assert (entry.study_type, entry.part_from, entry.exposed_field) == ("hand", None, None)


def test_a_view_that_was_scored_before_has_no_map_until_it_is_scored_again(old):
    schema.upgrade(old)
    store = Store(old)

    (before,) = scored_views(old, store.id())
    store.rescore(60)
    (work,) = store.hold(seconds=61)
    new = CoarseMap(height=1, width=1, cells=b"ab", side=32, resize="squeeze")
    result = Result(work=work, probability=0.2, threshold=0.5, model="m 2", map=new)
    save_results(old, "s1", [result], at(62))

    assert (before.map, before.waiting) == (None, False)
    assert [view.map for view in scored_views(old, store.id())] == [new]


def test_an_upgraded_study_takes_further_images(old):
    schema.upgrade(old)
    store = Store(old)

    store.sql("SELECT 1 FROM instance WHERE exposure_id IS NULL")
    if old.name.startswith("PostgreSQL"):  # the rows above did not draw from its sequences
        with old.writing() as connection:
            for table in ("instance", "view", "history"):
                connection.execute(
                    text(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), 100)")
                )
    store.file(sop="1.1.2", seconds=60)
    store.score(0.5, seconds=61)

    assert store.row().probability == pytest.approx(0.7)
