"""`triage audit`: who brought, saw, read or removed what, and when."""

import dataclasses
from datetime import UTC, datetime
from typing import Annotated

import typer

from triage.cli.output import JsonOption, print_json_array, print_lines
from triage.cli.worklist import open_database
from triage.core.audit import AuditEntry, AuditKind
from triage.core.documents import timestamp
from triage.errors import UsageError
from triage.store import audit as trail
from triage.store import queries

TIME = "2026-03-01 or 2026-03-01T08:00, in UTC unless it says otherwise (+01:00)."


def audit(
    context: typer.Context,
    json: JsonOption = False,
    study: Annotated[
        str | None,
        typer.Option(metavar="STUDY", help="Of one: a Study Instance UID or an accession number."),
    ] = None,
    since: Annotated[str, typer.Option(metavar="TIME", help=f"From then on: {TIME}")] = "",
    until: Annotated[str, typer.Option(metavar="TIME", help="Up to then, exclusive.")] = "",
    kind: Annotated[AuditKind | None, typer.Option(help="Of one kind.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="The first N entries.")] = None,
) -> None:
    """Show the audit trail, oldest first."""
    wanted = trail.Wanted(
        since=_moment("--since", since), until=_moment("--until", until), kind=kind
    )
    database = open_database(context)
    if study is not None:
        uid = queries.study_uid(database, queries.find_study(database, study))
        wanted = dataclasses.replace(wanted, study_instance_uid=uid)
    found = trail.entries(database, wanted, limit)
    if json:
        print_json_array(dataclasses.asdict(entry) for entry in found)
        return
    print_lines(_line(entry) for entry in found)


def _moment(option: str, written: str) -> datetime | None:
    if not written:
        return None
    try:
        moment = datetime.fromisoformat(written)
    except ValueError as error:
        raise UsageError(f"{option}: give a time like {TIME} It is {written!r}") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _line(entry: AuditEntry) -> str:
    about = [entry.study_instance_uid, entry.accession_number, entry.sop_instance_uid, entry.detail]
    shown = "  ".join(text or "-" for text in about)
    return f"{timestamp(entry.at)}  {entry.kind:<14}  {entry.actor}  {shown}"
