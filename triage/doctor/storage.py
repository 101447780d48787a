"""Database and spool checked: reachable, writable, private, and how full the queue is."""

import shutil
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from triage.doctor.findings import Finding, Status
from triage.errors import SpoolReadOnly, TriageError
from triage.settings import Settings
from triage.store import guard, queries, rights, schema
from triage.store.database import Database
from triage.store.spool import Spool

STUCK = 60  # seconds that a view may wait for a scorer before it is worth a word


def check_database(settings: Settings) -> Finding:
    database = Database(settings.database.url)
    schema.require_latest(database)
    schema.try_writing(database)
    if differences := schema.differences(database):
        raise TriageError(f"the schema differs: {'; '.join(differences)}")
    waiting = queries.count_on_worklist(database)
    return Finding(
        check="database",
        status=Status.OK,
        message=f"{database.name}, schema {schema.latest()}, {waiting} studies on the worklist",
    )


def check_spool(settings: Settings) -> Finding:
    spool = Spool(settings.spool.directory, settings.spool.min_free)
    if not spool.directory.is_dir():
        return Finding(
            check="spool",
            status=Status.WARNING,
            message=f"{spool.directory} does not exist yet",
            action="triage serve makes it; check spool.directory if it should be there",
        )
    try:
        spool.try_writing()
    except SpoolReadOnly as error:
        folders = (spool.directory, *spool.directory.parents)
        mount = next(folder for folder in folders if folder.is_mount())
        return Finding(
            check="spool",
            status=Status.FAILED,
            message=str(error),
            action=f"{mount} is mounted read-only: see in the kernel's log whether its disk has "
            f"failed; if it has not, mount -o remount,rw {mount}, and correct /etc/fstab if it "
            "says ro",
        )
    free, total = spool.free(), shutil.disk_usage(spool.directory).total
    status = Status.OK if free > settings.spool.low_water else Status.WARNING
    return Finding(
        check="spool",
        status=status if free > settings.spool.min_free else Status.FAILED,
        message=f"{spool.directory}: {free / 1e9:.1f} of {total / 1e9:.1f} GB free, "
        f"{settings.spool.min_free / 1e9:.1f} GB are kept free",
        action=None
        if status is Status.OK
        else "make room: below spool.low_water the images of read studies are deleted before "
        "their time, and below spool.min_free nothing is taken",
    )


def check_rights(settings: Settings) -> Finding:
    """Patients' names and images are for the service's user alone."""
    spool = Spool(settings.spool.directory, settings.spool.min_free)
    places = [*Database(settings.database.url).files(), *spool.folders()]
    wide = rights.open_to_others(places)
    if wide:
        named = ", ".join(map(str, wide[:3])) + (f" and {len(wide) - 3} more" if wide[3:] else "")
        return Finding(
            check="rights",
            status=Status.WARNING,
            message=f"others than their owner may use {named}",
            action="restart the daemon, which closes what its user owns; what is another user's, "
            "give to the service's user first: chown -R triage:triage "
            f"{' '.join(sorted({str(place) for place in _outermost(wide)}))}",
        )
    return Finding(
        check="rights",
        status=Status.OK,
        message="database and spool are closed to all but their owner",
    )


def _outermost(places: list[Path]) -> list[Path]:
    """Leave out what lies in another of the places."""
    return [place for place in places if not set(place.parents) & set(places)]


def check_audit(settings: Settings) -> Finding:
    """Whether the database itself still keeps everybody from changing the audit trail."""
    with closing(Database(settings.database.url)) as database:
        schema.require_latest(database)
        allowed = guard.unguarded(database)
    if allowed:
        return Finding(
            check="audit",
            status=Status.FAILED,
            message=f"{database.name} would let somebody change the audit trail "
            f"({', '.join(allowed)}): its triggers are gone or switched off",
            action="find out who did that, and compare the trail with that of a backup; then put "
            "the triggers back with the statements in OPERATIONS.md, The audit trail",
        )
    return Finding(check="audit", status=Status.OK, message="the audit trail only grows")


def check_queue(settings: Settings) -> Finding:
    database = Database(settings.database.url)
    schema.require_latest(database)
    pending, oldest = queries.pending_views(database, datetime.now(UTC))
    if pending and oldest > STUCK:
        return Finding(
            check="queue",
            status=Status.WARNING,
            message=f"{pending} views wait for a score, the first for {oldest:.0f} s",
            action="see that a daemon with the role score runs and has a model",
        )
    return Finding(check="queue", status=Status.OK, message=f"{pending} views wait for a score")
