"""What this machine carries, measured on it: receiving, decoding, scoring, and all of it together.

A throw-away daemon with the site's own settings of the model works in a folder beside the site's
spool, so that its disk is the one that is measured. Nothing of the site's is touched.
"""

import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from triage import __version__
from triage.bench import decoding, receiving, together
from triage.bench.decoding import Decoded
from triage.bench.receiving import Received
from triage.bench.together import Together
from triage.core.capacity import Capacity, Slower, capacity
from triage.ending import uninterrupted
from triage.errors import ModelUnusable, TriageError, UsageError
from triage.model.card import chosen_paths
from triage.model.cores import usable_cores
from triage.quickstart.daemon import Daemon, running
from triage.settings import Settings
from triage.store.scratch import scratch_schema

if TYPE_CHECKING:
    from triage.bench.scoring import Failed, Scored
    from triage.model.scorer import Scorer

NEEDED = 2_500_000_000  # bytes: what is sent, and what the daemon makes of it


@dataclass(kw_only=True)
class Report:
    """Everything that was measured; a part without a model stays empty."""

    machine: dict[str, Any]
    receiving: list[Received] = field(default_factory=list)
    decoding: list[Decoded] = field(default_factory=list)
    scoring: "list[Scored]" = field(default_factory=list)
    failed: "list[Failed]" = field(default_factory=list)  # engines
    together: Together | None = None
    capacity: Capacity | None = None
    without: str = ""  # why nothing was scored
    broken: str = ""  # why it ended before its last part


def run(
    settings: Settings,
    *,
    directory: Path | None = None,
    sqlite: bool = False,
    say: Callable[[str], None],
) -> Report:
    """Measure this machine; *say* hears of each part as it begins.

    *directory* is where, by default beside the spool. Where the site's database is PostgreSQL
    it is measured too, in a schema of its own, unless *sqlite* is asked for. Raises UsageError
    for a place that will not do, ModelUnusable and what else a model cannot be opened for that
    the settings name, all of them before anything is measured, and TriageError when the first
    part fails; what fails after that ends it, and what was measured until then is returned.
    """
    url = "" if sqlite or settings.database.url.startswith("sqlite") else settings.database.url
    beside = directory or settings.spool.directory.absolute().parent
    scorer, without = _scorer(settings)
    with _folder(beside) as folder:
        report = Report(machine=_machine(folder, "PostgreSQL" if url else "SQLite"))
        report.without = without
        say(f"Receiving, into {beside} ...")
        with _daemon(folder / "receiving", settings, url, ["receive"]) as daemon:
            report.receiving += receiving.measure(daemon, folder)
        try:
            say("Decoding ...")
            report.decoding += decoding.measure(folder / "decoding", *_picture_for(scorer))
            if scorer is None:
                return report
            say("Scoring ...")
            _score(report, settings, scorer)
            say("All of it ...")
            with _daemon(folder / "together", settings, url, ["receive", "score"]) as daemon:
                report.together = together.measure(daemon, folder)
            report.capacity = _capacity(report, report.together)
        except TriageError as error:
            report.broken = str(error)
    return report


def _score(report: Report, settings: Settings, scorer: "Scorer") -> None:
    from triage.bench import scoring

    for one in scoring.measure(settings.model, scorer):
        if isinstance(one, scoring.Failed):
            report.failed.append(one)
        else:
            report.scoring.append(one)


def _picture_for(scorer: "Scorer | None") -> tuple[int, str]:
    """Return the side and the way of resizing that the network wants, or MURA's."""
    if scorer is None:
        return 224, "squeeze"
    preprocessing = scorer.ensemble.preprocessing
    return preprocessing.size, preprocessing.resize


def _capacity(report: Report, whole: Together) -> Capacity:
    rates = {
        "receiving": [one.per_second for one in report.receiving if one.objects == "large"],
        # What is sent is native, the first in the table.
        "decoding": [one.per_second for one in report.decoding[:1] if one.per_second],
        "scoring": [one.per_second for one in report.scoring if one.chosen],
    }
    return capacity(
        whole.per_second,
        {stage: max(found) for stage, found in rates.items() if found},
        sent=f"{report.decoding[0].bytes / 1e6:.0f} MB, uncompressed",
        slowest=min(
            (
                Slower(name=one.name, per_second=one.per_second)
                for one in report.decoding
                if one.per_second
            ),
            key=lambda one: one.per_second,
            default=None,
        ),
    )


def _scorer(settings: Settings) -> "tuple[Scorer | None, str]":
    """Load the site's model; where it has none, say why in a sentence."""
    try:
        chosen_paths(settings.model)
    except ModelUnusable as error:
        return None, str(error)
    from triage.model.scorer import open_scorer

    return open_scorer(settings.model), ""


@contextmanager
def _daemon(folder: Path, settings: Settings, url: str, roles: list[str]) -> Iterator[Daemon]:
    """Run a throw-away daemon with the site's model, PDU size and database server."""
    folder.mkdir()
    model = None
    more: dict[str, dict[str, Any]] = {"dicom": {"max_pdu_size": settings.dicom.max_pdu_size}}
    if "score" in roles:
        paths = [str(path.absolute()) for path in chosen_paths(settings.model)]
        more["model"] = {**settings.model.model_dump(mode="json"), "path": paths}
        model = Path(paths[0])
    with scratch_schema(url) if url else nullcontext("") as scratch:
        if scratch:
            more["database"] = {"url": scratch}
        with running(folder, model, roles=roles, more=more) as daemon:
            yield daemon


@contextmanager
def _folder(beside: Path) -> Iterator[Path]:
    """Make the throw-away folder; it is gone afterwards, whatever happens."""
    try:
        free = shutil.disk_usage(beside).free
        if free < NEEDED:
            raise UsageError(
                f"{beside}: has {free / 1e9:.1f} GB free, and {NEEDED / 1e9:.1f} GB are needed for a "
                "while; name another place with --directory"
            )
        folder = Path(tempfile.mkdtemp(prefix="triage-bench-", dir=beside))
    except OSError as error:
        raise UsageError(
            f"{beside}: {error.strerror}; name another place with --directory"
        ) from error
    try:
        yield folder
    finally:
        with uninterrupted():
            shutil.rmtree(folder, ignore_errors=True)


def _machine(folder: Path, database: str) -> dict[str, Any]:
    return {
        "cores": usable_cores(),
        "processor": _processor(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": platform.platform(),
        "python": platform.python_version(),
        "triage": __version__,
        "database": database,
        "file_system": _file_system(folder),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _file_system(folder: Path) -> str:
    """Name the type of file system that *folder* is on."""
    best, found = "", ""
    for line in Path("/proc/self/mounts").read_text("utf-8", "replace").splitlines():
        _, place, kind = line.split()[:3]
        if folder.is_relative_to(place) and len(place) >= len(best):
            best, found = place, kind
    return found
