"""`triage serve`."""

from typing import Annotated

import typer

from triage import logs, priority
from triage.cli.output import settings_of
from triage.errors import UsageError


def serve(
    context: typer.Context,
    role: Annotated[
        str, typer.Option(help="The parts to run, separated by commas: receive, score, web.")
    ] = "receive,score,web",
) -> None:
    """Run the daemon: receive, score, keep the worklist in order, show it."""
    from triage.app import Daemon, Role

    logs.catch_uncaught()
    names = [name.strip() for name in role.split(",") if name.strip()]
    unknown = [name for name in names if name not in list(Role)]
    if unknown or not names:
        raise UsageError(f"--role: give one or more of {', '.join(Role)}; it is {role!r}")
    settings = settings_of(context)
    priority.go_first()
    Daemon(settings, frozenset(Role(name) for name in names)).run()
