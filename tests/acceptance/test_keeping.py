"""The daemon keeps its spool: what was read goes, what has no row is filed, what is lost is named."""

import json
import os
import sqlite3
import time
from contextlib import closing

import pytest

from tests.support import dcmtk, studies
from tests.support.daemon import Daemon
from tests.support.studies import picture, study_uid

pytestmark = pytest.mark.dcmtk


@pytest.fixture
def daemon(tmp_path):
    daemon = Daemon(tmp_path, spool__keep=1, study__quiet=0.1)
    yield daemon
    daemon.kill()


def send(daemon, samples):
    sent = dcmtk.storescu(daemon.port, [sample.file for sample in samples])
    assert sent.returncode == 0, sent.stderr


def test_after_a_start_the_spool_is_as_the_database_says(daemon, tmp_path):
    read, unread, lost, stray = (
        studies.write_study(tmp_path / name, name, [picture(number)])
        for number, name in enumerate(("READ", "UNREAD", "LOST", "STRAY"), start=1)
    )
    daemon.start(roles="receive")
    send(daemon, read + unread + lost + stray)
    files = {
        row["accession_number"]: daemon.spool / row["digest"][:2] / f"{row['digest']}.dcm"
        for row in daemon.sql(
            "SELECT accession_number, digest FROM instance"
            " JOIN study ON study.id = instance.study_id"
        )
    }
    daemon.triage("read", "READ", "--by", "ada")
    daemon.stop()
    files["LOST"].unlink()
    forget(daemon, "STRAY")
    hour_ago = time.time() - 3600
    os.utime(files["STRAY"], (hour_ago, hour_ago))

    daemon.start(roles="receive")
    deleted = daemon.wait_for("pixels_deleted")
    daemon.wait_for("spool_reconciled")

    assert {name for name, file in files.items() if file.exists()} == {"UNREAD", "STRAY"}
    assert (deleted["accession_number"], deleted["files"], deleted["why"]) == (
        "READ",
        1,
        "spool.keep",
    )
    assert [event["accession_number"] for event in daemon.events("file_lost")] == ["LOST"]
    assert daemon.study(study_uid("STRAY"))["status"] != "failed"
    send(daemon, lost)
    assert files["LOST"].exists()
    assert daemon.events("instance_stored")[-1]["outcome"] == "restored"
    trail = json.loads(daemon.triage("audit", "--json"))
    assert [entry["kind"] for entry in trail if entry["accession_number"] == "STRAY"] == [
        "received",
        "adopted",
    ]
    assert trail[0]["actor"] == "STORESCU@127.0.0.1"
    daemon.stop()


def test_a_disk_that_fills_up_gets_room_within_seconds(tmp_path):
    """A minute later a sender of large images would have filled what is kept free."""
    daemon = Daemon(tmp_path, spool__min_free=0, spool__low_water=2**60)
    daemon.start(roles="receive")
    send(daemon, studies.write_study(tmp_path / "made", "READ", [picture(1)]))
    daemon.wait_for("spool_low")
    daemon.triage("read", "READ", "--by", "ada")

    deleted = daemon.wait_for("pixels_deleted", seconds=40)

    assert deleted["why"] == "spool.low_water"
    daemon.stop()


def forget(daemon, accession_number):
    """Take a study's rows away, as a database does that is restored to an earlier time."""
    which = "(SELECT id FROM study WHERE accession_number = ?)"
    with closing(sqlite3.connect(daemon.folder / "triage.db")) as connection, connection:
        for table in ("view", "history", "instance"):
            connection.execute(f"DELETE FROM {table} WHERE study_id IN {which}", [accession_number])  # noqa: S608
        connection.execute(f"DELETE FROM study WHERE id IN {which}", [accession_number])  # noqa: S608
