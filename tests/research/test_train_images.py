import threading
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from tests.support.training import HAND, WRIST, little_set
from triage.model.card import Preprocessing
from triage.model.preprocess import prepare, read_picture
from triage.research import images
from triage.research.augment import augment
from triage.research.mura import read_dataset
from triage.research.recipe import Recipe

STILL = {"flip": False, "rotate": 0.0}


@pytest.fixture
def split(tmp_path):
    return read_dataset(little_set(tmp_path / "set")).split("train")


@pytest.fixture
def samples(split):
    return images.samples_of(split)


def test_every_image_of_a_study_is_a_sample_with_the_studys_label(samples):
    assert len(samples) == 13
    assert Counter((s.study_type, s.abnormal) for s in samples) == {
        (HAND, False): 5, (HAND, True): 2, (WRIST, False): 2, (WRIST, True): 4,
    }  # fmt: skip
    assert samples[-1].study == samples[-2].study
    assert samples[-1].path != samples[-2].path


@pytest.mark.parametrize("resize", ["squeeze", "pad"])
def test_an_image_is_to_training_what_it_is_to_the_daemon(samples, resize):
    recipe = Recipe(image_size=48, resize=resize, **STILL)
    served = prepare(read_picture(samples[0].path), Preprocessing(size=48, resize=resize))

    validated = images.plain(samples[0], recipe)
    learnt = images.varied(samples[0], recipe, epoch=3, place=5)

    assert np.array_equal(validated, served)
    assert np.array_equal(learnt, served)
    assert learnt.dtype == np.float32


def test_an_epoch_has_every_image_once_but_for_an_incomplete_batch(samples):
    order = images.order(samples, Recipe(batch=4), epoch=0)

    assert len(order) == len(set(order)) == 12


def test_the_order_depends_on_the_seed_and_the_epoch_alone(samples):
    first = images.order(samples, Recipe(batch=4), 0)

    assert images.order(samples, Recipe(batch=4, rotate=5), 0) == first
    assert images.order(samples, Recipe(batch=4), 1) != first
    assert images.order(samples, Recipe(batch=4, seed=1), 0) != first


def test_balanced_draws_give_both_labels_one_half_of_each_study_type(samples):
    drawn = Counter()
    for epoch in range(400):
        order = images.order(samples, Recipe(batch=4, balanced=True), epoch)
        drawn.update((samples[i].study_type, samples[i].abnormal) for i in order)

    total = drawn.total()
    assert total == 400 * 12
    for label in (False, True):
        assert drawn[HAND, label] / total == pytest.approx(7 / 26, abs=0.03)
        assert drawn[WRIST, label] / total == pytest.approx(6 / 26, abs=0.03)


def test_an_image_is_varied_anew_at_every_place_and_the_same_way_again(samples):
    recipe = Recipe(image_size=48)

    one = images.varied(samples[0], recipe, 0, 0)

    assert np.array_equal(images.varied(samples[0], recipe, 0, 0), one)
    assert not np.array_equal(images.varied(samples[0], recipe, 0, 1), one)
    assert not np.array_equal(images.varied(samples[0], recipe, 1, 0), one)


def test_about_half_of_the_images_are_mirrored_and_nothing_else_happens_to_them():
    grey = np.arange(60, dtype=np.uint8).reshape(6, 10)
    recipe = Recipe(rotate=0.0)

    varied = [augment(grey, recipe, np.random.default_rng(n)) for n in range(400)]

    mirrored = sum(np.array_equal(picture, grey[:, ::-1]) for picture in varied)
    assert sum(np.array_equal(picture, grey) for picture in varied) == 400 - mirrored
    assert 150 < mirrored < 250


def test_images_are_turned_by_up_to_30_degrees_either_way_over_black():
    grey = np.zeros((101, 101), np.uint8)
    grey[50, 50:] = 255  # a hand of a clock at three
    grey[:3] = 255
    recipe = Recipe(flip=False)
    angles = []
    for number in range(200):
        turned = augment(grey, recipe, np.random.default_rng(number))
        hand = np.argwhere(turned[25:76, 85] > 100).mean() + 25  # the row, 35 columns out
        angles.append(np.degrees(np.arctan2(50 - hand, 35)))
        assert turned.shape == grey.shape

    assert min(angles) == pytest.approx(-30, abs=2)
    assert max(angles) == pytest.approx(30, abs=2)
    assert abs(np.mean(angles)) < 3
    corner = augment(np.full((101, 101), 200, np.uint8), recipe, np.random.default_rng(3))
    assert corner.min() == 0


def test_a_crop_keeps_the_part_of_each_side_that_was_asked_for():
    grey = np.zeros((100, 200), np.uint8)
    recipe = Recipe(crop=0.7, **STILL)

    shapes = [augment(grey, recipe, np.random.default_rng(n)).shape for n in range(100)]

    assert {round(width / height, 1) for height, width in shapes} == {2.0}
    assert 70 <= min(height for height, _ in shapes) < 74
    assert 96 < max(height for height, _ in shapes) <= 100


def test_threads_read_ahead_in_order_and_no_further_than_they_may():
    begun = []
    lock = threading.Lock()

    def read(number):
        with lock:
            begun.append(number)
        return number * number

    ready = images.read_ahead(read, range(100), workers=3, ahead=5)

    assert [next(ready) for _ in range(10)] == [n * n for n in range(10)]
    assert max(begun) < 15
    assert list(ready) == [n * n for n in range(10, 100)]


def test_the_digest_changes_with_the_list_a_label_or_a_files_size(split, tmp_path):
    former = images.digest(split)
    path = split.studies[0].images[0]

    assert images.digest(read_dataset(tmp_path / "set").split("train")) == former
    Image.new("L", (9, 9)).save(path)
    assert images.digest(read_dataset(tmp_path / "set").split("train")) != former
