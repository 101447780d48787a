"""What the daemon and the readers ask of an archive in a day, each question by its name."""

from collections.abc import Callable, Iterator
from functools import partial

from tests.support.archive import LONG_AGO, MAX_WAIT, Archive, study_uid
from tests.support.store import at
from triage.core.activation import CoarseMap
from triage.core.audit import AuditKind
from triage.core.study import Patience
from triage.store import (
    audit,
    figures,
    files,
    progress,
    queries,
    reading,
    retention,
    scoring,
    unscored,
)
from triage.store.activations import scored_views
from triage.store.images import find_image
from triage.store.load import load
from triage.store.rescoring import files_of, rescorable_study_ids

STEP = 1.6  # seconds between two turns, in which one more study becomes overdue
DEPARTMENT = 4000.0  # seconds: a small part of any archive
PATIENCE = Patience(quiet=0.5, limit=600)
Questions = Iterator[tuple[str, Callable[[], object]]]


def day(archive: Archive, number: int) -> Questions:
    """Return what the daemon and the readers ask for while a study comes and another is read."""
    database, store = archive.database, archive.store
    now, soon = at(STEP * number), at(STEP * number + STEP / 2)
    yield "SELECT * FROM worklist LIMIT 100", lambda: store.sql("SELECT * FROM worklist LIMIT 100")
    yield "worklist, 100 studies", lambda: queries.worklist(database, 100)
    yield "count of the worklist", lambda: queries.count_on_worklist(database)

    yield "how much waits", lambda: load(database, now)

    # What is there already has UIDs of the same root, so that the new ones fall in between.
    fresh = study_uid(archive.studies - number * (archive.studies // 200)) + f".{number}"
    file = partial(store.file, fresh, seconds=STEP * number)
    yield "insertion, first image of a study", lambda: file(f"{fresh}.1")
    yield "insertion, second image", lambda: file(f"{fresh}.2")
    yield "insertion, the same again", lambda: file(f"{fresh}.2")
    late = study_uid(archive.studies - archive.unread // 2 - number)
    yield "insertion, reopens a study", lambda: store.file(late, f"{late}.9", STEP * number)
    yield "completion, none is due", lambda: progress.complete_studies(database, now, PATIENCE)
    yield "completion, one is due", lambda: progress.complete_studies(database, soon, PATIENCE)
    yield "overdue tick", lambda: progress.mark_overdue(database, now, MAX_WAIT)
    yield "overdue tick, none is due", lambda: progress.mark_overdue(database, now, MAX_WAIT)
    yield from _scored(archive, number)
    yield from _read(archive, number)
    today = at(STEP * number - DEPARTMENT)
    yield "figures of the department", lambda: figures.department_facts(database, today)
    due = at(STEP * number - 7 * 86400)
    yield "files of a folder", lambda: files.known_files(database, f"{number:02x}", [], due)
    some = ["ab" * 32, f"{fresh}.1/a"]
    yield "files that were lost", lambda: files.lost_files(database, some, lambda _: None)
    yield (
        "retention, nothing is due",
        lambda: retention.mark_oldest(database, now, why="spool.keep", before=LONG_AGO),
    )
    yield (
        "retention, one study",
        lambda: retention.mark_oldest(database, now, why="spool.low_water"),
    )
    recent = audit.Wanted(since=now)
    yield "audit, the last entries", lambda: list(audit.entries(database, recent))
    aside = audit.Wanted(kind=AuditKind.QUARANTINED)
    yield "audit, of one kind", lambda: list(audit.entries(database, aside))


def seldom(archive: Archive) -> Questions:
    """Return what is asked for all that lies in the spool, and takes its time with that."""
    yield "studies with files", lambda: rescorable_study_ids(archive.database)


def _scored(archive: Archive, number: int) -> Questions:
    """A study is scored again, view by view."""
    database, store = archive.database, archive.store
    uid, now = study_uid(archive.studies - archive.unread // 3 - number), at(STEP * number)
    work: list[scoring.Work] = []

    def save() -> None:
        taken = work.pop()
        new = CoarseMap(height=7, width=7, cells=bytes(98), side=224, resize="squeeze")
        result = scoring.Result(
            work=taken, probability=number % 10 / 10, map=new, threshold=0.5, model="reference 1.0"
        )
        scoring.save_results(database, "s1", [result], now)

    yield "rescore, a study is queued", lambda: store.rescore(STEP * number, study=uid)
    yield "views waiting, none explained", lambda: queries.pending_views(database, now)
    yield "views held", lambda: work.extend(scoring.hold_views(database, "s1", 3, lambda: now))
    yield "holds renewed", lambda: scoring.renew_holds(database, "s1", lambda: now)
    yield "re-score, a view", save
    yield "re-score, another view", save
    yield "re-score, the last view", save
    yield (
        "views of dead scorers, none",
        lambda: scoring.free_views_of_dead(database, lambda _: False, now, scoring.Blame.NONE),
    )
    yield "views to explain", lambda: unscored.explain_new(database, "no_model: none", now)
    yield "views explained", lambda: unscored.explain_pending(database, "no_model: none", now)


def _read(archive: Archive, number: int) -> Questions:
    """A reader finds a study, looks at it, and reads it."""
    database, store = archive.database, archive.store
    name = f"A{archive.studies - archive.unread // 4 - number}"
    now = at(STEP * number)
    study = queries.find_study(database, name)
    yield "find by accession number", lambda: queries.find_study(database, name)
    yield "show a study", lambda: queries.show_study(database, study, now)
    yield "maps of a study", lambda: scored_views(database, study)
    image = queries.show_study(database, study, now).instances[0].sop_instance_uid
    yield "an image of a study", lambda: find_image(database, study, image)
    yield "files of a study", lambda: files_of(database, study)
    yield "audit, an entry", lambda: audit.note_access(database, study, AuditKind.SHOWN, "ada", now)
    yield "claim", lambda: reading.claim(database, study, "ada", now)
    yield "release", lambda: reading.release(database, study, "ada", now)
    yield "read", lambda: reading.mark_read(database, study, "ada", "normal", now)
    uid = store.row(name).study_instance_uid
    wanted = audit.Wanted(study_instance_uid=uid)
    yield "audit, of a study", lambda: list(audit.entries(database, wanted))
