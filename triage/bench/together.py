"""All of it: large objects in by C-STORE, probabilities on the worklist."""

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median

from triage.bench import objects
from triage.bench.sending import Answers, send
from triage.core.capacity import VIEWS_OF_A_STUDY
from triage.errors import TriageError
from triage.quickstart.daemon import Daemon

LONE_STUDIES = 5
STUDIES = 20  # at once
SENDERS = 4
SCORE_WAIT = 300.0  # seconds
LOOK_EVERY = 0.2  # seconds


@dataclass(frozen=True, kw_only=True)
class Together:
    """What the whole daemon did."""

    lone_milliseconds: float  # median: a view's answer to its score, one study at rest
    studies: int  # then, sent at once
    views: int
    seconds: float  # from the first request to the last score

    @property
    def per_second(self) -> float:
        """Views a second."""
        return self.views / self.seconds


def measure(daemon: Daemon, folder: Path) -> Together:
    """Send studies one at a time, and then many at once. Raises TriageError for a view unscored."""
    pixels = objects.large_pixels()
    delays: list[float] = []
    for _ in range(1 + LONE_STUDIES):  # what is only there once is paid by the first
        files = list(objects.write(pixels, folder / "objects", VIEWS_OF_A_STUDY))
        answers = send(files, daemon.port, 1)
        scores = _scores(daemon, answers)
        delays += [scores[uid] - at for uid, at in answers.at.items()]
        shutil.rmtree(folder / "objects")
    files = list(objects.write(pixels, folder / "objects", STUDIES * VIEWS_OF_A_STUDY))
    answers = send(files, daemon.port, SENDERS)
    scores = _scores(daemon, answers)
    shutil.rmtree(folder / "objects")
    return Together(
        lone_milliseconds=1000 * median(delays[VIEWS_OF_A_STUDY:]),
        studies=STUDIES,
        views=len(files),
        seconds=max(scores.values()) - answers.begun,
    )


def _scores(daemon: Daemon, answers: Answers) -> dict[str, float]:
    """Wait for the scores of what was sent; return when each was saved, as the daemon logged it."""
    until = time.monotonic() + SCORE_WAIT
    while time.monotonic() < until:
        daemon.check_alive()
        found = _logged(daemon, list(answers.at))
        if len(found) == len(answers.at):
            return found
        time.sleep(LOOK_EVERY)
    raise TriageError(
        f"{len(answers.at) - len(found)} of {len(answers.at)} views were not scored within "
        f"{SCORE_WAIT:.0f} s"
    )


def _logged(daemon: Daemon, uids: Sequence[str]) -> dict[str, float]:
    wanted, found = set(uids), {}
    for event in daemon.events():
        uid = event.get("sop_instance_uid")
        if uid in wanted and event["event"] == "view_not_scored":
            raise TriageError(f"the daemon did not score a view: {event['reason']}")
        if uid in wanted and event["event"] == "view_scored":
            found[uid] = datetime.fromisoformat(event["timestamp"]).timestamp()
    return found
