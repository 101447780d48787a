"""A daemon to try: SQLite, a throw-away folder, studies sent to it by real C-STORE.

The story: gather what is to be sent, start `triage serve` beside us, send, and
watch the worklist until nothing on it can change any more. The daemon is the
one that runs in a hospital; only its settings are for trying.
"""

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from triage.core.reasons import Code
from triage.core.study import StudyStatus
from triage.core.worklist import WorklistRow
from triage.dicom import scu
from triage.ending import uninterrupted
from triage.errors import DatabaseUnavailable, SendFailed, TriageError, UsageError
from triage.model.reference import packaged
from triage.quickstart.daemon import HOST, QUIET, Daemon, running
from triage.research import samples
from triage.research.samples import Gathered, Skipped
from triage.store import queries
from triage.store.database import Database

LOOK_EVERY = 0.2  # seconds
SETTLE_WAIT = 300.0  # seconds without any change on the worklist after which we stop watching


class Audience(Protocol):
    """Who watches; the command line has a terminal, a pipe and JSON."""

    def say(self, sentence: str) -> None:
        """Tell what happens."""

    def show(self, rows: Sequence[WorklistRow]) -> None:
        """Show the worklist, which has changed."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What the trial came to."""

    rows: list[WorklistRow]  # in reading order
    skipped: list[Skipped]
    refused: list[scu.Sent]  # answered with a failure
    daemon: Daemon
    kept: bool

    @property
    def complete(self) -> bool:
        """Whether everything that was named was sent and stored."""
        return not self.skipped and not self.refused


def run(places: Sequence[Path], *, model: Path | None, keep: bool, audience: Audience) -> Outcome:
    """Start a daemon, send it *places* (or the phantoms), and watch until its worklist settles.

    Without *model* it is the reference model that scores, if there is one.
    Raises UsageError for a place that does not exist, ModelUnusable, SendFailed,
    and `triage.quickstart.daemon.DaemonError` with the end of the daemon's log.
    """
    missing = [str(place) for place in places if not place.exists()]
    if missing:
        raise UsageError(f"there is no {', no '.join(missing)}")
    if model is None:
        model = packaged()
    _check_model(model, audience)
    with _folder(keep=keep) as folder:
        gathered = _gather(places, folder / "studies", audience)
        # The page is for whoever looks further.
        roles = ("receive", "score", "web") if keep else ("receive", "score")
        with running(folder, model, keep=keep, roles=roles) as daemon:
            audience.say(f"The daemon accepts associations at {HOST}:{daemon.port}.")
            refused = _send(gathered.files, daemon, audience)
            rows = _watch(daemon, audience)
    return Outcome(rows=rows, skipped=gathered.skipped, refused=refused, daemon=daemon, kept=keep)


def _check_model(model: Path | None, audience: Audience) -> None:
    """Refuse weights that the daemon could not score with, before anything is started."""
    if model is None:
        audience.say(
            "No model: nothing will be scored, because no reference model came with this package."
            "\nThe worklist stays in order of arrival. To see scores, make a checkpoint with "
            "`triage model import`\nand name it with `--model FILE`."
        )
        return
    from triage.model import checkpoint  # torch takes seconds, and only this needs it

    card, _ = checkpoint.load(model)
    audience.say(f"Model: {card.name} {card.version}, trained on {card.training_data.rstrip('.')}.")


def _gather(places: Sequence[Path], folder: Path, audience: Audience) -> Gathered:
    folder.mkdir()
    if places:
        gathered = samples.gather(places, folder)
    else:
        audience.say("Making eight phantom studies: no patient stands behind them.")
        gathered = samples.write_phantoms(folder)
    for skipped in gathered.skipped:
        audience.say(f"Left out: {skipped.path}: {skipped.reason}")
    if not gathered.files:
        named = ", ".join(str(place) for place in places)
        raise TriageError(f"there is nothing to send: no DICOM, PNG or JPEG file in {named}")
    return gathered


def _send(files: Sequence[Path], daemon: Daemon, audience: Audience) -> list[scu.Sent]:
    """Send *files* in one association; return what the daemon refused."""
    started = time.monotonic()
    try:
        sent = scu.send(files, host=HOST, port=daemon.port)
    except SendFailed as error:  # its log goes with its folder
        raise SendFailed(f"{error}\nthe daemon's last words:\n{daemon.tail()}") from error
    refused = [answer for answer in sent if not answer.stored]
    audience.say(
        f"Sent by C-STORE in {time.monotonic() - started:.1f} s: "
        f"{len(sent) - len(refused)} of {len(files)} images stored."
    )
    for answer in refused:
        audience.say(f"Refused: {answer.source}: status 0x{answer.status:04X} {answer.reason}")
    return refused


def _watch(daemon: Daemon, audience: Audience) -> list[WorklistRow]:
    """Show the worklist as it changes, until it settles; return its last state."""
    database = Database(f"sqlite:///{daemon.database}")
    seen: list[tuple[object, ...]] = []
    changed = time.monotonic()
    while True:
        daemon.check_alive()
        try:
            rows = queries.worklist(database)
        except DatabaseUnavailable:  # a moment's lock; SETTLE_WAIT bounds the patience
            rows = []
        state = [_state(row) for row in rows]
        if state and state != seen:
            seen, changed = state, time.monotonic()
            audience.show(rows)
        waited = time.monotonic() - changed
        if all(map(_settled, rows)) and waited > 2 * LOOK_EVERY and (rows or waited > 2 * QUIET):
            return rows
        if waited > SETTLE_WAIT:
            audience.say(f"Nothing has changed for {SETTLE_WAIT:.0f} s; see {daemon.log}")
            return rows
        time.sleep(LOOK_EVERY)


def _state(row: WorklistRow) -> tuple[object, ...]:
    """What makes a row worth showing again; its waiting time does not."""
    return (
        row.position,
        row.study_instance_uid,
        row.status,
        row.probability,
        row.reason,
        row.views,
    )


def _settled(row: WorklistRow) -> bool:
    """Say whether the row can change without a new image."""
    if row.status is StudyStatus.COMPLETE:
        return (row.reason or "").startswith(Code.NO_MODEL)
    return row.status is not StudyStatus.RECEIVING


@contextmanager
def _folder(*, keep: bool) -> Iterator[Path]:
    """Make the throw-away folder; it stays with *keep*, unless something failed."""
    folder = Path(tempfile.mkdtemp(prefix="triage-quickstart-"))
    try:
        yield folder
    except BaseException:
        keep = False
        raise
    finally:
        if not keep:
            with uninterrupted():
                shutil.rmtree(folder, ignore_errors=True)
