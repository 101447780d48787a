"""A backup made by the guide's commands under traffic, and what comes back from it.

The commands are those that deploy/OPERATIONS.md prints, with the paths of the test.
"""

import json
import os
import re
import shutil
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.support import dcmtk, studies
from tests.support.daemon import Daemon, environment
from tests.support.requirements import REPOSITORY, find_program
from tests.support.sender import StubbornSender
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.dcmtk, pytest.mark.backup, pytest.mark.soak]

OPERATIONS = (REPOSITORY / "deploy/OPERATIONS.md").read_text("utf-8")
BACKUP = OPERATIONS.split("\n## Backup\n", 1)[1]
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", BACKUP, re.MULTILINE | re.DOTALL)
DURING = 16  # images that are sent while the backup is made


@dataclass
class Site:
    """A daemon that receives, and the guide's commands for its kind of database."""

    daemon: Daemon
    backups: str
    postgres: dict[str, str]  # how psql finds the database; empty with SQLite

    def run(self, commands):
        """Run commands of the guide, without those for the service and its settings."""
        elsewhere = ("systemctl", "cp -a /etc", "cp -a /var/lib/triage/*.saf")
        lines = [line for line in commands.splitlines() if not line.startswith(elsewhere)]
        script = "\n".join(lines)
        for printed, ours in (
            ("/var/backups/triage", self.backups),
            ("/var/lib/triage", str(self.daemon.folder)),
            ("sudo -u triage ", ""),
            ("sudo -u postgres ", ""),
            (" -o triage -g triage", ""),
        ):
            script = script.replace(printed, ours)
        path = f"{find_program('pg_dump').parent}:" if self.postgres else ""
        subprocess.run(
            ["bash", "-euc", script],
            env=environment() | self.postgres | {"PATH": f"{path}{os.environ['PATH']}"},
            check=True,
            timeout=120,
        )

    def back_up(self):
        if not self.postgres:
            self.run(BLOCKS[0])
            return
        first, _, _, *spool = BLOCKS[0].splitlines(keepends=True)
        self.run(first + BLOCKS[2] + "".join(spool))

    def restore_database(self):
        """Restore the database alone."""
        self.run(self._restoring().replace("rsync", "true rsync"))

    def restore_spool(self):
        """Restore the spool alone."""
        shutil.rmtree(self.daemon.spool)
        self.run("\n".join(re.findall("^rsync.*", self._restoring(), re.MULTILINE)))

    def _restoring(self):
        return BLOCKS[3 if self.postgres else 1]

    def start(self):
        """Start it on files that are not of this minute."""
        for file in self.daemon.spool.glob("*/*.dcm"):
            moment = time.time() - 3600
            os.utime(file, (moment, moment))
        self.daemon.start(roles="receive")

    def send(self, samples):
        sent = dcmtk.storescu(self.daemon.port, [sample.file for sample in samples])
        assert sent.returncode == 0, sent.stderr

    def listed(self):
        """Return the images of the studies on the worklist."""
        rows = self.daemon.sql(
            "SELECT instance.sop_instance_uid FROM instance"
            " JOIN study ON study.id = instance.study_id"
            " JOIN worklist ON worklist.study_instance_uid = study.study_instance_uid"
        )
        return sorted(row["sop_instance_uid"] for row in rows)

    def doctor(self):
        """Return what `triage doctor` says of the files."""
        said = subprocess.run(
            self.daemon.command("doctor", "--json"),
            cwd=self.daemon.folder,
            env=environment(),
            capture_output=True,
            check=False,
        )
        return next(each for each in json.loads(said.stdout) if each["check"] == "files")


@contextmanager
def site_with(kind, request, folder):
    """Run a daemon; with PostgreSQL on a database that is named as in the guide."""
    home = folder / "home"
    home.mkdir()
    settings, postgres = {}, {}
    if kind == "postgres":
        url = urlsplit(request.getfixturevalue("new_database")("postgres"))
        postgres = {"PGHOST": url.hostname, "PGPORT": str(url.port), "PGUSER": "postgres"}
        with psycopg.connect(
            host=url.hostname, port=url.port, user="postgres", dbname="postgres", autocommit=True
        ) as connection:
            connection.execute("CREATE ROLE triage LOGIN")
            connection.execute("CREATE DATABASE triage OWNER triage")
        settings["database__url"] = f"postgresql+psycopg://triage@{url.netloc.split('@')[1]}/triage"
    daemon = Daemon(home, **settings)
    daemon.start(roles="receive")
    try:
        yield Site(daemon, str(folder / "backups"), postgres)
    finally:
        daemon.kill()


@pytest.mark.parametrize("kind", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_whatever_is_restored_everything_acknowledged_comes_back_or_is_named(
    kind, request, tmp_path
):
    before, during, after = (
        studies.write_study(tmp_path / name, name, [studies.picture(n) for n in range(count)])
        for name, count in (("BEFORE", 3), ("DURING", DURING), ("AFTER", 2))
    )
    with site_with(kind, request, tmp_path) as site:
        site.send(before)
        sender = StubbornSender(site.daemon.port, during, pause=0.1)
        try:
            wait_until(lambda: len(sender.acknowledged) > 2, "traffic")
            site.back_up()
            sender.join(120)
        finally:
            sender.end()
        site.send(after)
        everything = sorted(sample.sop_instance_uid for sample in before + during + after)
        assert site.listed() == everything

        check_that_an_older_database_catches_up(site, everything)
        check_that_an_older_spool_names_what_it_lacks(site, everything, during + after)
        check_that_both_of_one_backup_fit(site, {s.sop_instance_uid for s in before})


def check_that_an_older_database_catches_up(site, everything):
    site.daemon.stop()
    site.restore_database()
    site.start()

    site.daemon.wait_for("spool_reconciled", seconds=60)

    assert site.listed() == everything
    assert site.doctor()["status"] == "ok"


def check_that_an_older_spool_names_what_it_lacks(site, everything, later):
    site.daemon.stop()
    site.restore_spool()
    site.start()

    site.daemon.wait_for("spool_reconciled", seconds=60)
    found = site.doctor()
    site.send(later)

    assert found["status"] == "failed"
    assert studies.study_uid("AFTER") in found["message"]
    assert "accession number AFTER" in found["message"]
    assert studies.study_uid("BEFORE") not in found["message"]
    assert site.listed() == everything
    assert site.doctor()["status"] == "ok"


def check_that_both_of_one_backup_fit(site, before):
    site.daemon.stop()
    site.restore_database()
    site.restore_spool()
    site.start()

    site.daemon.wait_for("spool_reconciled", seconds=60)

    assert before <= set(site.listed())
    assert site.doctor()["status"] == "ok"
    site.daemon.stop()
