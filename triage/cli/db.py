"""`triage db`: the schema."""

import typer

from triage.cli.output import JsonOption, print_json, settings_of
from triage.errors import DatabaseUnavailable
from triage.store import rights, schema
from triage.store.database import Database

app = typer.Typer(help="The database's schema.", no_args_is_help=True)


@app.command()
def upgrade(context: typer.Context) -> None:
    """Bring the schema to the version that this triage needs."""
    rights.write_privately()
    before, after = schema.upgrade(Database(settings_of(context).database.url))
    if before == after:
        typer.echo(f"the schema is up to date: {after}", err=True)
    else:
        typer.echo(f"the schema went from {before or 'empty'} to {after}", err=True)


@app.command()
def current(context: typer.Context, json: JsonOption = False) -> None:
    """Show the schema's version, and the one that this triage needs."""
    database = Database(settings_of(context).database.url)
    found, needed = schema.current(database), schema.latest()
    if json:
        print_json({"current": found, "latest": needed})
    else:
        typer.echo(f"{found or 'empty'} (this triage needs {needed})")


@app.command()
def check(context: typer.Context, json: JsonOption = False) -> None:
    """Hold the database against the schema that this triage needs; exit 1 where they differ."""
    database = Database(settings_of(context).database.url)
    schema.require_latest(database)
    differences = schema.differences(database)
    if json:
        print_json({"current": schema.current(database), "differences": differences})
    if differences:
        raise DatabaseUnavailable("the schema differs:\n  " + "\n  ".join(differences))
    if not json:
        typer.echo("the schema is as it should be", err=True)
