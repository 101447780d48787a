"""kill -9 while the spool is kept: between retention's mark and its deletion, and amid the repair."""

import os
import sqlite3
import time
from contextlib import closing

import pytest

from tests.support import dcmtk, strace, studies
from tests.support.daemon import Daemon
from tests.support.studies import picture, study_uid
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.dcmtk]

STRAYS = 80


@pytest.fixture
def daemon(tmp_path):
    """A daemon without room, so that what is read goes at its next tick."""
    daemon = Daemon(tmp_path, spool__min_free=0, spool__low_water=2**60, study__quiet=0.1)
    yield daemon
    daemon.kill()


def receive(daemon, folder, *names):
    """Receive a study of one image for each name; return their files by name."""
    samples = [
        sample
        for number, name in enumerate(names, start=1)
        for sample in studies.write_study(folder / name, name, [picture(number)])
    ]
    sent = dcmtk.storescu(daemon.port, [sample.file for sample in samples])
    assert sent.returncode == 0, sent.stderr
    rows = daemon.sql(
        "SELECT accession_number, digest FROM instance JOIN study ON study.id = instance.study_id"
    )
    return {
        row["accession_number"]: daemon.spool / row["digest"][:2] / f"{row['digest']}.dcm"
        for row in rows
    }


@pytest.mark.strace
def test_a_kill_between_mark_and_deletion_leaves_no_file_that_its_row_calls_deleted(
    daemon, tmp_path
):
    daemon.start(roles="receive")
    files = receive(daemon, tmp_path, "READ", "UNREAD")
    with strace.killing(daemon.pid, tmp_path / "strace", "unlink", path=files["READ"]) as trace:
        daemon.triage("read", "READ", "--by", "ada")
        trace.wait_for_kill("unlink")
    daemon.kill()
    marked = daemon.sql("SELECT id FROM instance WHERE deleted_at IS NOT NULL")
    assert len(marked) == 1
    assert files["READ"].exists()

    daemon.start(roles="receive")
    wait_until(lambda: not files["READ"].exists(), "the file is deleted", seconds=120)

    assert [name for name, file in files.items() if file.exists()] == ["UNREAD"]
    trail = daemon.sql("SELECT detail FROM audit WHERE kind = 'pixels_deleted' ORDER BY id")
    assert [entry["detail"].rpartition(", ")[2] for entry in trail] == [
        "spool.low_water",
        "deleted before and there again",
    ]
    daemon.stop()


@pytest.mark.soak
def test_a_kill_amid_the_repair_files_everything_once(daemon, tmp_path):
    names = [f"STRAY{number}" for number in range(STRAYS)]
    daemon.start(roles="receive")
    files = receive(daemon, tmp_path, *names)
    daemon.stop()
    forget_all(daemon)
    hour_ago = time.time() - 3600
    for file in files.values():
        os.utime(file, (hour_ago, hour_ago))

    for kill in (1, 2):
        daemon.start(roles="receive")
        wait_until(lambda: len(daemon.events("file_adopted")) > 2, "the repair has begun")
        daemon.kill()
        filed = daemon.sql("SELECT id FROM instance")
        assert 0 < len(filed) < STRAYS, f"kill {kill} came too late"
    daemon.start(roles="receive")
    daemon.wait_for("spool_reconciled", seconds=240)

    found = daemon.sql("SELECT study_instance_uid, views FROM study")
    assert sorted(row["study_instance_uid"] for row in found) == sorted(map(study_uid, names))
    assert {row["views"] for row in found} == {1}
    adopted = daemon.sql("SELECT study_instance_uid FROM audit WHERE kind = 'adopted'")
    assert sorted(row["study_instance_uid"] for row in adopted) == sorted(map(study_uid, names))
    assert all(file.exists() for file in files.values())
    daemon.stop()


def forget_all(daemon):
    """Take all rows away, as a database does that is restored to an earlier time."""
    with closing(sqlite3.connect(daemon.folder / "triage.db")) as connection, connection:
        for table in ("view", "history", "instance", "study"):
            connection.execute(f"DELETE FROM {table}")  # noqa: S608  our own names
