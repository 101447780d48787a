"""The scoring process: views out of the queue, probabilities into it.

It is a process of its own because the network keeps the cores busy and takes
much memory; the receiver must feel neither. Decoding happens in processes of
its own again (`triage.pipeline.decoders`). It talks with its parent over a
socket (`triage.pipeline.channel`).
"""

import contextlib
import json
import os
import signal
import socket
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from triage import logs, priority
from triage.core.reasons import code_of
from triage.core.tally import NOT_SCORED, PROBABILITY, SCORE_WAIT, SCORED, Tally
from triage.errors import DatabaseUnavailable, ScorerBroken
from triage.pipeline.channel import Channel, Orphaned, ScorerState
from triage.pipeline.decoders import Decoders, decoders_here
from triage.pipeline.holder import holder, is_dead
from triage.pipeline.loading import Loader
from triage.pipeline.moves import tell_moves
from triage.pipeline.views import Source, Views
from triage.settings import Settings
from triage.store.database import Database
from triage.store.scoring import (
    RENEW_EVERY,
    Blame,
    Result,
    Saved,
    Work,
    free_views_of_dead,
    hold_views,
    renew_holds,
    save_results,
)
from triage.store.spool import Spool

log = logs.get(__name__)

POLL = 1.0  # seconds between looks at the queue when nobody wakes us; another daemon may feed it
# Views that are held at once, or two for each decoder, or two of the network's batches.
BATCH = 16
SLOW = 64  # slow views that are held besides: more than hang unless a whole disk does
FINISH = 5.0  # seconds to end what is on its way when the parent is gone; it waits for 10


BROKEN = os.EX_TEMPFAIL  # exit status: the network no longer works, whatever the view


class ScoringProcess:
    """The loop of the process, from a missing model to a drained queue."""

    def __init__(self, settings: Settings, channel: Channel, tally: Tally) -> None:
        self._settings = settings
        self._channel = channel
        self._tally = tally
        self._database = Database(settings.database.url)
        self._spool = Spool(settings.spool.directory, settings.spool.min_free)
        self._name = holder(os.getpid())
        self._busy = False
        self._decoders = Decoders(decoders_here(), beat=self._beat)
        # The decoders start beside torch, which takes longer.
        self._model = Loader(settings.model, self._database, channel, self._decoders.tend)
        threading.Thread(target=self._keep_holds, name="holds", daemon=True).start()

    def run(self) -> None:
        """Serve until the parent is gone."""
        self._free_what_dead_ones_held()
        scorer = self._model.load()
        log.info(
            "scorer_ready",
            model=scorer.identity,
            sha256=scorer.sha256,
            backend=scorer.backend,
            device=scorer.device,
            precision=scorer.precision,
            because=scorer.choice.why,
            not_chosen=list(scorer.choice.others),
            threads=scorer.threads,
            batch=scorer.batch,
        )
        self._channel.model = {
            "name": scorer.identity,
            "sha256": " ".join(scorer.sha256),
            "backend": scorer.backend,
            "device": scorer.device,
            "precision": scorer.precision,
        }
        views: Views[Work] = Views(scorer, self._decoders)
        try:
            while True:
                self._channel.tell(ScorerState.READY)
                self._model.look(scorer.identity)
                try:
                    busy = self._turn(views)
                except DatabaseUnavailable as error:
                    log.warning("database_unavailable", reason=str(error))
                    busy = False
                self._channel.wait(0 if busy else POLL)
        except Orphaned:
            self._finish(views)
            raise

    def _turn(self, views: Views[Work]) -> bool:
        """Take views in, wait for some to be through, save them; say whether there were any."""
        most = max(BATCH, 2 * views.batch, 2 * self._decoders.count)
        room = most + min(self._decoders.slow, SLOW) - len(views)
        if room > 0 and self._decoders.ready():  # else the log says why; the views wait
            for work in hold_views(self._database, self._name, room, _now):
                path = self._spool.path(work.digest)
                views.put(work, Source(study_type=work.study_type, path=path, frame=work.frame))
        self._busy = bool(views)
        if not views:
            return False
        started = time.perf_counter()
        results = _through(views, self._channel.fileno())
        if not results:
            return True
        saved = self._save(results)
        self._busy = bool(views)
        log.info(
            "views_scored",
            scored=sum(result.probability is not None for result in saved.results),
            failed=sum(result.probability is None for result in saved.results),
            seconds=round(time.perf_counter() - started, 4),
        )
        return True

    def _finish(self, views: Views[Work]) -> None:
        """Save what is on its way, so that nobody has to begin it again; not for long."""
        until = time.monotonic() + FINISH
        while views and time.monotonic() < until:
            self._save(_through(views))

    def _beat(self) -> None:
        """Say that we live while decoders work; that the parent is gone is noticed elsewhere."""
        with contextlib.suppress(Orphaned):
            self._channel.tell(ScorerState.READY)

    def _keep_holds(self) -> None:
        """Renew what this process holds, beside the batch in hand, as long as it has a parent.

        The parent ends a process that hangs; without one, what is on its way is
        saved before the hold is over, or somebody else does it.
        """
        parent = os.getppid()
        while os.getppid() == parent:
            time.sleep(RENEW_EVERY.total_seconds())
            if self._busy:
                with contextlib.suppress(DatabaseUnavailable):
                    renew_holds(self._database, self._name, _now)

    def _save(self, results: list[Result]) -> Saved:
        """Store the results; a database that is away costs a wait, not the work."""
        while True:
            try:
                saved = save_results(self._database, self._name, results, _now())
            except DatabaseUnavailable as error:
                log.warning("database_unavailable", reason=str(error))
                self._channel.tell(ScorerState.READY)
                self._channel.wait(POLL)
            else:
                _tell(saved)
                _count(saved, self._tally)
                return saved

    def _free_what_dead_ones_held(self) -> None:
        try:
            freed = free_views_of_dead(self._database, is_dead, _now(), Blame.NONE)
            tell_moves(freed.moves)
        except DatabaseUnavailable as error:  # their time runs out by itself
            log.warning("database_unavailable", reason=str(error))


def _now() -> datetime:
    return datetime.now(UTC)


def _tell(saved: Saved) -> None:
    """Log each view and each study that was saved."""
    for result in saved.results:
        of_view = {
            "study_instance_uid": result.work.study_instance_uid,
            "sop_instance_uid": result.work.sop_instance_uid,
            "frame": result.work.frame,
        }
        if result.probability is not None:
            score = {"probability": result.probability, "model": result.model}
            log.info("view_scored", **of_view, **score)
        else:
            # The code alone: the sentence may quote what a library stumbled on in the file.
            code = code_of(result.reason)
            log.info("view_not_scored", **of_view, reason=code, final=result.final)
    for study in saved.studies:
        log.info("study_assessed", study_instance_uid=study.study_instance_uid, status=study.status)
    tell_moves(study.move for study in saved.studies if study.move)


def _count(saved: Saved, tally: Tally) -> None:
    """Count what was saved."""
    now = _now()
    for result in saved.results:
        if result.probability is None:
            tally.count(NOT_SCORED, code_of(result.reason))
            continue
        tally.count(SCORED)
        tally.observe(PROBABILITY, result.probability, result.work.study_type or "unknown")
        if result.work.new_since:
            tally.observe(SCORE_WAIT, (now - result.work.new_since).total_seconds())


def _through(views: Views[Work], wake: int | None = None) -> list[Result]:
    return [Result(work=work, **vars(verdict)) for work, verdict in views.take(POLL, wake)]


def main() -> None:
    """Run as ``python -m triage.pipeline.score FD``: FD is the connection to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when we end
    priority.stand_back()
    with contextlib.suppress(OSError):  # where memory ends, this process ends, not the receiver
        Path("/proc/self/oom_score_adj").write_text("500")
    connection = socket.socket(fileno=int(sys.argv[1]))
    first, _, _ = connection.makefile("rb").readline().partition(b"\n")
    request = json.loads(first)
    logs.configure(level=request["log_level"])
    logs.catch_uncaught()
    settings = Settings.model_validate(request["settings"])
    try:
        tally = Tally()
        ScoringProcess(settings, Channel(connection, tally), tally).run()
    except Orphaned:
        # There is nothing left to save, and torch takes a second to fold itself up.
        sys.stderr.flush()
        os._exit(0)
    except ScorerBroken as error:
        log.error("scorer_broken", reason=str(error))
        sys.exit(BROKEN)


if __name__ == "__main__":
    main()
