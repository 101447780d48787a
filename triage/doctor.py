"""The site checked: every part on its own, with what to do where it fails."""

import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from triage.dicom import certificate, codec_samples, codecs, scu, tls
from triage.errors import CertificateWanted, NobodyListens, SendFailed, TriageError
from triage.pipeline.judge import rules_of
from triage.pipeline.reconcile import GRACE, Kind, Reconciler
from triage.settings import ModelSettings, Settings
from triage.store import queries, rights, schema
from triage.store.database import Database
from triage.store.spool import FOLDERS, Spool

if TYPE_CHECKING:
    from triage.model.scorer import Scorer
    from triage.model.stored import Difference

NAMED = 200  # studies whose images are lost that are named; the others when those are back
STUCK = 60  # seconds that a view may wait for a scorer before it is worth a word


class Status(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one check found."""

    check: str
    status: Status
    message: str
    action: str | None = None  # what to do; None where all is well


def examine(settings: Settings, *, repair: bool = False) -> Iterator[Finding]:
    """Run every check; one that fails does not keep the others from running.

    With *repair*, spool and database are brought together again where they have parted.
    """
    checks: dict[str, Callable[[Settings], Finding]] = {
        "database": _database,
        "spool": _spool,
        "files": partial(_files, repair=repair),
        "rights": _rights,
        "codecs": _codecs,
        "model": _model,
        "certificate": _certificate,
        "receiver": _receiver,
        "queue": _queue,
    }
    for name, check in checks.items():
        try:
            yield check(settings)
        except TriageError as error:
            yield Finding(
                check=name, status=Status.FAILED, message=str(error), action=_ACTIONS[name]
            )


_ACTIONS = {
    "database": "see that it runs, that its rights are right, and run triage db upgrade",
    "spool": "make room, or correct spool.directory and its owner",
    "files": "see that database and spool can be read and written",
    "rights": "see who owns the files, and run it as the service's user",
    "codecs": "install triage again, with its dependencies",
    "model": "import a model with triage model import, and name it in model.path",
    "certificate": "correct the setting that is named; until then the daemon does not start, or "
    "goes on with the files that it had",
    "receiver": "look into the daemon's log",
    "queue": "look into the daemon's log",
}


def _database(settings: Settings) -> Finding:
    database = Database(settings.database.url)
    schema.require_latest(database)
    with database.writing():  # rights to write, and nobody who never lets go
        pass
    if differences := schema.differences(database):
        raise TriageError(f"the schema differs: {'; '.join(differences)}")
    waiting = queries.count_on_worklist(database)
    return Finding(
        check="database",
        status=Status.OK,
        message=f"{database.name}, schema {schema.latest()}, {waiting} studies on the worklist",
    )


def _spool(settings: Settings) -> Finding:
    spool = Spool(settings.spool.directory, settings.spool.min_free)
    if not spool.directory.is_dir():
        return Finding(
            check="spool",
            status=Status.WARNING,
            message=f"{spool.directory} does not exist yet",
            action="triage serve makes it; check spool.directory if it should be there",
        )
    spool.try_writing()
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


def _files(settings: Settings, *, repair: bool) -> Finding:
    """Hold spool and database against each other; see `triage.pipeline.reconcile`."""
    database = Database(settings.database.url)
    schema.require_latest(database)
    spool = Spool(settings.spool.directory, settings.spool.min_free)
    reconciler = Reconciler(database, spool, rules_of(settings.study), settings.spool.allowance)
    counted: Counter[Kind] = Counter()
    studies: Counter[tuple[str, str]] = Counter()
    for each in (each for name in FOLDERS for each in reconciler.folder(name, repair=repair)):
        counted[each.kind] += 1
        if each.lost is not None:
            studies[each.lost.accession_number or "-", each.lost.study_instance_uid] += 1
    parts = [f"{counted[kind]} {words}" for kind, words in _WORDS.items() if counted[kind]]
    if aside := spool.quarantined():
        parts.append(f"{aside} in {spool.directory / 'quarantine'} that are no received objects")
    message = (
        f"files: {', '.join(parts)}" if parts else "every image has its file, and no other is there"
    )
    if studies:
        action = "send these studies again from the PACS: what is there already changes nothing"
        return Finding(
            check="files", status=Status.FAILED, message=message + _named(studies), action=action
        )
    if counted[Kind.UNREADABLE]:
        action = "see to the disk, and that the service's user may read the spool"
    elif counted[Kind.UNFILED] or counted[Kind.LEFT_OVER]:
        action = "run triage doctor --repair, or start the daemon, which does it too"
    elif aside:
        action = "look what they are, and delete them; the log has the reason (file_quarantined)"
    else:
        return Finding(check="files", status=Status.OK, message=message)
    return Finding(check="files", status=Status.WARNING, message=message, action=action)


_WORDS = {
    Kind.MISSING: "missing",
    Kind.DAMAGED: "cut short or of another size",
    Kind.UNFILED: "without a row",
    Kind.ADOPTED: "had no row and were filed",
    Kind.UNREADABLE: "without a row that cannot be read",
    Kind.QUARANTINED: "set aside now",
    Kind.LEFT_OVER: "there that were deleted after the reading",
    Kind.DELETED_AGAIN: "had been deleted after the reading, and were deleted again",
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


def _rights(settings: Settings) -> Finding:
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
            action="restart the daemon, which closes what its user owns; what is another user's: "
            f"chmod -R go= {' '.join(sorted({str(place) for place in _outermost(wide)}))}",
        )
    return Finding(
        check="rights",
        status=Status.OK,
        message="database and spool are closed to all but their owner",
    )


def _outermost(places: list[Path]) -> list[Path]:
    """Leave out what lies in another of the places."""
    return [place for place in places if not set(place.parents) & set(places)]


def _codecs(_settings: Settings) -> Finding:
    missing, broken = codecs.missing(), codec_samples.failures()
    if broken:  # it is offered, so such images are accepted and come out wrong
        return Finding(
            check="codecs",
            status=Status.FAILED,
            message="; ".join([*broken.values(), *missing.values()]),
            action="install what is named; until then do not trust images in these syntaxes",
        )
    if missing:
        return Finding(
            check="codecs",
            status=Status.WARNING,
            message="; ".join(missing.values()),
            action="install what is named; until then senders must send another syntax",
        )
    return Finding(
        check="codecs",
        status=Status.OK,
        message=f"a sample of each of {len(codecs.negotiable())} transfer syntaxes was decoded",
    )


def _model(settings: Settings) -> Finding:
    from triage.model.ensemble import read_cards

    read_cards(settings.model)  # the cheap half first: torch takes seconds
    from triage.model.scorer import open_scorer

    started = time.perf_counter()
    scorer = open_scorer(settings.model)
    seconds = time.perf_counter() - started
    shown = f"{scorer.identity} on {scorer.device} in {scorer.precision}"
    if not settings.model.paths:
        shown += ", the reference model of the package"
    pinned = "as model.sha256 asks" if any(settings.model.pins) else "not pinned by model.sha256"
    shown += f", SHA-256 {', '.join(scorer.sha256)} ({pinned})"
    differences, compared = _compare(scorer, settings.model)
    if differences:
        return Finding(
            check="model",
            status=Status.FAILED,
            message=f"{shown} computes otherwise than where it was made: "
            + "; ".join(map(str, differences)),
            action="see triage model check; try model.device=cpu, model.precision=float32, or the "
            "torch that it names",
        )
    as_stored = f", gives the {compared} stored outputs" if compared else ""
    return Finding(
        check="model",
        status=Status.OK,
        message=f"{shown}, loaded in {seconds:.1f} s{as_stored}",
    )


def _compare(scorer: "Scorer", settings: ModelSettings) -> "tuple[list[Difference], int]":
    """Compare each checkpoint with the outputs stored beside it; also say how many there are."""
    from triage.model import stored
    from triage.model.scorer import open_scorer

    differences: list[Difference] = []
    compared = 0
    for path in scorer.paths:
        document = stored.beside(path)
        if document is None:
            continue
        known = replace(stored.read(document), pictures=())
        member = scorer if len(scorer.paths) == 1 else open_scorer(settings.naming(path))
        found = stored.measure(member, stored.score_specimens(member))
        differences += stored.differences(known, found)
        compared += len(known.specimens)
    return differences, compared


def _certificate(settings: Settings) -> Finding:
    files = certificate.files_of(settings.dicom)
    if files is None:
        return Finding(
            check="certificate",
            status=Status.OK,
            message="no DICOM TLS: dicom.tls_certificate is empty",
        )
    now = datetime.now(UTC)
    found = certificate.read(files, now)
    tls.contexts(files)  # whether OpenSSL takes it too
    days = found.remaining(now).days
    shown = (
        f"{found.subject}, issued by {found.issuer}, valid until {found.not_after:%Y-%m-%d}; "
        f"{found.chain} in the file; senders "
        + ("must present one too" if files.client_ca else "need none")
    )
    if not found.not_before <= now < found.not_after:
        return Finding(
            check="certificate",
            status=Status.FAILED,
            message=f"it is not valid now (from {found.not_before:%Y-%m-%d}): {shown}",
            action="renew it and its key; the daemon reads new files by itself",
        )
    if found.remaining(now) < certificate.RENEW_BEFORE:
        return Finding(
            check="certificate",
            status=Status.WARNING,
            message=f"{days} days are left: {shown}",
            action="renew it and its key; the daemon reads new files by itself",
        )
    if found.doubts:
        return Finding(
            check="certificate",
            status=Status.WARNING,
            message=shown,
            action="; ".join(found.doubts),
        )
    return Finding(check="certificate", status=Status.OK, message=shown)


def _receiver(settings: Settings) -> Finding:
    host, port = settings.dicom.host, settings.dicom.port
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    where = f"{settings.dicom.ae_title} at {reached}:{port}"
    files = certificate.files_of(settings.dicom)
    try:
        scu.echo(
            host=reached,
            port=port,
            called_ae_title=settings.dicom.ae_title,
            context=tls.client_context(files) if files else None,
        )
    except CertificateWanted as error:  # a word of the port, and as it should be
        return Finding(check="receiver", status=Status.OK, message=str(error))
    except NobodyListens as error:
        return Finding(
            check="receiver",
            status=Status.FAILED,
            message=str(error),
            action="start the daemon (systemctl start triage, or triage serve)",
        )
    except SendFailed as error:  # it is there, and does not admit this command
        return Finding(
            check="receiver",
            status=Status.WARNING,
            message=str(error),
            action="add this machine to dicom.allow, if it is to be checked from here",
        )
    over = " over TLS" if files else ""
    return Finding(check="receiver", status=Status.OK, message=f"{where} answers C-ECHO{over}")


def _queue(settings: Settings) -> Finding:
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
