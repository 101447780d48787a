"""Spool and database held against each other; see `triage.pipeline.reconcile`."""

from collections import Counter

from triage.doctor.findings import Finding, Status
from triage.pipeline.judge import rules_of
from triage.pipeline.reconcile import GRACE, Kind, Reconciler
from triage.settings import Settings
from triage.store import schema
from triage.store.database import Database
from triage.store.spool import FOLDERS, Spool

REPAIR = "run triage doctor --repair, or start the daemon, which does it too"
NAMED = 200  # studies whose images are lost that are named; the others when those are back


def check_files(settings: Settings, *, repair: bool) -> Finding:
    """Hold spool and database against each other; see `triage.pipeline.reconcile`."""
    database = Database(settings.database.url)
    schema.require_latest(database)
    spool = Spool(settings.spool.directory, settings.spool.min_free)
    reconciler = Reconciler(database, spool, rules_of(settings.study), settings.spool.allowance)
    counted: Counter[Kind] = Counter()
    studies: Counter[tuple[str, str]] = Counter()
    unlisted: list[str] = []
    for each in (each for name in FOLDERS for each in reconciler.folder(name, repair=repair)):
        counted[each.kind] += 1
        if each.kind is Kind.UNLISTED:
            unlisted.append(each.why)
        if each.lost is not None:
            studies[each.lost.accession_number or "-", each.lost.study_instance_uid] += 1
    parts = [f"{counted[kind]} {words}" for kind, words in _WORDS.items() if counted[kind]]
    if aside := spool.quarantined():
        parts.append(f"{aside} in {spool.directory / 'quarantine'} that are no received objects")
    if unlisted:
        parts.append(f"{len(unlisted)} folders cannot be listed, such as {unlisted[0]}")
    if foreign := spool.foreign():
        parts.append(f"{len(foreign)} that are not of Triage, such as {foreign[0]}")
    message = (
        f"files: {', '.join(parts)}" if parts else "every image has its file, and no other is there"
    )
    action = _action(counted, foreign=bool(foreign), aside=bool(aside))
    if not studies:
        trouble = Status.FAILED if unlisted else Status.WARNING
        status = Status.OK if action is None else trouble
        return Finding(check="files", status=status, message=message, action=action)
    again = "send these studies again from the PACS: what is there already changes nothing"
    return Finding(
        check="files",
        status=Status.FAILED,
        message=message + _named(studies),
        action="; then ".join(filter(None, [action, again])),
    )


def _action(counted: Counter[Kind], *, foreign: bool, aside: bool) -> str | None:
    """Say what to do besides what lost images ask for."""
    if counted[Kind.UNLISTED] or counted[Kind.UNREADABLE] or counted[Kind.FAILED]:
        return "see to the disk, and that the service's user may read the spool"
    if counted[Kind.UNFILED] or counted[Kind.LEFT_OVER]:
        return REPAIR
    if foreign:
        return "see who puts them there, and move them: the spool is for Triage alone"
    if aside:
        return "look what they are, and delete them; the log has the reason (file_quarantined)"
    return None


_WORDS = {
    Kind.MISSING: "missing",
    Kind.DAMAGED: "cut short or of another size",
    Kind.UNFILED: "without a row",
    Kind.ADOPTED: "had no row and were filed",
    Kind.UNREADABLE: "without a row that cannot be read",
    Kind.QUARANTINED: "set aside now",
    Kind.LEFT_OVER: "there that were deleted after the reading",
    Kind.DELETED_AGAIN: "had been deleted after the reading, and were deleted again",
    Kind.KEPT: "had been deleted after the reading, and are kept: their study is unread again",
    Kind.FAILED: "that could be neither filed nor set aside nor deleted",
    Kind.YOUNG: f"younger than {GRACE:.0f} s and not filed yet",
}


def _named(studies: Counter[tuple[str, str]]) -> str:
    """Name the studies whose images are lost, a line each, as a PACS finds them."""
    lines = [
        f"\n  accession number {accession}, study {uid}: {count}"
        for (accession, uid), count in sorted(studies.items())
    ]
    more = len(lines) - NAMED
    return "".join(lines[:NAMED]) + (f"\n  and {more} studies more" if more > 0 else "")
