"""Filters of the worklist."""

from datetime import UTC, datetime

import pytest

from triage.core.study import Label, StudyStatus
from triage.core.studytype import StudyType
from triage.core.wanted import Wanted
from triage.core.worklist import Priority, WorklistRow

ROW = WorklistRow(
    position=3,
    priority=Priority.HIGH,
    overdue=False,
    label=Label.ABNORMAL,
    probability=0.9,
    provisional=False,
    status=StudyStatus.SCORED,
    reason=None,
    study_type=StudyType.HAND,
    views=2,
    views_scored=2,
    accession_number="A-17",
    patient_id="P/4",
    patient_name="Müller^Änne Straße",
    study_instance_uid="1.2.3",
    study_description=None,
    received_at=datetime(2026, 3, 1, tzinfo=UTC),
    completed_at=None,
    waiting_seconds=10.0,
    claimed_by=None,
    model="m 1",
)


@pytest.mark.parametrize(
    "wanted",
    [
        {},
        {"priorities": {Priority.HIGH, Priority.LOW}},
        {"study_types": {StudyType.HAND}},
        {"statuses": {StudyStatus.SCORED}, "labels": {Label.ABNORMAL}},
        {"claimed": False},
        {"text": "  "},
        {"text": "MÜLLER änne"},
        {"text": "änne müller"},
        {"text": "müller^änne"},
        {"text": "STRASSE"},
        {"text": "a-17"},
        {"text": "1.2.3"},
    ],
)
def test_a_study_that_fits_is_admitted(wanted):
    assert Wanted(**wanted).admits(ROW)


@pytest.mark.parametrize(
    "wanted",
    [
        {"priorities": {Priority.LOW}},
        {"study_types": {StudyType.WRIST}},
        {"statuses": {StudyStatus.FAILED}},
        {"labels": {Label.NORMAL}},
        {"claimed": True},
        {"text": "müller anna"},
        {"priorities": {Priority.HIGH}, "text": "nobody"},
    ],
)
def test_one_thing_that_does_not_fit_is_enough(wanted):
    assert not Wanted(**wanted).admits(ROW)
