"""The made-up radiographs: deterministic, of twelve bits, and with structure to look at."""

import time

import numpy as np
import pytest

from triage.core.study import Side
from triage.core.studytype import StudyType
from triage.research import phantoms
from triage.research.phantoms import hand


@pytest.fixture(scope="module")
def studies():
    return phantoms.samples(1)


def test_eight_studies_show_all_seven_study_types(studies):
    assert len(studies) == 8
    assert {study.study_type for study in studies} == set(StudyType)
    assert {study.side for study in studies} == {Side.LEFT, Side.RIGHT}


def test_some_studies_have_several_views_and_some_a_finding(studies):
    views = [len(study.views) for study in studies]
    findings = [study.finding for study in studies]

    assert min(views) == 1
    assert max(views) > 1
    assert None in findings
    assert len(set(findings)) > 3


def test_the_same_seed_gives_the_same_pixels_and_another_does_not(studies):
    for study, other in zip(studies, phantoms.samples(2), strict=True):
        for view, stranger in zip(study.views, other.views, strict=True):
            assert not np.array_equal(view.pixels, stranger.pixels)

    one, again = (phantoms.expose(hand.wrist_pa(), Side.LEFT, seed=(1, 2)) for _ in range(2))
    assert np.array_equal(one.pixels, again.pixels)


def test_pixels_have_twelve_bits_that_are_used(studies):
    for study in studies:
        for view in study.views:
            assert view.pixels.dtype == np.uint16
            assert view.pixels.ndim == 2
            assert min(view.pixels.shape) >= 350
            assert max(view.pixels.shape) <= 1000
            assert view.pixels.max() <= 4095
            assert view.pixels.max() > 3000


def test_bone_is_brighter_than_flesh_and_flesh_than_air(studies):
    wrist = next(study for study in studies if study.study_type is StudyType.WRIST)
    pixels = wrist.views[0].pixels
    rows = pixels.shape[0]

    air = np.median(pixels[rows // 2 : -40, -60:-30])
    body = pixels[int(rows * 0.8) : int(rows * 0.9)]

    assert np.percentile(body, 95) > 1.2 * np.percentile(body, 60) > 1.2 * air


def test_collimation_leaves_a_black_border(studies):
    for study in studies:
        for view in study.views:
            edges = (view.pixels[0], view.pixels[-1], view.pixels[:, 0], view.pixels[:, -1])
            assert all((edge == 0).all() for edge in edges)


def test_a_fracture_changes_the_picture_only_near_itself():
    side = Side.RIGHT
    whole = phantoms.expose(phantoms.hand.wrist_pa(), side, seed=(5,)).pixels.astype(float)
    broken = phantoms.expose(
        phantoms.hand.wrist_pa(phantoms.hand.COLLES), side, seed=(5,)
    ).pixels.astype(float)
    difference = np.abs(whole - broken)
    rows = difference.shape[0]

    near, elsewhere = difference[int(rows * 0.5) : int(rows * 0.8)], difference[: rows // 4]

    assert near.max() > 1000
    assert near.mean() > 2 * elsewhere.mean()


def test_a_picture_is_quickly_made():
    begun = time.process_time()
    phantoms.expose(phantoms.hand.hand_pa(), Side.LEFT, seed=(9,))

    assert time.process_time() - begun < 2  # 0.2 s on a quiet machine
