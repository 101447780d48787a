"""Real CR images in every lossless transfer syntax: one probability, whatever carried it."""

from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file

from tests.support import dcmtk, encoders
from tests.support.daemon import HOST
from triage.dicom import codecs, radiograph, scu

pytestmark = pytest.mark.dcmtk

REAL = ("RG1_UNCR.dcm", "RG3_UNCR.dcm")  # 15 and 10 bits, MONOCHROME1, with a window


@pytest.fixture(scope="module")
def daemon(start_shared_daemon, interim_model):
    daemon = start_shared_daemon(model__path=str(interim_model))
    daemon.wait_for_scorer()
    return daemon


def real(name):
    path = get_testdata_file(name)
    assert path, f"{name} comes with pydicom-data"
    return Path(path)


def relabelled(name, folder):
    """Write the image as one of a hand, native."""
    dataset = dcmread(real(name))
    dataset.BodyPartExamined = "HAND"
    target = folder / name
    dataset.save_as(target, enforce_file_format=True)
    return target


def as_new_study(dataset, *seed):
    """Give the image UIDs of its own."""
    dataset.StudyInstanceUID = radiograph.uid("study", *seed)
    dataset.SeriesInstanceUID = radiograph.uid("series", *seed)
    dataset.SOPInstanceUID = radiograph.uid("instance", *seed)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return dataset


def test_every_lossless_syntax_that_is_offered_is_tried():
    lossy = {"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.81"}
    lossy |= {"1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.203"}

    assert set(codecs.negotiable()) - lossy == set(encoders.LOSSLESS)


@pytest.mark.parametrize("name", REAL)
def test_a_real_radiograph_has_one_probability_in_every_lossless_syntax(daemon, name, tmp_path):
    source = relabelled(name, tmp_path)
    sent = {}
    for syntax in encoders.LOSSLESS:
        target = tmp_path / f"{syntax}.dcm"
        dataset = as_new_study(encoders.encoded(source, syntax, target), name, str(syntax))
        dataset.save_as(target, enforce_file_format=True)
        (outcome,) = scu.send(
            [target], host=HOST, port=daemon.port, calling_ae_title="T", called_ae_title="TRIAGE"
        )
        assert outcome.stored, outcome
        sent[dataset.StudyInstanceUID] = syntax

    rows = {sent[uid]: daemon.wait_for_study(uid, status="scored", seconds=60) for uid in sent}

    received = daemon.sql("SELECT DISTINCT transfer_syntax_uid FROM instance")
    assert {row["transfer_syntax_uid"] for row in received} >= set(encoders.LOSSLESS)
    assert {row["study_type"] for row in rows.values()} == {"hand"}
    probabilities = [row["probability"] for row in rows.values()]
    assert max(probabilities) - min(probabilities) < 1e-6


@pytest.mark.parametrize(
    ("name", "deciding"),
    [("RG1_UNCR.dcm", "BodyPartExamined 'CHEST'"), ("RG3_UNCR.dcm", "LOWER LEG")],
)
def test_the_originals_are_stored_and_not_scored_for_their_part(daemon, name, deciding):
    original = real(name)

    sent = dcmtk.storescu(daemon.port, [original], "-R")

    assert sent.returncode == 0, sent.stderr
    uid = str(dcmread(original, stop_before_pixels=True).StudyInstanceUID)
    row = daemon.wait_for_study(uid, status="unscorable")
    assert (row["label"], row["priority"]) == (None, "MEDIUM")
    assert row["reason"].startswith("outside_upper_extremity: ")
    assert deciding in row["reason"]
