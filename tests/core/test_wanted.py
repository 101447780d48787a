"""Filters of the worklist."""

import pytest

from tests.support.rows import row
from triage.core.study import Label, StudyStatus
from triage.core.studytype import StudyType
from triage.core.wanted import Wanted
from triage.core.worklist import Priority

ROW = row(
    priority=Priority.HIGH,
    label=Label.ABNORMAL,
    probability=0.9,
    study_type=StudyType.HAND,
    accession_number="A-17",
    patient_name="Müller^Änne Straße",
    study_instance_uid="1.2.3",
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
