"""Raters' votes: read from a file, and put beside the model."""

from pathlib import Path

import pytest
from sklearn.metrics import cohen_kappa_score

from triage.core.studytype import StudyType
from triage.errors import RatingsUnusable, UsageError
from triage.research.evaluate import Chance, judge
from triage.research.mura import LabelledStudy
from triage.research.predictions import Prediction
from triage.research.raters import choose_gold, rate, read_ratings

# Of each study the votes of a, b, c, d, e and the model's probability.
VOTES = {
    1: ("1", "1", "0", "1", "0", 0.9),
    2: ("0", "0", "1", "0", "0", 0.2),
    3: ("1", "0", "1", "1", "1", 0.7),
    4: ("0", "0", "0", "1", "0", 0.6),
    5: ("0", "1", "0", "0", "1", 0.1),
    6: ("1", "1", "1", "1", "0", 0.4),
}


def labelled(number, *, abnormal=False, name=None, study_type=None):
    return LabelledStudy(
        study_type=study_type or (StudyType.HAND if number <= 4 else StudyType.WRIST),
        patient=f"patient{number:05}",
        name=name or f"study1_{'positive' if abnormal else 'negative'}",
        abnormal=abnormal,
        images=(Path("image1.png"),),
    )


STUDIES = [labelled(number, abnormal=number % 2 == 1) for number in VOTES]


@pytest.fixture
def table(tmp_path):
    """Return a function that writes lines and returns the file."""

    def table(*lines, encoding="utf-8"):
        path = tmp_path / "raters.csv"
        path.write_bytes("".join(f"{line}\n" for line in lines).encode(encoding))
        return path

    return table


@pytest.fixture
def ratings(table):
    rows = [
        ",".join([study.key, *VOTES[number][:5]])
        for number, study in zip(VOTES, STUDIES, strict=True)
    ]
    return read_ratings(table("study,a,b,c,d,e", *rows), STUDIES)


@pytest.fixture
def judged():
    predictions = [
        Prediction(study=study, views=(VOTES[number][5],), probability=VOTES[number][5])
        for number, study in zip(VOTES, STUDIES, strict=True)
    ]
    return judge(predictions, lambda _part: 0.5)


@pytest.mark.parametrize(
    "name",
    [
        "MURA-v1.1/test/XR_HAND/patient00001/study1_positive/",
        "XR_HAND/patient00001/study1_positive",
        "XR_HAND/patient00001/study1",
        "/elsewhere/XR_HAND/patient00001/study1/",
    ],
)
def test_a_study_may_be_named_as_the_lists_name_it_or_without_its_label(table, name):
    found = read_ratings(table("study,a,b", f"{name},1,0"), STUDIES)

    assert found.raters == ("a", "b")
    assert found.votes == {"XR_HAND/patient00001/study1_positive": (True, False)}


def test_a_spreadsheets_mark_blanks_and_empty_lines_do_no_harm(table):
    rows = ("study, a ,b", "", "XR_HAND/patient00001/study1, 1 ,0", "")

    found = read_ratings(table(*rows, encoding="utf-8-sig"), STUDIES)

    assert found.raters == ("a", "b")
    assert list(found.votes.values()) == [(True, False)]


HEADER, ROW = "study,a,b", "XR_HAND/patient00001/study1,1,0"


@pytest.mark.parametrize(
    ("lines", "line", "said"),
    [
        (["study"], 1, "each rater"),
        ([], 1, "each rater"),
        (["study,a,"], 1, "column 3 has no name"),
        (["study,a,a"], 1, "two columns are named 'a'"),
        (["study,a,model"], 1, "as the model is"),
        ([ROW, ROW], 1, "these are votes"),
        ([HEADER, ROW, "XR_HAND/patient00002/study1,1"], 3, "2 raters are named, and here are 1"),
        ([HEADER, "XR_HAND/patient00001/study1,1,2"], 2, "the vote of b is '2'"),
        ([HEADER, "XR_HAND/patient00001/study1,,1"], 2, "the vote of a is ''"),
        ([HEADER, ROW, "XR_HAND/patient00009/study1,1,0"], 3, "no such study"),
        ([HEADER, "XR_HAND/patient00001/study1_negative,1,0"], 2, "no such study"),
        ([HEADER, ROW, "XR_HAND/patient00001/study1_positive,1,0"], 3, "stands there twice"),
        ([HEADER, '"XR_HAND/patient00001/study1,1,0'], 2, "unexpected end"),
    ],
)
def test_a_mistake_is_named_with_file_and_line(table, lines, line, said):
    path = table(*lines)

    with pytest.raises(RatingsUnusable) as refused:
        read_ratings(path, STUDIES)

    assert str(refused.value).startswith(f"{path}:{line}: ")
    assert said in str(refused.value)


def test_a_name_that_fits_two_studies_is_refused(table):
    twins = [labelled(1, name="study1_negative"), labelled(1, name="study1_positive")]

    with pytest.raises(RatingsUnusable, match="is two studies"):
        read_ratings(table(HEADER, ROW), twins)
    exact = read_ratings(table(HEADER, "XR_HAND/patient00001/study1_negative,1,0"), twins)
    assert list(exact.votes) == ["XR_HAND/patient00001/study1_negative"]


def test_a_file_that_is_no_text_or_rates_nothing_is_refused(table, tmp_path):
    with pytest.raises(RatingsUnusable, match="not UTF-8"):
        read_ratings(table("study,Jörg,b", encoding="latin-1"), STUDIES)
    with pytest.raises(RatingsUnusable, match="rates no study"):
        read_ratings(table(HEADER), STUDIES)
    with pytest.raises(UsageError, match="cannot be read"):
        read_ratings(tmp_path / "nowhere.csv", STUDIES)


def test_the_gold_standard_is_drawn_by_the_seed():
    raters = ("a", "b", "c", "d", "e", "f")
    drawn = {choose_gold(raters, 3, seed) for seed in range(200)}

    assert choose_gold(raters, 3, 5) == choose_gold(raters, 3, 5)
    assert len(drawn) == 20  # every choice of 3 of 6
    assert all(list(gold) == sorted(set(gold)) for gold in drawn)


@pytest.mark.parametrize("count", [0, -1, 2, 5, 7])
def test_a_gold_standard_that_can_tie_or_leaves_nobody_is_refused(count):
    with pytest.raises(UsageError, match=f"--gold {count}"):
        choose_gold(("a", "b", "c", "d", "e"), count, 0)


def test_raters_and_model_are_measured_against_the_majority_of_the_others(ratings, judged):
    study = rate(judged, ratings, ("a", "b", "c"), Chance())

    # The majority of a, b, c, by hand.
    truth = [1, 0, 1, 0, 0, 1]
    assert [study.truth[each.key] for each in judged] == [bool(value) for value in truth]
    overall = study.readers.overall
    assert list(overall.raters) == ["d", "e"]  # none is measured against his own vote
    for place, name in ((3, "d"), (4, "e")):
        votes = [int(row[place]) for row in VOTES.values()]
        assert overall.raters[name].kappa.value == pytest.approx(cohen_kappa_score(truth, votes))
    said = [int(row[5] > 0.5) for row in VOTES.values()]
    assert overall.model.kappa.value == pytest.approx(cohen_kappa_score(truth, said))
    assert overall.auroc.value == pytest.approx(8 / 9)  # 0.4 stands below 0.6, all else in order


def test_best_and_worst_rater_are_named_by_study_type(ratings, judged):
    readers = rate(judged, ratings, ("a", "b", "c"), Chance()).readers

    assert list(readers.by_type) == [StudyType.HAND, StudyType.WRIST]
    assert (readers.overall.best, readers.overall.worst) == ("d", "e")
    hand = readers.by_type[StudyType.HAND]
    assert hand.raters["d"].kappa.value == hand.raters["e"].kappa.value == 0.5
    assert (hand.best, hand.worst) == ("d", "d")  # the first of equals
    wrist = readers.by_type[StudyType.WRIST]
    assert (wrist.best, wrist.worst) == ("d", "e")
    # Of two studies no interval leaves much out.
    assert wrist.raters["d"].kappa.interval.low < 0
    assert wrist.apart is False


def test_the_model_is_apart_from_the_best_rater_when_their_intervals_are(table):
    studies = [labelled(k, abnormal=k % 2 == 1, study_type=StudyType.HAND) for k in range(1, 61)]
    votes = [f"{study.key},{int(study.abnormal)},{int(study.abnormal)}" for study in studies]
    ratings = read_ratings(table("study,a,b", *votes), studies)
    wrong = [
        Prediction(study=study, views=(), probability=0.1 if study.abnormal else 0.9)
        for study in studies
    ]

    readers = rate(judge(wrong, lambda _part: 0.5), ratings, ("a",), Chance()).readers.overall

    assert (readers.model.kappa.value, readers.raters["b"].kappa.value) == (-1, 1)
    assert readers.apart is True


def test_studies_that_nobody_rated_are_left_out_and_counted(table, judged):
    some = read_ratings(table("study,a,b", f"{judged[0].key},1,1", f"{judged[4].key},0,0"), STUDIES)

    study = rate(judged, some, ("a",), Chance())

    assert (study.unrated, study.readers.overall.model.total) == (4, 2)


def test_where_all_say_the_same_nothing_is_best_worst_or_apart(table, judged):
    same = read_ratings(table("study,a,b", f"{judged[1].key},0,0"), STUDIES)

    readers = rate(judged, same, ("a",), Chance()).readers.overall

    assert (readers.best, readers.worst, readers.apart, readers.auroc) == (None, None, None, None)
