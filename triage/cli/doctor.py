"""`triage doctor`."""

import dataclasses
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from triage.cli.output import JsonOption, print_json, settings_of
from triage.core.printable import printable
from triage.store import rights

_COLOURS = {"ok": "green", "warning": "yellow", "failed": "red"}


def doctor(
    context: typer.Context,
    json: JsonOption = False,
    repair: Annotated[
        bool,
        typer.Option("--repair", help="Bring spool and database together where they have parted."),
    ] = False,
) -> None:
    """Check this site: database, spool, files, rights, audit, codecs, model, certificate, receiver, queue, web.

    Exit 1 if any failed.
    """
    from triage.doctor import Finding, Status, examine

    rights.write_privately()
    findings: list[Finding] = []
    console = Console(soft_wrap=True, highlight=False)
    for finding in examine(settings_of(context), repair=repair):
        findings.append(finding)
        if json:
            continue
        console.print(
            Text(f"{finding.status:>8}", style=_COLOURS[finding.status]),
            Text(printable(f"{finding.check}: {finding.message}", keep="\n")),
        )
        if finding.action:
            console.print(Text(printable(f"{'':>8} → {finding.action}", keep="\n")))
    if json:
        print_json([dataclasses.asdict(finding) for finding in findings])
    if any(finding.status is Status.FAILED for finding in findings):
        raise typer.Exit(1)
