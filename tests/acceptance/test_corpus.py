"""The odd files of other projects, sent to a live daemon by storescu.

pydicom's own test data and pydicom-data, as they are and once more relabelled
as radiographs of a hand, so that their pixels are decoded; every fourth of them,
and all in the soak. TRIAGE_CORPUS names
further folders, separated by colons: those into which `dpkg -x` unpacks Debian's
python3-pydicom, dicomscope, libgdcm3.0, python3-nibabel, heudiconv, octave-dicom
and dicomnifti, and DCMTK's examples after dump2dcm.
"""

import os
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pydicom.data
import pytest
from pydicom import dcmread
from pydicom.data.data_manager import external_data_sources
from pydicom.filereader import read_file_meta_info
from pydicom.uid import (
    JPEG2000,
    UID,
    ComputedRadiographyImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from tests.support import dcmtk
from tests.support.waiting import wait_until
from triage.dicom import radiograph

pytestmark = pytest.mark.dcmtk

ANSWER = re.compile(r"Received Store Response \((.+)\)")
NOT_OFFERED = "refused at negotiation"
NOT_SENT = "the sender cannot read or send it"
# What storescu proposes beside the plain syntaxes.
PROPOSE = {
    RLELossless: "-xr",
    DeflatedExplicitVRLittleEndian: "-xd",
    JPEGBaseline8Bit: "-xy",
    JPEGExtended12Bit: "-xx",
    JPEGLossless: "-xs",
    JPEGLosslessSV1: "-xs",
    JPEGLSLossless: "-xt",
    JPEGLSNearLossless: "-xu",
    JPEG2000Lossless: "-xv",
    JPEG2000: "-xw",
    ExplicitVRBigEndian: "-xb",
    ImplicitVRLittleEndian: "-xi",
}


def corpus():
    """Return the files, however they are called."""
    folders = [
        Path(pydicom.data.__file__).parent / "test_files",
        Path(pydicom.data.__file__).parent / "charset_files",
        *(Path(source.data_path) for source in external_data_sources().values()),
        *(Path(each) for each in os.environ.get("TRIAGE_CORPUS", "").split(":") if each),
    ]
    return sorted({path for folder in folders for path in folder.rglob("*") if path.is_file()})


def relabelled(files, folder):
    """Write every image among *files* as a radiograph of a hand, in its own transfer syntax."""
    made = []
    for number, file in enumerate(files):
        try:
            dataset = dcmread(file, force=True)
            if "PixelData" not in dataset or not UID(dataset.file_meta.TransferSyntaxUID):
                continue
            dataset.SOPClassUID = ComputedRadiographyImageStorage
            dataset.file_meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
            dataset.Modality, dataset.BodyPartExamined = "CR", "HAND"
            dataset.ImageType = ["ORIGINAL", "PRIMARY"]
            dataset.SOPInstanceUID = radiograph.uid("corpus", str(number))
            dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
            dataset.StudyInstanceUID = radiograph.uid("corpus study", str(number))
            target = folder / f"{number:04}.dcm"
            dataset.save_as(target, enforce_file_format=True)
        except Exception:  # noqa: S112  so odd that pydicom cannot write it; it is sent as it is
            continue
        made.append(target)
    return made


def send(port, file):
    """Send one file and return what became of it."""
    ran = dcmtk.storescu(port, [file], "-v", "-R", *proposal(file))
    said = ran.stdout + ran.stderr
    if answered := ANSWER.findall(said):
        return answered[-1]
    if "No presentation context" in said or "No Acceptable Presentation Contexts" in said:
        return NOT_OFFERED
    assert ran.returncode, f"storescu passed over {file}"
    return NOT_SENT


def proposal(file):
    """Return the option that proposes the file's own transfer syntax."""
    try:
        syntax = read_file_meta_info(file).get("TransferSyntaxUID")
    except Exception:  # not DICOM, or too odd for pydicom; storescu may know better
        return []
    return [PROPOSE[syntax]] if syntax in PROPOSE else []


@pytest.mark.parametrize("every", [12, pytest.param(1, marks=pytest.mark.soak)])
def test_every_file_is_scored_or_explained_or_refused(
    start_daemon, interim_model, tmp_path, report_figure, every
):
    daemon = start_daemon(model__path=str(interim_model), study__quiet=0.5)
    daemon.wait_for_scorer()
    files = corpus()
    files = [*files, *relabelled(files, tmp_path)][::every]

    with ThreadPoolExecutor(4) as senders:
        said = list(senders.map(lambda file: send(daemon.port, file), files))

    stored = daemon.events("instance_stored")
    assert said.count("Success") == len(stored) > 300 / every
    assert set(said) <= {"Success", "Error: CannotUnderstand", NOT_OFFERED, NOT_SENT}
    assert said.count(NOT_SENT) < len(files) / 8
    wait_until(lambda: settled(daemon), "every study is complete", seconds=240)
    views = daemon.sql(
        "SELECT instance.state, instance.reason AS why, view.state AS view, view.reason "
        "FROM instance LEFT JOIN view ON view.instance_id = instance.id"
    )
    outcomes = Counter(map(outcome, views))
    assert not [name for name in outcomes if "without a reason" in name]
    assert outcomes["scored"] > 50 / every
    assert len(daemon.events("scorer_started")) == 1
    assert len(daemon.events("ready")) == 1
    assert daemon.triage("worklist", "--json")
    daemon.stop()
    report_figure(f"corpus: {len(files)} files sent; the sender heard {dict(Counter(said))}")
    report_figure(f"corpus: {len(views)} views and instances: {dict(outcomes.most_common())}")
    replaced = len(daemon.events("decoder_ended"))
    report_figure(f"corpus: restarts of daemon and scorer 0, decoders replaced {replaced}")


def settled(daemon):
    """Say whether nothing waits any more."""
    open_studies = "SELECT 1 FROM study WHERE status IN ('receiving', 'complete') LIMIT 1"
    return not daemon.sql(open_studies)


def outcome(row):
    """Name what became of a view, or of an instance without one."""
    if row["state"] == "replaced":
        return "replaced"
    if row["state"] == "scorable" and row["view"] == "scored":
        return "scored"
    why = row["reason"] if row["state"] == "scorable" else row["why"]
    return (why or f"{row['state']} without a reason").partition(":")[0]
