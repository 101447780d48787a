"""When a study has a preliminary reading, and what it speaks of."""

from dataclasses import replace

import pytest

from tests.support.rows import row
from triage.core.detail import GroupDetail, InstanceDetail, StudyDetail
from triage.core.report import passages, withheld
from triage.core.study import Label

WRIST = GroupDetail(
    group="wrist L",
    study_type="wrist",
    side="L",
    probability=0.2,
    threshold=0.5,
    views=2,
    deciding=True,
)


def instance(reason=None, state="scored", frame=1):
    return InstanceDetail(
        sop_instance_uid="1.2.1",
        series_instance_uid="1.2.0",
        frame=frame,
        state=state,
        reason=reason,
        probability=0.2,
        group="wrist L",
        study_type="wrist",
        part_from="BodyPartExamined 'WRIST'",
        side="L",
        side_from="ImageLaterality 'L'",
        exposed_field=None,
    )


def study(*reasons, groups=(WRIST,), **changes):
    return StudyDetail(
        row=row(**changes),
        reading_state="unread",
        finding=None,
        groups=list(groups),
        instances=[instance(), *(instance(reason, "unscorable", None) for reason in reasons)],
        history=[],
    )


@pytest.mark.parametrize(
    "made",
    [
        study(),
        study("not_an_image: Basic Text SR is not an image"),
        study("presentation_twin: a raw image ('for processing'); its presentation 1.2 takes ..."),
        study("duplicate_exposure: it shows the exposure of 1.2, and they count once"),
        study("pixels_deleted: its pixel data was deleted"),
        study(reason="image_after_reading: an image arrived after the study had been read"),
    ],
)
def test_a_normal_study_has_a_preliminary_reading(made):
    assert withheld(made) is None


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (study(label=None, probability=None), "not scored"),
        (study(label=Label.ABNORMAL), "abnormal"),
        (study(provisional=True), "may still arrive"),
        (study(views=3), "1 of 3 views are not scored"),
        (study("unknown_part: no attribute names the part of the body"), "A radiograph"),
        (study("outside_upper_extremity: a knee"), "A radiograph"),
        (study("too_large: 1e9 pixels"), "A radiograph"),
        (study("low_trust: a raw image ('for processing') without its presentation"), "low trust"),
        (study(groups=[WRIST, replace(WRIST, study_type=None, side=None)]), "not known"),
    ],
)
def test_it_is_withheld_where_the_network_has_not_seen_all_as_it_should(made, why):
    assert why in withheld(made)


def test_each_part_and_side_is_spoken_of():
    made = study(groups=[WRIST, replace(WRIST, study_type="hand", side="R", views=1)])

    assert [(each.study_type, each.side, each.views) for each in passages(made)] == [
        ("wrist", "left", 2),
        ("hand", "right", 1),
    ]
