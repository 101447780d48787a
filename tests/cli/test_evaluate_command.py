"""`triage evaluate`: a data set and a model in, tables, JSON and a report out."""

import csv
import json
import subprocess
import sys
from dataclasses import dataclass, replace
from html.parser import HTMLParser

import pytest
from sklearn.metrics import roc_auc_score

from tests.support import models
from tests.support.daemon import EXACT, environment
from tests.support.mura import Listed, make_dataset
from triage.core.studytype import StudyType
from triage.model import checkpoint

# Two types with both labels, one with normal studies alone; three views in the second study.
STUDIES = (
    *(Listed(patient=k, split="valid", abnormal=k % 2 == 0, images=1 + 2 * (k == 2)) for k in range(1, 8)),
    *(
        Listed(patient=k, split="valid", abnormal=k % 2 == 0, study_type=StudyType.WRIST)
        for k in range(8, 14)
    ),
    Listed(patient=14, split="valid", study_type=StudyType.ELBOW),
    Listed(patient=20),
)  # fmt: skip


@pytest.fixture(scope="module")
def little(tmp_path_factory):
    """A data set that no test changes."""
    return make_dataset(tmp_path_factory.mktemp("set") / "little", STUDIES)


@pytest.fixture
def triage(triage, random_model, tmp_path, monkeypatch):
    """Run a command with a model; return (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRIAGE_MODEL__PATH", str(random_model))
    return triage


@pytest.fixture
def evaluate(triage):
    """Run `triage evaluate --json` with few replicates; return (exit code, document, errors)."""

    def evaluate(*arguments):
        code, out, err = triage("evaluate", "--json", "--bootstrap", 50, *arguments)
        return code, json.loads(out) if out else None, err

    return evaluate


@pytest.fixture(scope="module")
def votes(little, tmp_path_factory):
    """Six raters: three who are right, one always wrong, two who err once."""
    path = tmp_path_factory.mktemp("votes") / "raters.csv"
    rows = []
    with (little / "valid_labeled_studies.csv").open() as stream:
        for number, (study, label) in enumerate(csv.reader(stream)):
            truth = int(label)
            once = 1 - truth if number in (0, 9) else truth
            rows.append([study, truth, truth, truth, 1 - truth, once, once])
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows([["study", "ann", "bob", "cat", "dan", "eve", "fay"], *rows])
    return path


@dataclass(frozen=True)
class Whole:
    """One run with everything that can be asked of it."""

    document: dict
    errors: str
    predictions: list
    page: str


@pytest.fixture(scope="module")
def whole(little, votes, random_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    result = subprocess.run(
        [
            *(sys.executable, "-m", "triage", "evaluate", str(little), "--json", "--seed", "4"),
            *("--model", str(random_model), "--bootstrap", "50", "--raters", str(votes)),
            *("--html", "report.html", "--predictions", "predictions.csv"),
        ],
        env=environment() | EXACT,
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    with (folder / "predictions.csv").open(newline="") as stream:
        predictions = list(csv.DictReader(stream))
    return Whole(
        json.loads(result.stdout),
        result.stderr,
        predictions,
        (folder / "report.html").read_text("utf-8"),
    )


def test_the_document_holds_every_figure_by_type_and_over_all(whole, little):
    found = whole.document

    assert [line for line in whole.errors.splitlines() if "fontManager" not in line] == []
    assert (found["dataset"], found["split"], found["model"]) == (str(little), "valid", "random 1")
    assert list(found["study_types"]) == ["elbow", "hand", "wrist"]
    overall = found["overall"]
    assert (overall["studies"], overall["images"], overall["patients"]) == (14, 16, 14)
    assert list(overall) == [
        *("studies", "images", "patients", "prevalence", "thresholds", "confusion", "kappa"),
        *("sensitivity", "specificity", "auroc", "calibration"),
    ]
    truth = [study["abnormal"] for study in found["predictions"]]
    values = [study["probability"] for study in found["predictions"]]
    assert overall["auroc"]["value"] == pytest.approx(roc_auc_score(truth, values))
    assert overall["auroc"]["replicates"] + overall["auroc"]["replicates_left_out"] == 50
    assert overall["confusion"]["tp"] == sum(
        study["abnormal"] and study["label"] == "abnormal" for study in found["predictions"]
    )
    elbow = found["study_types"]["elbow"]
    assert (elbow["auroc"], elbow["sensitivity"]) == (None, None)
    assert elbow["specificity"]["value"] in (0, 1)


def test_probabilities_are_those_of_triage_score(whole, triage, little):
    evaluated = whole.document

    _, out, _ = triage("score", "--json", little / "valid")

    scored = {
        "/".join(study["views"][0]["path"].split("/")[-4:-1]): study for study in json.loads(out)
    }
    assert len(scored) == len(evaluated["predictions"]) == 14
    for study in evaluated["predictions"]:
        twin = scored[study["study"]]
        assert study["probability"] == pytest.approx(twin["probability"], abs=1e-6)
        assert study["views"] == pytest.approx([v["probability"] for v in twin["views"]], abs=1e-6)
        assert (study["label"], study["study_type"]) == (twin["label"], twin["study_type"])


def test_the_table_says_what_is_undefined_and_over_how_many(triage, little):
    code, out, err = triage("evaluate", little, "--bootstrap", 50)

    assert (code, err) == (0, "")
    rows = [line for line in out.splitlines() if line.startswith("elbow")]
    assert "n/a (n=1)" in rows[0]  # AUROC
    assert "n/a (n=0)" in rows[0]  # sensitivity
    assert "95 % intervals" in out
    assert "0.5" in rows[1].split()  # the threshold


def test_predictions_are_written_a_row_a_study(whole):
    studies = whole.document["predictions"]

    assert [row["study"] for row in whole.predictions] == [study["study"] for study in studies]
    for row, study in zip(whole.predictions, studies, strict=True):
        assert float(row["probability"]) == study["probability"]
        assert int(row["abnormal"]) == study["abnormal"]
        assert int(row["label"]) == (study["label"] == "abnormal")
        assert int(row["views"]) == len(study["views"])


def test_the_cards_threshold_of_the_study_type_decides(evaluate, little, random_model, tmp_path):
    card, network = checkpoint.load(random_model)
    strict = replace(card, thresholds={StudyType.WRIST: 0.999})
    checkpoint.save(tmp_path / "strict.safetensors", network.state_dict(), strict)

    _, found, _ = evaluate(little, "--model", tmp_path / "strict.safetensors")

    assert found["study_types"]["wrist"]["thresholds"] == [0.999]
    assert found["overall"]["thresholds"] == [0.5, 0.999]
    wrists = [study for study in found["predictions"] if study["study_type"] == "wrist"]
    assert {study["label"] for study in wrists} == {"normal"}
    assert any(study["probability"] > 0.5 for study in wrists)  # 0.5 would have called them


def test_an_image_that_cannot_be_read_is_named_and_counted(evaluate, tmp_path):
    broken = make_dataset(tmp_path / "set", STUDIES)
    one_of_three = broken / "valid/XR_HAND/patient00002/study1_positive/image2.png"
    the_only_one = broken / "valid/XR_HAND/patient00003/study1_negative/image1.png"
    for path in (one_of_three, the_only_one):
        path.write_bytes(path.read_bytes()[:100])

    code, found, err = evaluate(broken)

    assert code == 0
    assert str(one_of_three) in err
    assert str(the_only_one) in err
    assert "1 study had no readable image and was left out" in err
    assert len(found["left_out"]["unreadable_images"]) == 2
    assert found["left_out"]["unreadable_studies"] == ["XR_HAND/patient00003/study1_negative"]
    assert (found["overall"]["studies"], found["overall"]["images"]) == (13, 14)


def test_where_nothing_can_be_evaluated_it_fails(evaluate, tmp_path):
    broken = make_dataset(tmp_path / "set", [Listed(patient=1, split="valid")])
    image = broken / "valid/XR_HAND/patient00001/study1_negative/image1.png"
    image.write_bytes(b"no picture")

    code, found, err = evaluate(broken)

    assert (code, found) == (1, None)
    assert str(image) in err
    assert "no study of valid could be evaluated" in err


def test_a_type_that_the_model_does_not_accept_is_left_out(
    evaluate, little, random_model, tmp_path
):
    _, found, err = evaluate(
        little, "--model", models.accepting(random_model, tmp_path, "hand", "elbow")
    )

    assert len(found["left_out"]["not_accepted"]) == 6
    assert list(found["study_types"]) == ["elbow", "hand"]
    assert "6 studies were left out: the model does not accept their type" in err


def test_raters_and_model_stand_against_a_gold_standard_of_others(whole, evaluate, little, votes):
    study = whole.document["raters"]
    _, again, _ = evaluate(little, "--raters", votes, "--seed", 4)

    assert again["raters"] == study
    assert len(study["gold"]) == 3
    assert set(study["gold"]) | set(study["overall"]["raters"]) == {
        *("ann", "bob", "cat", "dan", "eve", "fay")
    }
    assert not set(study["gold"]) & set(study["overall"]["raters"])
    assert study["overall"]["studies"] == 14
    assert study["overall"]["best"] in study["overall"]["raters"]
    assert isinstance(study["overall"]["model_apart_from_best"], bool)
    assert list(study["study_types"]) == ["elbow", "hand", "wrist"]


def test_more_raters_can_make_the_gold_standard(evaluate, little, votes):
    _, found, _ = evaluate(little, "--raters", votes, "--gold", 5)

    assert len(found["raters"]["gold"]) == 5
    assert len(found["raters"]["overall"]["raters"]) == 1


def test_an_even_gold_standard_is_wrong_usage(evaluate, little, votes):
    code, found, err = evaluate(little, "--raters", votes, "--gold", 2)

    assert (code, found) == (2, None)
    assert "odd" in err


def test_a_mistake_in_the_votes_is_named_with_its_line(evaluate, little, votes, tmp_path):
    bad = tmp_path / "bad.csv"
    bad.write_text(votes.read_text().replace(",0,1,0,0", ",0,maybe,0,0", 1))

    code, _, err = evaluate(little, "--raters", bad)

    assert code == 1
    assert f"{bad}:4: the vote of dan is 'maybe'" in err


def test_a_model_is_compared_with_another_over_the_same_patients(
    evaluate, little, random_model, tmp_path
):
    card, network = checkpoint.load(random_model)
    weights = network.state_dict()
    weights["classifier.weight"] = -weights["classifier.weight"]
    checkpoint.save(tmp_path / "contrary.safetensors", weights, replace(card, name="contrary"))

    _, found, _ = evaluate(little, "--against", tmp_path / "contrary.safetensors")

    other = found["against"]
    assert other["model"] == "contrary 1"
    area = found["overall"]["auroc"]["value"]
    assert other["overall"]["auroc"] == pytest.approx(area)
    assert other["overall"]["auroc_against"] == pytest.approx(1 - area)
    assert other["overall"]["difference"]["value"] == pytest.approx(2 * area - 1)


class Page(HTMLParser):
    """What a page refers to, names and says."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.links, self.ids, self.spoken = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.tags.append(tag)
        self.links += [v for k, v in attrs if k in ("src", "href", "xlink:href")]
        self.ids += [values["id"]] if "id" in values else []
        self.spoken += [values["aria-label"]] if values.get("role") == "img" else []


def test_the_report_is_one_file_that_needs_no_other(whole):
    text = whole.page

    page = Page(text)
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    assert all(link.startswith("#") for link in page.links)
    assert "url(http" not in text.replace("'", "").replace('"', "")
    assert len(page.ids) == len(set(page.ids))
    targets = {link.removeprefix("#") for link in page.links}
    assert targets <= set(page.ids)
    assert len(page.spoken) == page.tags.count("svg") == 6
    assert all(page.spoken)
    assert f"{whole.document['overall']['auroc']['value']:.3f}" in text
    assert "prefers-color-scheme: dark" in text
    assert "#0102" not in text  # no stand-in for a colour is left
    assert page.tags.count("table") == 3


def test_names_in_the_report_are_text_and_no_markup(evaluate, little, votes, tmp_path):
    odd = tmp_path / "odd.csv"
    header = votes.read_text().replace("ann,bob", "<b>$x^2$</b>,A&B", 1)
    odd.write_text(header.replace("cat,", "_cat url(#k),", 1))

    # With one rater as the standard, five are shown.
    code, _, _ = evaluate(little, "--raters", odd, "--gold", 1, "--html", "r.html")

    text = (tmp_path / "r.html").read_text("utf-8")
    assert code == 0
    assert "<b>$x" not in text
    assert "&lt;b&gt;$x^2$&lt;/b&gt;" in text
    assert "A&amp;B" in text
    assert "> _cat url(#k)<" in text  # in a legend, as it is


def test_a_report_needs_a_folder_and_a_split_that_exists(triage, little, tmp_path):
    code, _, err = triage("evaluate", little, "--html", tmp_path / "nowhere" / "r.html")
    assert code == 2
    assert "there is no folder" in err

    code, _, err = triage("evaluate", little, "--split", "test")
    assert code == 2
    assert "train, valid" in err


def test_a_data_set_that_is_not_sound_is_remarked_upon(evaluate, tmp_path):
    leaking = make_dataset(tmp_path / "set", [*STUDIES, Listed(patient=1, number=2)])

    code, found, err = evaluate(leaking)

    assert (code, found["dataset_problems"]) == (0, 1)
    assert f"triage dataset {leaking}" in err


@pytest.mark.soak
@pytest.mark.fracatlas
def test_the_interim_model_ranks_the_validation_part_as_was_stated(
    evaluate, fracatlas, interim_model
):
    _, found, _ = evaluate(fracatlas / "FracAtlas-MURA", "--model", interim_model)

    overall = found["overall"]
    assert (overall["studies"], overall["confusion"]["tp"] + overall["confusion"]["fn"]) == (
        175,
        56,
    )
    assert overall["auroc"]["value"] == pytest.approx(0.85, abs=0.01)


@pytest.mark.parametrize("option", ["--html", "--predictions"])
def test_a_report_that_could_not_be_written_is_refused_before_anything_is_scored(
    triage, little, tmp_path, option
):
    code, shown, said = triage("evaluate", little, option, tmp_path)

    assert (code, shown) == (2, "")
    assert f"{option} {tmp_path}: is a folder" in said
    assert "images scored" not in said


def test_the_figures_are_shown_although_the_predictions_cannot_be_written(evaluate, little):
    code, found, said = evaluate(little, "--predictions", "/dev/full")

    assert code == 1
    assert "/dev/full: cannot be written" in said
    assert found["overall"]["studies"] == 14
