"""A daemon that chooses its engine: the scores stay, and log and doctor say which it is."""

import json

import pytest

from tests.support import dcmtk, studies
from tests.support.studies import picture, study_uid

pytestmark = pytest.mark.dcmtk


def test_the_daemon_takes_the_fastest_engine_says_why_and_scores_as_float32_does(
    start_daemon, random_model, score_directly, tmp_path
):
    daemon = start_daemon(model__path=random_model, model__backend="auto", model__precision="auto")
    samples = studies.write_study(tmp_path, "FAST", [picture(number) for number in range(3)])
    assert dcmtk.storescu(daemon.port, [sample.file for sample in samples]).returncode == 0

    row = daemon.wait_for_study(study_uid("FAST"), status="scored", seconds=120)

    exact = score_directly(random_model, [sample.pixels for sample in samples])
    assert row["probability"] == pytest.approx(sum(exact) / len(exact), abs=0.01)
    ready = daemon.wait_for("scorer_ready")
    assert ready["backend"] in ("openvino", "torch")
    assert "compared with" in ready["because"] or "differs by at most" in ready["because"]
    (model,) = [
        found
        for found in json.loads(daemon.triage("doctor", "--json"))
        if found["check"] == "model"
    ]
    assert model["status"] == "ok"
    assert " on cpu (" in model["message"]


def test_an_engine_that_this_machine_cannot_run_is_the_reason_that_nothing_is_scored(
    start_daemon, random_model
):
    daemon = start_daemon(model__path=random_model, model__precision="float16")

    assert (
        "model.precision=float16 needs a GPU" in daemon.wait_for("no_model", seconds=120)["reason"]
    )
