"""A checkpoint that is not the pinned one scores nothing, and says so; images are received."""

import hashlib

import pytest

from tests.support import dcmtk, studies
from tests.support.studies import picture, study_uid

pytestmark = pytest.mark.dcmtk


def test_another_file_than_the_pinned_one_is_no_model_until_the_right_one_is_back(
    start_daemon, random_model, tmp_path
):
    data = random_model.read_bytes()
    pin = hashlib.sha256(data).hexdigest()
    changed = bytearray(data)
    changed[-100] ^= 1  # of a weight: a whole file with a valid card
    model = tmp_path / "model.safetensors"
    model.write_bytes(changed)
    found = hashlib.sha256(changed).hexdigest()

    daemon = start_daemon(model__path=model, model__sha256=pin)
    (sample,) = studies.write_study(tmp_path / "out", "PINNED", [picture(1)])
    assert dcmtk.storescu(daemon.port, [sample.file]).returncode == 0
    told = daemon.wait_for("no_model", seconds=120)
    row = daemon.wait_for_study(study_uid("PINNED"), status="complete")

    assert pin in told["reason"]
    assert found in told["reason"]
    assert "model.sha256" in told["reason"]
    assert row["label"] is None

    whole = tmp_path / "whole"
    whole.write_bytes(data)
    whole.replace(model)
    assert daemon.wait_for("scorer_ready", seconds=120)["sha256"] == [pin]
    daemon.wait_for_study(study_uid("PINNED"), status="scored")
