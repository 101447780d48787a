"""Which of several images of one exposure counts, and which is left out."""

from dataclasses import replace
from itertools import permutations

import pytest

from triage.core.exposure import Candidate, Standing, stand
from triage.core.study import Exposure, Intent, Side
from triage.core.studytype import StudyType

EVENT = "1.2.3.4"


def image(key, intent=Intent.PRESENTATION, *, pixels=None, side=Side.LEFT, **exposure):
    return Candidate(
        key=key,
        sop_instance_uid=f"1.{key}",
        pixel_digest=pixels or f"pixels {key}",
        study_type=StudyType.WRIST,
        side=side,
        exposure=Exposure(intent=intent, **exposure),
    )


def raw(key, **exposure):
    return image(key, Intent.PROCESSING, **exposure)


ALONE = Standing()


def test_images_of_their_own_stand_alone():
    assert stand([image(1), image(2)]) == {1: ALONE, 2: ALONE}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (image(1, pixels="same"), image(2, pixels="same")),
        (image(1, event=EVENT), image(2, event=EVENT)),
        (image(1), image(2, source="1.1")),
        (image(1, source="1.9"), image(2, source="1.9")),
    ],
)
def test_two_images_of_one_exposure_count_once(one, other):
    assert stand([one, other]) == {1: Standing(exposure=1), 2: Standing(exposure=1)}


def test_what_was_made_of_another_image_does_not_speak_for_it():
    assert stand([image(1, source="1.2"), image(2)])[1] == Standing(exposure=2)


def test_copies_of_copies_are_one_exposure():
    copies = [image(1), image(2, source="1.1"), image(3, source="1.2"), image(4)]

    standings = stand(copies)

    assert [standings[key].exposure for key in (1, 2, 3, 4)] == [1, 1, 1, None]


@pytest.mark.parametrize("differs", [{"acquired": "20260301120001"}, {"view_position": "LL"}])
def test_an_irradiation_event_that_a_device_repeats_over_a_study_merges_nothing(differs):
    first = {"event": EVENT, "acquired": "20260301120000", "view_position": "PA"}

    assert stand([image(1, **first), image(2, **first | differs)]) == {1: ALONE, 2: ALONE}


@pytest.mark.parametrize(
    ("raw_says", "shown_says"),
    [
        ({}, {}),
        ({}, {"source": "1.1"}),
        ({"event": EVENT}, {"event": EVENT}),
        ({"acquired": "20260301120000"}, {"acquired": "20260301120000"}),
        ({"view_position": "PA"}, {"view_position": "PA"}),
        ({"view_position": "PA"}, {}),
    ],
)
def test_a_raw_image_is_left_out_for_its_presentation(raw_says, shown_says):
    standings = stand([raw(1, **raw_says), image(2, **shown_says)])

    assert standings == {1: Standing(exposure=2, twin="1.2"), 2: Standing(exposure=2)}


@pytest.mark.parametrize(
    "shown",
    [
        image(2, event="9.9"),
        image(2, acquired="20260301120500"),
        image(2, view_position="LL"),
        image(2, side=Side.RIGHT),
    ],
)
def test_a_raw_image_of_another_exposure_is_not(shown):
    first = raw(1, event=EVENT, acquired="20260301120000", view_position="PA")

    assert stand([first, shown]) == {1: ALONE, 2: ALONE}


def test_raw_images_that_only_look_alike_are_paired_one_to_one():
    standings = stand([raw(1), raw(2), image(3)])

    assert [standings[key].twin for key in (1, 2, 3)] == ["1.3", "", ""]


def test_a_certain_twin_is_not_given_to_one_that_only_looks_alike():
    standings = stand([raw(1), raw(2, event=EVENT), image(3, event=EVENT)])

    assert [standings[key].twin for key in (1, 2, 3)] == ["", "1.3", ""]


def test_a_presentation_that_cannot_be_read_is_nobodys_twin():
    assert stand([raw(1), replace(image(2), readable=False)]) == {1: ALONE, 2: ALONE}


@pytest.mark.parametrize("link", [{"event": EVENT}, {"source": "1.9"}])
def test_two_sides_of_one_exposure_are_two_images(link):
    assert stand([image(1, **link), image(2, side=Side.RIGHT, **link)]) == {1: ALONE, 2: ALONE}


def test_a_raw_image_does_not_give_way_to_another_side_or_view_of_its_event():
    first = raw(1, event=EVENT, view_position="LL")
    others = [image(2, side=Side.RIGHT, event=EVENT), image(3, event=EVENT, view_position="PA")]

    assert stand([first, *others])[1] == ALONE


def test_one_presentation_takes_the_place_of_one_raw_image():
    standings = stand([raw(1, event=EVENT), raw(2, event=EVENT), image(3, event=EVENT)])

    assert [standings[key].twin for key in (1, 2)] == ["1.3", ""]


def test_two_presentations_of_one_raw_image_count_once():
    standings = stand([raw(1), image(2, source="1.1"), image(3, source="1.1")])

    assert standings[1].twin == "1.2"
    assert standings[2] == standings[3] == Standing(exposure=2)


def test_the_order_of_arrival_changes_nothing():
    images = [raw(1), image(2, source="1.1"), image(3, pixels="same"), image(4, pixels="same")]
    known = stand(images)

    for order in permutations(images):
        assert stand(order) == known


def test_an_image_whose_header_is_silent_is_no_copy_of_another():
    silent = replace(image(1), pixel_digest="")

    assert stand([silent, replace(silent, key=2, sop_instance_uid="1.2")]) == {1: ALONE, 2: ALONE}
