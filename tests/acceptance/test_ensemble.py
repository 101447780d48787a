"""A daemon whose model is two checkpoints, the second of which comes late."""

import shutil

import pytest

from tests.support import dcmtk, studies
from tests.support.studies import picture, study_uid
from tests.support.waiting import wait_until

pytestmark = pytest.mark.dcmtk


def test_the_daemon_waits_for_both_checkpoints_and_scores_with_their_mean(
    start_daemon, random_model, score_directly, tmp_path
):
    from tests.support import models  # torch takes seconds

    late = tmp_path / "late.safetensors"
    second = models.moved(random_model, tmp_path, bias=1.0)
    daemon = start_daemon(model__path=[str(random_model), str(late)])
    assert f"{late}: there is no such file" in daemon.wait_for("no_model", seconds=60)["reason"]
    (sample,) = studies.write_study(tmp_path / "sent", "BOTH", [picture(1)])
    assert dcmtk.storescu(daemon.port, [sample.file]).returncode == 0
    wait_until(
        lambda: (daemon.study(study_uid("BOTH"))["reason"] or "").startswith("no_model: "),
        "a reason that names the missing checkpoint",
    )

    shutil.copy(second, late.with_suffix(".part"))
    late.with_suffix(".part").rename(late)

    row = daemon.wait_for_study(study_uid("BOTH"), status="scored", seconds=60)
    alone = [score_directly(path, [sample.pixels])[0] for path in (random_model, second)]
    assert abs(alone[0] - alone[1]) > 0.01
    assert row["probability"] == pytest.approx(sum(alone) / 2, abs=1e-6)
    assert row["model"] == "random 1 + moved 1"
