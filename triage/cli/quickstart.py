"""`triage quickstart`: a daemon to try, and the worklist as it settles."""

import shlex
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from triage.cli.output import JsonOption, print_json, print_lines, print_table
from triage.core.documents import row_document
from triage.core.printable import printable
from triage.core.reasons import code_of
from triage.core.worklist import WorklistRow
from triage.ending import orderly

if TYPE_CHECKING:
    from triage.quickstart import Outcome

COLUMNS = (
    "position",
    "priority",
    "label",
    "probability",
    "state",
    "study type",
    "views",
    "accession",
    "description",
    "reason",
)


def quickstart(
    places: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[PATH]...",
            help="DICOM, PNG or JPEG files, or folders of them; by default made-up studies.",
        ),
    ] = None,
    model: Annotated[
        Path | None,
        typer.Option(help="The checkpoint; by default the reference model.", metavar="FILE"),
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the daemon running and its folder in place.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Start a throw-away daemon, send it studies by C-STORE, and print its worklist."""
    from triage.quickstart import run

    audience: Screen | Lines = (
        Screen() if sys.stdout.isatty() and not as_json else Lines(quiet=as_json)
    )
    with orderly(), audience.live:
        outcome = run(places or [], model=model, keep=keep, audience=audience)
    if as_json:
        print_json(_document(outcome))
    else:
        if isinstance(audience, Lines):
            print_table(
                COLUMNS, map(_cells, outcome.rows), title="\nThe worklist, in reading order"
            )
        for reason in sorted({row.reason for row in outcome.rows if row.reason}):
            print_lines(["", reason])
        typer.echo(_where_next(outcome))
    if not outcome.complete:
        raise typer.Exit(1)


class Screen:
    """A terminal: the table is drawn again in its place."""

    def __init__(self) -> None:
        self.live = Live(console=Console(), auto_refresh=False)

    def say(self, sentence: str) -> None:
        self.live.console.print(Text(printable(sentence, keep="\n")))

    def show(self, rows: Sequence[WorklistRow]) -> None:
        table = Table(*COLUMNS, box=None, pad_edge=False)
        for row in rows:
            table.add_row(*(Text(cell) for cell in _cells(row)))
        self.live.update(table, refresh=True)


class Lines:
    """A pipe: one line for each row that has changed; with JSON, on standard error."""

    live = nullcontext()

    def __init__(self, *, quiet: bool) -> None:
        self._to_stderr = quiet
        self._started = time.monotonic()
        self._shown: dict[str, str] = {}

    def say(self, sentence: str) -> None:
        typer.echo(printable(sentence, keep="\n"), err=self._to_stderr)

    def show(self, rows: Sequence[WorklistRow]) -> None:
        for row in rows:
            line = "  ".join(cell for cell in _cells(row) if cell)
            if self._shown.get(row.study_instance_uid) != line:
                self._shown[row.study_instance_uid] = line
                self.say(f"{time.monotonic() - self._started:6.1f} s  {line}")


def _cells(row: WorklistRow) -> tuple[str, ...]:
    state = "provisional" if row.provisional else "final"
    if row.label is None:
        state = f"{state}, not scored" if row.provisional else "not scored"
    cells = (
        str(row.position),
        row.priority,
        row.label or "",
        "" if row.probability is None else f"{row.probability:.3f}",
        state,
        row.study_type or "",
        f"{row.views_scored}/{row.views}",
        row.accession_number or "",
        row.study_description or "",
        code_of(row.reason),
    )
    return tuple(map(printable, cells))


def _document(outcome: "Outcome") -> dict[str, object]:
    daemon = outcome.daemon
    return {
        "worklist": [row_document(row) for row in outcome.rows],
        "skipped": [{"path": entry.path, "reason": entry.reason} for entry in outcome.skipped],
        "refused": [
            {"path": entry.source, "status": entry.status, "reason": entry.reason}
            for entry in outcome.refused
        ],
        "daemon": {
            "process": daemon.process.pid,
            "host": "127.0.0.1",
            "port": daemon.port,
            "page": daemon.page,
            "folder": daemon.folder,
            "database": daemon.database,
            "spool": daemon.spool,
            "log": daemon.log,
        }
        if outcome.kept
        else None,
    }


def _where_next(outcome: "Outcome") -> str:
    if not outcome.kept:
        return (
            "\nThe daemon is stopped and its folder is gone; `triage quickstart --keep` leaves both,\n"
            "and says how to look at its worklist in a browser and by the command line, by SQL, and\n"
            "with DCMTK."
        )
    daemon = outcome.daemon
    triage = f"triage --config {shlex.quote(str(daemon.config))}"
    query = "SELECT * FROM worklist ORDER BY position"
    return f"""
The daemon runs on: process {daemon.process.pid}, DICOM at 127.0.0.1:{daemon.port}, AE title TRIAGE.
  folder    {daemon.folder}
  database  {daemon.database}
  spool     {daemon.spool}
  log       {daemon.log}

Look further:
  {daemon.page} in a browser
  {triage} worklist
  {triage} show {outcome.rows[0].accession_number if outcome.rows else "STUDY"}
  sqlite3 -header -column {shlex.quote(str(daemon.database))} "{query}"
  storescu -aec TRIAGE 127.0.0.1 {daemon.port} FILE.dcm

Stop it, and remove what it leaves:
  kill {daemon.process.pid}
  rm -r {shlex.quote(str(daemon.folder))}"""
