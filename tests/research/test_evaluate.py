"""Predictions over labelled studies, and what is measured on them."""

import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import cohen_kappa_score, confusion_matrix, roc_auc_score

from triage.core.studytype import StudyType
from triage.errors import ModelUnusable, ScorerBroken
from triage.research.evaluate import Chance, compare, evaluate, judge
from triage.research.mura import LabelledStudy
from triage.research.predictions import AHEAD, BATCH, Prediction, predict

SIDE = 4


class Brightness:
    """A scorer whose probability is the picture's mean intensity."""

    device = "cpu"

    def __init__(self):
        self.sizes = []  # of the batches
        self.held = self.most = 0  # prepared images that are not scored yet
        self._lock = threading.Lock()

    def prepare(self, grey):
        with self._lock:
            self.held += 1
            self.most = max(self.most, self.held)
        return np.full((3, SIDE, SIDE), grey.mean() / 255, np.float32)

    def score(self, prepared):
        with self._lock:
            self.held -= len(prepared)
        self.sizes.append(len(prepared))
        return [float(image.mean()) for image in prepared]


class Failing(Brightness):
    """A scorer that raises what it is told to."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def score(self, _prepared):
        raise self.error


@pytest.fixture
def study(tmp_path):
    """Return a function that writes a study's pictures, each of one intensity; None is no picture."""

    def study(number, *intensities, abnormal=False, study_type=StudyType.HAND):
        paths = []
        for place, intensity in enumerate(intensities):
            path = tmp_path / f"{number}-{place}.png"
            if intensity is None:
                path.write_bytes(b"no picture")
            else:
                Image.fromarray(np.full((3, 5), intensity, np.uint8)).save(path)
            paths.append(path)
        return labelled(number, *paths, abnormal=abnormal, study_type=study_type)

    return study


def labelled(number, *paths, abnormal=False, study_type=StudyType.HAND, patient=None):
    return LabelledStudy(
        study_type=study_type,
        patient=patient or f"patient{number:05}",
        name=f"study{number}_{'positive' if abnormal else 'negative'}",
        abnormal=abnormal,
        images=tuple(paths),
    )


def test_a_studys_probability_is_the_mean_of_its_views(study):
    studies = [study(1, 0, 51), study(2, 255), study(3, 102, 51, 51)]

    found, unreadable = predict(Brightness(), studies)

    assert unreadable == []
    assert [prediction.study for prediction in found] == studies
    assert [prediction.probability for prediction in found] == pytest.approx([0.1, 1, 0.8 / 3])
    assert found[0].views == pytest.approx((0, 0.2))


def test_images_are_scored_in_full_batches_across_studies(study):
    scorer = Brightness()
    told = []

    predict(scorer, [study(k, k, k, k) for k in range(7)], progress=told.append)

    assert scorer.sizes == [BATCH, BATCH, 21 - 2 * BATCH]
    assert sum(told) == 21


def test_only_so_many_prepared_images_are_held_at_once(study):
    scorer = Brightness()

    found, _ = predict(scorer, [study(k, k) for k in range(200)])

    assert scorer.most <= AHEAD + BATCH
    assert [prediction.probability for prediction in found] == pytest.approx(
        [k / 255 for k in range(200)]
    )


def test_an_image_that_cannot_be_read_costs_no_other_view(study):
    studies = [study(1, None, 51), study(2, None), study(3, 255)]

    found, unreadable = predict(Brightness(), studies)

    assert [prediction.study for prediction in found] == [studies[0], studies[2]]
    assert found[0].views == pytest.approx((0.2,))
    assert [sentence.split(":")[0] for sentence in unreadable] == [
        str(studies[0].images[0]),
        str(studies[1].images[0]),
    ]


def test_a_network_that_fails_ends_the_run_with_a_reason(study):
    with pytest.raises(ScorerBroken, match="out of memory"):
        predict(Failing(RuntimeError("out of memory")), [study(1, 0)])
    with pytest.raises(ModelUnusable, match="no finite number"):
        predict(Failing(ModelUnusable("no finite number")), [study(1, 0)])


def made_up(count, seed=0):
    """Return predictions over three study types, one of which has one class alone."""
    random = np.random.default_rng(seed)
    predictions = []
    for number in range(count):
        part = (StudyType.WRIST, StudyType.HAND, StudyType.ELBOW)[number % 3]
        abnormal = part is not StudyType.ELBOW and bool(random.random() < 0.4)
        probability = float(np.clip(random.normal(0.4 + 0.2 * abnormal, 0.2), 0, 1).round(2))
        predictions.append(
            Prediction(
                study=labelled(
                    number,
                    Path("a.png"),
                    Path("b.png"),
                    abnormal=abnormal,
                    study_type=part,
                    patient=f"patient{number // 2:05}",
                ),
                views=(probability, probability),
                probability=probability,
            )
        )
    return predictions


THRESHOLDS = {StudyType.WRIST: 0.6, StudyType.HAND: 0.5, StudyType.ELBOW: 0.5}


@pytest.mark.parametrize("seed", range(5))
def test_the_figures_are_those_of_scikit_learn_by_type_and_over_all(seed):
    predictions = made_up(120, seed)

    measured = evaluate(judge(predictions, THRESHOLDS.get), Chance(replicates=50))

    assert [name for name, _ in measured.rows()] == ["elbow", "hand", "wrist", "overall"]
    for name, figures in measured.rows():
        some = [p for p in predictions if name in ("overall", p.study.study_type)]
        truth = [p.study.abnormal for p in some]
        said = [p.probability > THRESHOLDS[p.study.study_type] for p in some]
        (tn, fp), (fn, tp) = confusion_matrix(truth, said, labels=[False, True])
        counts = figures.confusion
        assert (counts.tp, counts.fp, counts.fn, counts.tn) == (tp, fp, fn, tn)
        assert (figures.studies, figures.images) == (len(some), 2 * len(some))
        assert figures.patients == len({p.study.patient for p in some})
        assert figures.prevalence == pytest.approx(np.mean(truth))
        assert counts.kappa.value == pytest.approx(cohen_kappa_score(truth, said))
        if name == "elbow":
            assert figures.auroc is None
            assert counts.sensitivity is None
        else:
            area = roc_auc_score(truth, [p.probability for p in some])
            assert figures.auroc.value == pytest.approx(area)
            assert figures.auroc.interval.low <= area <= figures.auroc.interval.high
    assert measured.overall.thresholds == (0.5, 0.6)
    assert measured.by_type[StudyType.WRIST].thresholds == (0.6,)


def test_abnormal_is_strictly_above_the_threshold():
    at = Prediction(study=labelled(1, abnormal=True), views=(0.5,), probability=0.5)
    above = Prediction(study=labelled(2), views=(0.5001,), probability=0.5001)

    judged = judge([at, above], lambda _part: 0.5)

    assert [study.said for study in judged] == [False, True]


def test_two_models_are_compared_over_the_studies_that_both_scored():
    predictions, others = made_up(90, seed=1), made_up(90, seed=2)
    # The other model's probabilities for the same studies, but for the last ten.
    others = [
        Prediction(study=p.study, views=o.views, probability=o.probability)
        for p, o in zip(predictions[:80], others, strict=False)
    ]

    found = compare(judge(predictions, lambda _part: 0.5), others, Chance(replicates=300))

    truth = [p.study.abnormal for p in others]
    own = roc_auc_score(truth, [p.probability for p in predictions[:80]])
    theirs = roc_auc_score(truth, [p.probability for p in others])
    overall = found.overall
    assert overall.studies == 80
    assert (overall.auroc, overall.other) == pytest.approx((own, theirs))
    assert overall.difference.value == pytest.approx(own - theirs)
    assert overall.difference.interval.low < own - theirs < overall.difference.interval.high
    assert found.by_type[StudyType.ELBOW].difference is None
