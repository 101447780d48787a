"""The daemon, wired in one place: read it top to bottom and follow the data."""

import gc
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from triage import __version__, logs, systemd
from triage.core.tally import Tally
from triage.dicom.scp import Receiver
from triage.ending import Ending
from triage.errors import DatabaseUnavailable
from triage.pipeline.channel import ScorerState
from triage.pipeline.judge import rules_of
from triage.pipeline.progress import complete_due, mark_waiting
from triage.pipeline.receive import Intake
from triage.pipeline.reconcile import AtStart, Reconciler
from triage.pipeline.retain import Retention
from triage.pipeline.supervise import Supervisor
from triage.settings import Settings
from triage.store import rights, schema
from triage.store.database import Database
from triage.store.spool import Spool
from triage.web import binding
from triage.web.condition import Condition
from triage.web.process import WebProcess

log = logs.get(__name__)

COMPLETE_EVERY = 0.5  # seconds; what a final priority may be late
OVERDUE_EVERY = 5.0
SUPERVISE_EVERY = 1.0
WEB_EVERY = 1.0
RETAIN_EVERY = 2.0  # between `spool.low_water` and `spool.min_free` must be more than comes in it
CLOCK_EVERY = 1.0
CLOCK_SET = 1.0  # seconds between two looks by which the clock was set and did not just drift
STALLED = 30.0  # seconds that a turn may be late before its loop counts as stuck


class Role(StrEnum):
    """A part of the daemon; several daemons may share one database and one spool."""

    RECEIVE = "receive"
    SCORE = "score"
    WEB = "web"


class Daemon:
    """Receiver, scorer and ticks around one database and one spool."""

    def __init__(self, settings: Settings, roles: frozenset[Role]) -> None:
        self._settings = settings
        self._stopping = threading.Event()
        # Of the wall clock, before any loop is set by it; see `_watch_clock`.
        self._ahead = time.time() - time.monotonic()
        self._late: dict[str, float] = {}  # from when on each loop counts as stuck
        self._database = Database(settings.database.url)
        self._spool = Spool(settings.spool.directory, settings.spool.min_free)
        self._roles = roles
        self._tally = Tally()  # what all processes have counted, for the web process to tell
        self._scorer = self._make_scorer() if Role.SCORE in roles else None
        self._web = WebProcess(settings, self._tally) if Role.WEB in roles else None
        self._receiver = self._make_receiver() if Role.RECEIVE in roles else None
        self._retention = Retention(self._database, self._spool, settings.spool.allowance)
        self._reconciliation = self._make_reconciliation()
        self._scheduler = BackgroundScheduler(
            executors={"default": ThreadPoolExecutor(8)},
            # A tick that was missed is made up for by the next one; none piles up.
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )

    def _make_scorer(self) -> Supervisor:
        return Supervisor(self._settings, self._database, self._tally)

    def _make_receiver(self) -> Receiver:
        """PACS -> spool -> instance row -> success; then the scorer is woken."""
        intake = Intake(
            self._database,
            self._spool,
            rules=rules_of(self._settings.study),
            wake=self._wake,
            tally=self._tally,
        )
        return Receiver(self._settings.dicom, intake.keep)

    def _make_reconciliation(self) -> AtStart:
        """Spool <-> instance rows: what one of them lacks is brought in or named."""
        reconciler = Reconciler(
            self._database,
            self._spool,
            rules_of(self._settings.study),
            self._settings.spool.allowance,
        )
        return AtStart(reconciler, self._wake)

    def _wake(self) -> None:
        """Tell the scorer, where this daemon has one, that views wait."""
        if self._scorer:
            self._scorer.wake()

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT.

        Raises DatabaseUnavailable, SpoolUnavailable or ReceiverUnavailable when
        it cannot start.
        """
        started = time.monotonic()
        rights.write_privately()
        ending = Ending()
        self._open_store()
        if self._receiver:
            self._receiver.start()
        log.info(
            "ready",
            version=__version__,
            host=self._settings.dicom.host,
            port=self._receiver.port if self._receiver else None,
            ae_title=self._settings.dicom.ae_title,
            database=self._database.name,
            spool=str(self._spool.directory),
            seconds=round(time.monotonic() - started, 3),
        )
        systemd.notify("READY=1", "STATUS=receiving")
        # The scorer comes after the receiver: its model takes long to load.
        self._start_loops()
        # pynetdicom's server collects garbage twice a minute; what was imported and
        # wired never becomes any, and walking over it costs most of an idle core's percent.
        gc.freeze()
        ending.wait()
        self._stop()

    def _open_store(self) -> None:
        self._spool.prepare()
        self._close_to_others()
        if self._settings.database.auto_upgrade:
            before, after = schema.upgrade(self._database)
            if before != after:
                log.info("schema_upgraded", before=before, after=after)
        else:
            schema.require_latest(self._database)
        schema.try_writing(self._database)
        if self._web:
            binding.require_safe(self._settings.web, self._database)
            if reason := binding.doubt(self._settings.web):
                log.warning("web_in_doubt", reason=reason)

    def _close_to_others(self) -> None:
        """Narrow what an earlier start, a copy or a restore left open to others than our user."""
        closed, left = rights.narrow([*self._database.files(), *self._spool.folders()])
        for event, places in (("rights_narrowed", closed), ("rights_too_wide", left)):
            if places:
                log.warning(event, places=[str(place) for place in places[:3]], count=len(places))

    def _start_loops(self) -> None:
        self._every(
            COMPLETE_EVERY,
            "complete",
            lambda: complete_due(self._database, self._settings, self._tally),
        )
        self._every(OVERDUE_EVERY, "overdue", lambda: mark_waiting(self._database, self._settings))
        if self._scorer:
            self._every(SUPERVISE_EVERY, "supervise", self._scorer.tick)
            self._scorer.tick()
        if web := self._web:
            self._every(WEB_EVERY, "web", lambda: self._tend_web(web))
            self._tend_web(web)
        if interval := systemd.watchdog_interval():
            self._every(interval / 3, "watchdog", self._feed_watchdog)
        self._every(RETAIN_EVERY, "retain", self._retention.tick)
        self._scheduler.start()
        self._reconciliation.start()
        threading.Thread(target=self._watch_clock, name="clock", daemon=True).start()

    def _watch_clock(self) -> None:
        """Let the loops go on when somebody sets the clock.

        APScheduler knows the wall clock alone: set back by an hour, it would let
        them rest for an hour.
        """
        ahead = self._ahead
        while not self._stopping.wait(CLOCK_EVERY):
            before, ahead = ahead, time.time() - time.monotonic()
            if abs(ahead - before) < CLOCK_SET:
                continue
            log.warning("clock_set", seconds=round(ahead - before, 3))
            for job in self._scheduler.get_jobs():
                job.modify(next_run_time=datetime.now(UTC))

    def _every(self, seconds: float, name: str, work: Callable[[], None]) -> None:
        def turn() -> None:
            try:
                work()
            except DatabaseUnavailable as error:
                # The database is away, the loop is not: it goes on when the database is back.
                log.warning("database_unavailable", loop=name, reason=str(error))
            except Exception:
                log.exception("loop_failed", loop=name)
                return
            self._late[name] = time.monotonic() + seconds + STALLED

        self._late[name] = time.monotonic() + seconds + STALLED
        self._scheduler.add_job(turn, "interval", seconds=seconds, id=name)

    def _tend_web(self, web: WebProcess) -> None:
        """Keep the web process alive, and tell it how the daemon is."""
        web.tick(
            Condition(
                roles=tuple(sorted(self._roles)),
                receiver="receiving" if self._receiver else "off",
                scorer=self._scorer.state if self._scorer else ScorerState.OFF,
                model=self._scorer.model if self._scorer else None,
                stuck=tuple(self._stuck()),
                counted=self._tally.document(),
            )
        )

    def _stuck(self) -> list[str]:
        """Name the loops that are late."""
        now = time.monotonic()
        return [name for name, late in self._late.items() if name != "watchdog" and now > late]

    def _feed_watchdog(self) -> None:
        """Feed it while the receiver answers and every loop turns, however the scorer is."""
        if stuck := self._stuck():
            log.error("loops_stuck", loops=stuck)
            return
        if self._receiver and not self._receiver.answers():
            log.error("receiver_does_not_answer")
            return
        state = self._scorer.state if self._scorer else ScorerState.OFF
        systemd.notify("WATCHDOG=1", f"STATUS=receiving; scorer {state}")

    def _stop(self) -> None:
        """Accept no more, finish the objects in flight, leave the rest to the next start."""
        log.info("stopping")
        self._stopping.set()
        systemd.notify("STOPPING=1")
        if self._receiver:
            self._receiver.stop()
        self._reconciliation.stop()
        self._scheduler.shutdown(wait=True)
        if self._web:
            self._web.stop()
        if self._scorer:
            self._scorer.stop()
        self._database.close()
        log.info("stopped")
