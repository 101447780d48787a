"""The site checked: every part on its own, with what to do where it fails."""

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from triage.dicom import codec_samples, codecs, scu
from triage.errors import NobodyListens, SendFailed, TriageError
from triage.settings import ModelSettings, Settings
from triage.store import queries, rights, schema
from triage.store.database import Database
from triage.store.spool import Spool

if TYPE_CHECKING:
    from triage.model.scorer import Scorer
    from triage.model.stored import Difference

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


def examine(settings: Settings) -> Iterator[Finding]:
    """Run every check; one that fails does not keep the others from running."""
    checks: dict[str, Callable[[Settings], Finding]] = {
        "database": _database,
        "spool": _spool,
        "rights": _rights,
        "codecs": _codecs,
        "model": _model,
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
    "rights": "see who owns the files, and run it as the service's user",
    "codecs": "install triage again, with its dependencies",
    "model": "import a model with triage model import, and name it in model.path",
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
    status = Status.OK if free > 2 * settings.spool.min_free else Status.WARNING
    return Finding(
        check="spool",
        status=status if free > settings.spool.min_free else Status.FAILED,
        message=f"{spool.directory}: {free / 1e9:.1f} of {total / 1e9:.1f} GB free, "
        f"{settings.spool.min_free / 1e9:.1f} GB are kept free",
        action=None if status is Status.OK else "make room: below spool.min_free nothing is taken",
    )


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


def _receiver(settings: Settings) -> Finding:
    host, port = settings.dicom.host, settings.dicom.port
    reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  where it listens
    where = f"{settings.dicom.ae_title} at {reached}:{port}"
    try:
        scu.echo(host=reached, port=port, called_ae_title=settings.dicom.ae_title)
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
    return Finding(check="receiver", status=Status.OK, message=f"{where} answers C-ECHO")


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
