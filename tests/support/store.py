"""The store's functions, with what a test seldom cares about filled in."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from triage.core.study import Instance, Patience, Side
from triage.core.studytype import StudyType
from triage.store import audit, intake, progress, queries, rescoring, scoring

NOON = datetime(2025, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
DX = "1.2.840.10008.5.1.4.1.1.1.1"


def at(seconds):
    """Return the moment *seconds* after the tests' noon."""
    return NOON + timedelta(seconds=seconds)


class Store:
    """One database."""

    def __init__(self, database):
        self.database = database

    def file(self, study="1.1", sop=None, seconds=0, **fields):
        """File an image; equal arguments make equal bytes."""
        received = self.received(study, sop, **fields)
        return intake.file_instance(self.database, received, at(seconds))

    def received(self, study="1.1", sop=None, **fields):
        """Return an image as it arrives."""
        sop = sop or f"{study}.1"
        pixels = fields.pop("pixels", "a")
        content = fields.pop("content", pixels)
        received = Instance(
            sop_instance_uid=sop,
            sop_class_uid=DX,
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            series_instance_uid=f"{study}.0",
            study_instance_uid=study,
            study_type=StudyType.HAND,
            side=Side.LEFT,
            frames=1,
            radiograph=True,
            pixel_digest=f"{sop}/{pixels}",
            digest=f"{sop}/{content}",
            size=1000,
            calling_ae_title="MODALITY",
        )
        return replace(received, **fields)

    def file_report(self, study="1.1", sop="1.1.99", seconds=0):
        return self.file(
            study,
            sop,
            seconds,
            frames=0,
            radiograph=False,
            study_type=None,
            pixel_digest="",
            reason="not_an_image: Basic Text SR is not an image",
        )

    def hold(self, scorer="s1", seconds=0, limit=16):
        return scoring.hold_views(self.database, scorer, limit, lambda: at(seconds))

    def save(self, work, probability, scorer="s1", seconds=0):
        """Save the same probability for every view of *work*."""
        results = [
            scoring.Result(work=item, probability=probability, threshold=0.5, model="m 1")
            for item in work
        ]
        return self._store(results, scorer, seconds)

    def fail(self, work, scorer="s1", seconds=0, *, final=False):
        results = [
            scoring.Result(work=item, reason="undecodable: it is broken", final=final)
            for item in work
        ]
        return self._store(results, scorer, seconds)

    def _store(self, results, scorer, seconds):
        """Save results; return the studies touched, (Study Instance UID, status)."""
        self.saved = scoring.save_results(self.database, scorer, results, at(seconds))
        return [(each.study_instance_uid, each.status) for each in self.saved.studies]

    def score(self, probability, seconds=0):
        """Score everything that waits."""
        return self.save(self.hold(seconds=seconds), probability, seconds=seconds)

    def rescore(self, seconds, today=None, by="anna", study="1.1"):
        """Queue the study again; *today* is what its files say now, by row id."""
        rescoring.rescore_study(self.database, self.id(study), today or {}, at(seconds), by)

    def complete(self, seconds):
        patience = Patience(quiet=10, limit=600)
        return progress.complete_studies(self.database, at(seconds), patience)

    def free_dead(self, *dead, blame, seconds=0):
        freed = scoring.free_views_of_dead(
            self.database, lambda name: name in dead, at(seconds), blame=blame
        )
        return freed.views

    def trail(self, kind):
        """Return the entries of one kind of the audit trail."""
        return list(audit.entries(self.database, audit.Wanted(kind=kind)))

    def id(self, study="1.1"):
        return queries.find_study(self.database, study)

    def detail(self, study="1.1", seconds=0):
        return queries.show_study(self.database, self.id(study), at(seconds))

    def row(self, study="1.1"):
        return self.detail(study).row

    def worklist(self):
        return [row.study_instance_uid for row in queries.worklist(self.database)]

    def states(self, study="1.1"):
        return [entry.state for entry in self.detail(study).instances]

    def kinds(self, study="1.1"):
        return [line.kind for line in self.detail(study).history]

    def sql(self, query):
        with self.database.reading() as connection:
            return connection.execute(text(query)).all()
