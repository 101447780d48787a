"""Real radiographs through the daemon: its probability is that of the picture, and its map is shown."""

import json
import sqlite3
from contextlib import closing

import numpy as np
import pytest
from PIL import Image

from tests.support import dcmtk, studies
from tests.support.models import EXACT
from tests.support.studies import study_uid
from tests.support.waiting import wait_until
from triage.core.studytype import StudyType
from triage.model.preprocess import read_picture

pytestmark = [pytest.mark.dcmtk, pytest.mark.fracatlas]


@pytest.fixture(scope="module")
def pictures(fracatlas):
    """Radiographs of two parts with a finding and without one, by the name of their study."""
    valid = fracatlas / "FracAtlas-MURA" / "valid"
    found = {}
    for part in ("HAND", "HUMERUS"):
        for finding in ("positive", "negative"):
            found[f"{part}-{finding}"] = min(valid.glob(f"XR_{part}/*/*_{finding}/*.jpg"))
    return found


@pytest.fixture(scope="module")
def daemon(start_shared_daemon, interim_model, pictures, tmp_path_factory):
    """A daemon that has scored the pictures, each wrapped as a DICOM object."""
    daemon = start_shared_daemon(model__path=interim_model)
    folder = tmp_path_factory.mktemp("wrapped")
    files = []
    for name, path in pictures.items():
        part = StudyType(name.partition("-")[0].lower())
        (sample,) = studies.write_study(folder / name, name, [read_picture(path)], study_type=part)
        files.append(sample.file)
    daemon.wait_for_scorer()
    assert dcmtk.storescu(daemon.port, files).returncode == 0
    for name in pictures:
        daemon.wait_for_study(study_uid(name), status="scored", seconds=60)
    return daemon


def test_the_daemons_probability_is_that_of_the_picture(daemon, pictures):
    shown = json.loads(daemon.triage("score", "--json", *map(str, pictures.values())))
    of_picture = dict(zip(pictures, shown, strict=True))

    for name in pictures:
        row, offline = daemon.study(study_uid(name)), of_picture[name]
        assert row["probability"] == pytest.approx(offline["probability"], abs=1e-6), name
        assert (row["label"], row["model"]) == (offline["label"], offline["model"])
    assert len({row["probability"] for row in daemon.worklist()}) == len(pictures)


def test_the_daemons_probability_is_the_evaluations(daemon, pictures, fracatlas, interim_model):
    from triage.model.scorer import Scorer  # torch takes seconds
    from triage.research.mura import read_dataset
    from triage.research.predictions import predict

    scorer = Scorer(interim_model, **EXACT, threads=1)
    wanted = {path.resolve(): name for name, path in pictures.items()}
    labelled = {
        wanted[path.resolve()]: study
        for study in read_dataset(fracatlas / "FracAtlas-MURA").split("valid").studies
        for path in study.images
        if path.resolve() in wanted
    }

    predictions, unreadable = predict(scorer, list(labelled.values()))

    assert (len(predictions), unreadable) == (len(pictures), [])
    for name, prediction in zip(labelled, predictions, strict=True):
        probability = daemon.study(study_uid(name))["probability"]
        assert probability == pytest.approx(prediction.probability, abs=1e-6), name


def test_what_the_network_looked_at_is_drawn_over_the_radiograph(daemon, pictures, tmp_path):
    for name, path in pictures.items():
        uid = study_uid(name)
        shown = json.loads(daemon.triage("show", uid, "--cam", str(tmp_path), "--json"))

        (entry,) = shown["cam"]
        (instance,) = shown["instances"]
        assert entry["path"] == str(tmp_path / f"{instance['sop_instance_uid']}-1.png")
        grey = read_picture(path)
        with Image.open(entry["path"]) as picture:
            drawn = np.asarray(picture).astype(int)
        assert drawn.shape == (*grey.shape, 3)
        tinted = np.ptp(drawn, axis=2) > 0
        assert tinted.any() if shown["label"] == "abnormal" else not tinted.all()


def test_the_map_stands_in_no_list_and_no_log(daemon, pictures):
    row = daemon.worklist()[0]
    columns = daemon.sql("SELECT * FROM worklist")[0]

    assert not {key for key in (*row, *columns) if "cam" in key or "activation" in key}
    assert b"activation" not in daemon.log.read_bytes()
    assert len(daemon.sql("SELECT * FROM activation")) == len(pictures)


def test_a_view_of_before_has_no_map_until_it_is_scored_again(daemon, pictures, tmp_path):
    name = next(iter(pictures))
    uid = study_uid(name)
    sop = daemon.show(uid)[0]["instances"][0]["sop_instance_uid"]
    with closing(sqlite3.connect(daemon.url.removeprefix("sqlite:///"))) as connection:
        connection.execute("DELETE FROM activation")  # as the database of a former version has it
        connection.commit()

    with pytest.raises(AssertionError, match="`triage rescore STUDY` makes one"):
        daemon.triage("show", uid, "--cam", str(tmp_path))
    daemon.triage("rescore", uid)
    wait_until(lambda: daemon.sql("SELECT 1 FROM activation"), "a new map")
    daemon.triage("show", uid, "--cam", str(tmp_path))

    assert [path.name for path in tmp_path.iterdir()] == [f"{sop}-1.png"]
