"""Spool, database and reception of one site, without a daemon and its port around them."""

import os
import time
from datetime import UTC, datetime, timedelta

from pydicom.filereader import read_file_meta_info

from tests.support import studies
from tests.support.store import Store
from triage.core.retention import Allowance
from triage.core.selection import Rules
from triage.core.tally import Tally
from triage.dicom import digest
from triage.dicom.scp import Arrival
from triage.pipeline.receive import Intake
from triage.pipeline.reconcile import Reconciler
from triage.pipeline.rescore import Rescorer
from triage.pipeline.retain import Retention
from triage.store import queries, reading, scoring
from triage.store.spool import FOLDERS, Spool

HOUR = timedelta(hours=1)
RULES = Rules()
NEVER = 10**9  # seconds


def ago(hours):
    return datetime.now(UTC) - hours * HOUR


class SmallDisk(Spool):
    """A spool on a disk of its own, of *capacity* bytes."""

    def __init__(self, directory, capacity):
        super().__init__(directory, 0)
        self.capacity = capacity

    def free(self):
        return self.capacity - sum(file.size for name in FOLDERS for file in self.files(name))


class Site(Store):
    """What a daemon has around it."""

    def __init__(self, database, folder, spool=None):
        super().__init__(database)
        self.folder = folder
        self.spool = spool or Spool(folder / "spool", 0)
        self.spool.prepare()
        self.woken = 0

    def wake(self):
        self.woken += 1

    def arrival(self, study, number=1, picture=None, **header):
        """Return an image as the port hands it on; equal arguments make equal bytes."""
        dataset = studies.make(study, studies.picture(picture or number), number, **header)
        self.folder.joinpath("made").mkdir(exist_ok=True)
        sample = studies.write(self.folder / "made", dataset)
        content = sample.file.read_bytes()
        syntax = read_file_meta_info(sample.file).TransferSyntaxUID
        # File meta information ends where its group length says (PS3.10 7.1).
        start = 132 + 12 + read_file_meta_info(sample.file).FileMetaInformationGroupLength
        found = digest.begin(str(syntax))
        found.update(content[start:])
        return Arrival(
            sop_class_uid=str(dataset.SOPClassUID),
            sop_instance_uid=sample.sop_instance_uid,
            transfer_syntax_uid=str(syntax),
            calling_ae_title="PACS",
            calling_address="192.0.2.7",
            fragments=(content[start:],),
            digest=found.hexdigest(),
            preamble=content[:start],
        )

    def receive(self, study, number=1, spool=None, **header):
        """Receive an image; return its file."""
        intake = Intake(
            self.database, spool or self.spool, rules=RULES, wake=self.wake, tally=Tally()
        )
        before = set(self.digests())
        intake.keep(self.arrival(study, number, **header))
        new = set(self.digests()) - before
        return self.spool.path(new.pop()) if new else None

    def digests(self):
        return [row.digest for row in self.sql("SELECT digest FROM instance ORDER BY id")]

    def files(self):
        """Return the digests that have a file."""
        return {file.digest for name in FOLDERS for file in self.spool.files(name)}

    def id(self, study):
        return queries.find_study(self.database, studies.study_uid(study))

    def mark_read(self, study, hours_ago=0.0):
        reading.mark_read(self.database, self.id(study), "ada", "normal", ago(hours_ago))

    def score_all(self, probability=0.9):
        """Score what waits."""
        now = datetime.now(UTC)
        while work := scoring.hold_views(self.database, "s1", 16, lambda: now):
            results = [
                scoring.Result(work=item, probability=probability, threshold=0.5, model="m 1")
                for item in work
            ]
            scoring.save_results(self.database, "s1", results, now)

    def lose_all(self):
        """Let the scorer find no file behind any view that waits, until it gives up."""
        for attempt in range(scoring.MAX_ATTEMPTS):
            now = datetime.now(UTC) + attempt * HOUR
            while work := scoring.hold_views(self.database, "s1", 16, lambda now=now: now):
                results = [
                    scoring.Result(work=item, reason="file_missing: there is no such file")
                    for item in work
                ]
                scoring.save_results(self.database, "s1", results, now)

    def retention(self, keep=3600.0, low_water=0, spool=None):
        allowance = Allowance(keep=keep, low_water=low_water)
        return Retention(self.database, spool or self.spool, allowance)

    def reconcile(self, *, repair=True, keep=NEVER, folders=FOLDERS):
        """Look through the spool, or some of its folders; return what was found."""
        allowance = Allowance(keep=keep, low_water=0)
        reconciler = Reconciler(self.database, self.spool, RULES, allowance)
        # Most of the 256 folders are empty, and each costs the database a question.
        known = {digest[:2] for digest in self.digests()}
        names = [name for name in folders if name in known or self._has_entries(name)]
        return [each for name in names for each in reconciler.folder(name, repair=repair)]

    def _has_entries(self, folder):
        return any((self.spool.directory / folder).iterdir())

    def rescorer(self):
        return Rescorer(self.database, self.spool, RULES)

    def forget(self, file):
        """Take a file's row away, as a database does that is restored to an earlier time."""
        with self.database.writing() as connection:
            for table in ("activation", "view", "instance", "history", "study"):
                connection.exec_driver_sql(f"DELETE FROM {table}")  # noqa: S608  our own names
        age(file, 1)

    def audited(self, kind):
        query = f"SELECT * FROM audit WHERE kind = '{kind}' ORDER BY id"  # noqa: S608  our own
        return self.sql(query)


def age(file, hours):
    """Let a file have been written some hours ago."""
    moment = time.time() - hours * 3600
    os.utime(file, (moment, moment))
