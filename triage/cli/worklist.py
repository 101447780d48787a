"""The reader's commands: worklist, claim, release, read, unread, rescore; `triage show` stands beside."""

import dataclasses
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated

import typer

from triage.cli.operator import operator
from triage.cli.output import JsonOption, print_json, print_table, settings_of, tell
from triage.core.documents import row_document
from triage.core.study import Finding
from triage.core.worklist import WorklistRow
from triage.errors import DatabaseUnavailable, NothingToScore, UsageError
from triage.store import queries, reading, schema
from triage.store.database import Database
from triage.store.rescoring import rescorable_study_ids
from triage.store.spool import Spool

STUDY = Annotated[str, typer.Argument(help="A Study Instance UID or an accession number.")]
BY = Annotated[str, typer.Option(help="The reader; by default the operating system's user.")]

WATCH_EVERY = 1.0  # seconds


def open_database(context: typer.Context) -> Database:
    """Open the database that the settings name; its schema must be this version's."""
    database = Database(settings_of(context).database.url)
    schema.require_latest(database)
    return database


def worklist(
    context: typer.Context,
    json: JsonOption = False,
    watch: Annotated[bool, typer.Option(help="Print it again at each change.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="The first N studies.")] = None,
) -> None:
    """Show the reading worklist, in reading order."""
    database = open_database(context)
    rows = queries.worklist(database, limit)
    _print_worklist(rows, json=json, one_line=watch)
    if watch:
        with suppress(KeyboardInterrupt):
            _watch(database, rows, limit, json=json)


def _watch(database: Database, rows: list[WorklistRow], limit: int | None, *, json: bool) -> None:
    """Print the worklist at each change, until the reader has enough."""
    while True:
        time.sleep(WATCH_EVERY)
        before = rows
        try:
            rows = queries.worklist(database, limit)
        except DatabaseUnavailable as error:  # a server that restarts ends no reading room's list
            tell(f"triage: {error}")
            continue
        if [_timeless(row) for row in rows] != [_timeless(row) for row in before]:
            _print_worklist(rows, json=json, one_line=True)


def claim(context: typer.Context, study: STUDY, by: BY = "") -> None:
    """Claim a study for reading; it stays in its place."""
    database = open_database(context)
    reader = _reader(by)
    reading.claim(
        database, queries.find_study(database, study), reader, datetime.now(UTC), operator()
    )
    tell(f"{study} is claimed by {reader}")


def release(context: typer.Context, study: STUDY, by: BY = "") -> None:
    """Give up a claim."""
    database = open_database(context)
    was_held = reading.release(
        database, queries.find_study(database, study), _reader(by), datetime.now(UTC), operator()
    )
    tell(f"{study} is released" if was_held else f"nobody held {study}; nothing has changed")


def read(
    context: typer.Context,
    study: STUDY,
    by: BY = "",
    finding: Annotated[Finding | None, typer.Option(help="Your own finding.")] = None,
) -> None:
    """Mark a study as read; it leaves the worklist."""
    database = open_database(context)
    found = queries.find_study(database, study)
    reading.mark_read(database, found, _reader(by), finding, datetime.now(UTC), operator())
    tell(f"{study} is read")


def unread(context: typer.Context, study: STUDY, by: BY = "") -> None:
    """Put a study that was marked as read by mistake back on the worklist."""
    database = open_database(context)
    found = queries.find_study(database, study)
    move = reading.mark_unread(database, found, _reader(by), datetime.now(UTC), operator())
    tell(
        f"{study} is back on the worklist" if move else f"{study} is not read; nothing has changed"
    )


def rescore(
    context: typer.Context,
    study: Annotated[str | None, typer.Argument(help="A UID or an accession number.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every study.")] = False,
) -> None:
    """Score a study again, by the settings of today; its score stays until the new one is there."""
    from triage.pipeline.judge import rules_of
    from triage.pipeline.rescore import Rescorer

    if (study is None) == (not all_):
        raise UsageError("give a STUDY or --all")
    settings = settings_of(context)
    database = open_database(context)
    found = (
        rescorable_study_ids(database) if study is None else [queries.find_study(database, study)]
    )
    rescorer = Rescorer(
        database,
        Spool(settings.spool.directory, settings.spool.min_free),
        rules_of(settings.study),
    )
    waiting = 0
    for study_id in found:  # a transaction each, so that none holds up receiving
        try:
            gone = rescorer.rescore(study_id, datetime.now(UTC), operator())
        except NothingToScore as error:
            if study is None:  # deleted since we asked
                continue
            raise NothingToScore(f"{study}: {error}") from error
        waiting += 1
        if study is not None and gone:
            tell(
                "not scored again, because their pixel data was deleted after the reading:\n  "
                + "\n  ".join(gone)
            )
    tell(f"{waiting} studies wait for their new score")


def _reader(by: str) -> str:
    return by.strip() or operator()


def _timeless(row: WorklistRow) -> WorklistRow:
    """Leave out what changes by itself."""
    return dataclasses.replace(row, waiting_seconds=0.0)


def _print_worklist(rows: list[WorklistRow], *, json: bool, one_line: bool) -> None:
    if json:
        print_json([row_document(row) for row in rows], one_line=one_line)
        return
    print_table(
        ["#", "priority", "label", "probability", "type", "views", "status", "accession",
         "patient", "waiting", "claimed by", "reason"],
        [
            [
                str(row.position),
                f"{row.priority}{' overdue' if row.overdue else ''}",
                row.label or "-",
                probability_text(row),
                row.study_type or "-",
                f"{row.views_scored}/{row.views}",
                row.status,
                row.accession_number or row.study_instance_uid,
                row.patient_name or row.patient_id or "-",
                duration(row.waiting_seconds),
                row.claimed_by or "",
                row.reason or "",
            ]
            for row in rows
        ],
    )  # fmt: skip
    if not rows:
        typer.echo("the worklist is empty")


def probability_text(row: WorklistRow) -> str:
    """Write a probability as people read it; a provisional one is marked."""
    if row.probability is None:
        return "-"
    return f"{row.probability:.3f}{' ?' if row.provisional else ''}"


def duration(seconds: float) -> str:
    """Write a wait as 59 s, 3 min 20 s or 5 h 07 min."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"
