"""A machine that forbids torch what it needs: the studies say why they are not scored."""

import os
import resource
import signal

import pytest

from tests.support import dcmtk, studies
from tests.support.studies import picture, study_uid
from tests.support.waiting import wait_until

pytestmark = pytest.mark.dcmtk


def test_a_scorer_without_memory_to_load_the_model_is_told_in_the_worklist(
    start_daemon, random_model, tmp_path
):
    daemon = start_daemon(model__path=random_model)
    daemon.wait_for_scorer()
    resource.prlimit(daemon.pid, resource.RLIMIT_AS, (1_500_000_000, 1_500_000_000))
    os.kill(daemon.scorer_pid, signal.SIGKILL)  # the next one inherits the limit
    daemon.wait_for("no_model", seconds=60)

    (sample,) = studies.write_study(tmp_path, "UNLOADED", [picture(1)])
    assert dcmtk.storescu(daemon.port, [sample.file]).returncode == 0

    row = daemon.wait_for_study(study_uid("UNLOADED"), seconds=30, status="complete")
    assert (row["label"], row["priority"]) == (None, "MEDIUM")
    reason = wait_until(lambda: daemon.study(study_uid("UNLOADED"))["reason"], "a reason")
    assert reason.startswith("no_model: ")
