"""Whatever umask the daemon is started with, patients' data is for its user alone."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.support import dcmtk, studies
from tests.support.daemon import environment
from tests.support.studies import picture, study_uid
from triage.store import rights

pytestmark = pytest.mark.dcmtk
DEPLOY = Path(__file__).parents[2] / "deploy"


def open_ones(folder):
    """Return what in the folder others may use, but for what the test itself put there."""
    own = {"daemon.log", "triage.toml"}
    return rights.open_to_others(path for path in folder.rglob("*") if path.name not in own)


def findings(daemon):
    """Return what `triage doctor` finds of the rights."""
    ran = subprocess.run(
        daemon.command("doctor", "--json"),
        cwd=daemon.folder,
        env=environment(),
        capture_output=True,
        check=False,
    )
    return next(entry for entry in json.loads(ran.stdout) if entry["check"] == "rights")


def test_nothing_that_is_written_is_open_to_others(start_daemon, random_model, tmp_path):
    os.umask(0)
    daemon = start_daemon(model__path=random_model)
    (sample,) = studies.write_study(tmp_path / "out", "PRIVATE", [picture(1)])
    assert dcmtk.storescu(daemon.port, [sample.file]).returncode == 0
    daemon.wait_for_study(study_uid("PRIVATE"), seconds=120, status="scored")
    maps = daemon.folder / "maps"
    daemon.triage("show", "PRIVATE", "--cam", str(maps))

    assert open_ones(daemon.folder) == []
    assert len(list(maps.iterdir())) == 1
    names = {path.name for path in daemon.folder.iterdir()}
    assert {"triage.db", "triage.db-wal", "triage.db-shm", "spool"} <= names


def test_what_an_earlier_start_left_open_is_found_and_closed(start_daemon, tmp_path):
    daemon = start_daemon(roles="receive")
    (sample,) = studies.write_study(tmp_path / "out", "OPEN", [picture(1)])
    assert dcmtk.storescu(daemon.port, [sample.file]).returncode == 0
    daemon.kill()
    for path in [*daemon.folder.glob("triage.db*"), *daemon.spool.rglob("*"), daemon.spool]:
        path.chmod(0o755 if path.is_dir() else 0o644)

    found = findings(daemon)
    daemon.start(roles="receive")

    assert found["status"] == "warning"
    assert str(daemon.folder / "triage.db") in found["message"]
    assert "restart the daemon" in found["action"]
    (told,) = daemon.events("rights_narrowed")
    assert told["count"] >= 1 + 258  # the doctor may have been the last to close the database
    assert rights.open_to_others([daemon.spool, *daemon.folder.glob("triage.db*")]) == []


def test_the_unit_s_umask_and_state_directory_are_as_closed():
    unit = (DEPLOY / "triage.service").read_text("utf-8").splitlines()

    assert int(next(line for line in unit if line.startswith("UMask=")).partition("=")[2], 8) == (
        rights.OTHERS
    )
    assert "StateDirectoryMode=0700" in unit
