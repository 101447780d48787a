"""A daemon's database and spool, filled as receiver and scorer fill them: no network is needed."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import numpy as np

from tests.support import studies
from triage.core.selection import Rules
from triage.core.study import Patience
from triage.dicom import radiograph
from triage.dicom.header import read_file_header
from triage.model import cam
from triage.pipeline.judge import judge
from triage.store import intake, progress, queries, schema, scoring
from triage.store.database import Database
from triage.store.spool import Spool

HOT = np.array([[0, 0, 0], [0, 0, 6], [0, 0, -2]], np.float32)  # right of the middle
MILD = np.array([[2, 0, 0], [0, 0, 0], [0, 0, 0]], np.float32)  # at the top on the left


def coarse(cells, side=96, resize="squeeze"):
    """Return a map as the scorer stores it."""
    return cam.pack(cells, side, resize)


class ReadingRoom:
    """What a daemon has received and scored, a minute ago."""

    def __init__(self, url, spool):
        self.database = Database(url)
        schema.upgrade(self.database)
        self.spool = Spool(spool, 0)
        self.spool.prepare()
        self.now = datetime.now(UTC) - timedelta(minutes=1)
        self.files = {}  # by SOP Instance UID

    def receive(self, study, pixels, number=1, *, sop=None, **header):
        """File an image; *header* is of `studies.make`, or attributes. Return its UID."""
        known = {key: header.pop(key) for key in ("study_type", "side") if key in header}
        made = studies.make(study, pixels, number, **known)
        for keyword, value in header.items():
            setattr(made, keyword, value)
        return self.file(made, sop=sop)

    def file(self, made, *, sop=None):
        """File an object as it is; *sop* is what its sender calls its UID."""
        temporary = self.spool.directory / "incoming" / "made.dcm"
        radiograph.save(made, temporary)
        digest = sha256(temporary.read_bytes()).hexdigest()
        path = temporary.rename(self.spool.path(digest))
        received = judge(read_file_header(path), Rules())
        uid = sop or received.sop_instance_uid
        received = replace(received, digest=digest, sop_instance_uid=uid)
        intake.file_instance(self.database, received, self.now)
        self.files[uid] = path
        return uid

    def score(self, *probabilities, maps=None):
        """Score what waits, in the order in which it came."""
        work = scoring.hold_views(self.database, "test", 16, lambda: self.now)
        maps = maps or [coarse(HOT)] * len(work)
        results = [
            scoring.Result(work=item, probability=p, threshold=0.5, model="net 1", map=one)
            for item, p, one in zip(work, probabilities, maps, strict=True)
        ]
        scoring.save_results(self.database, "test", results, self.now)

    def fail(self, reason):
        """Have what waits fail for good."""
        work = scoring.hold_views(self.database, "test", 16, lambda: self.now)
        results = [scoring.Result(work=item, reason=reason, final=True) for item in work]
        scoring.save_results(self.database, "test", results, self.now)

    def complete(self):
        """Let the silence pass that completes a study."""
        later = self.now + timedelta(seconds=30)
        progress.complete_studies(self.database, later, Patience(quiet=10, limit=600))

    def id(self, study):
        return queries.find_study(self.database, studies.study_uid(study))

    def detail(self, study):
        return queries.show_study(self.database, self.id(study), datetime.now(UTC))
