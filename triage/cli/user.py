"""`triage user`: who may log in to the web interface."""

import dataclasses
import sys
from datetime import UTC, datetime
from getpass import getpass
from typing import Annotated

import typer

from triage.cli.operator import operator
from triage.cli.output import JsonOption, print_json, print_table, tell
from triage.cli.worklist import open_database
from triage.core.documents import timestamp
from triage.core.people import Role, User, user_name
from triage.errors import PasswordUnusable, UsageError
from triage.store import users

app = typer.Typer(help="Who may log in to the web interface.", no_args_is_help=True)

NAME = Annotated[str, typer.Argument(help="As they log in; small and capital letters are one.")]


@app.command()
def add(
    context: typer.Context,
    name: NAME,
    role: Annotated[
        Role,
        typer.Option(
            help="An administrator may all that a reader may, give up another's claim and have studies scored again."
        ),
    ] = Role.READER,
) -> None:
    """Let somebody log in. The password is asked for, or is the first line of standard input."""
    database = open_database(context)
    user = User(name=_name(name), role=role)
    users.add(database, user, _new_hash(user.name), datetime.now(UTC), operator())
    tell(f"{user.name} may log in as {user.role}")


@app.command()
def role(
    context: typer.Context,
    name: NAME,
    role: Annotated[Role, typer.Argument(help="What they may from now on.")],
) -> None:
    """Change what somebody may, at once; who is logged in stays so."""
    user = _name(name)
    users.set_role(open_database(context), user, role, datetime.now(UTC), operator())
    tell(f"{user} is {role} now")


@app.command("list")
def list_(context: typer.Context, json: JsonOption = False) -> None:
    """Show who may log in."""
    found = users.listed(open_database(context))
    if json:
        print_json([dataclasses.asdict(user) for user in found])
        return
    print_table(
        ["name", "role", "added", "password set"],
        [
            [user.name, user.role, timestamp(user.created_at), timestamp(user.password_set_at)]
            for user in found
        ],
    )
    if not found:
        typer.echo("there are no users", err=True)


@app.command()
def remove(context: typer.Context, name: NAME) -> None:
    """Let somebody log in no more, and log them out; what they did stays in the audit trail."""
    users.remove(open_database(context), _name(name), datetime.now(UTC), operator())
    tell(f"{_name(name)} may no longer log in")


@app.command()
def password(context: typer.Context, name: NAME) -> None:
    """Give somebody another password, and log them out."""
    database = open_database(context)
    user = _name(name)
    users.set_password(database, user, _new_hash(user), datetime.now(UTC), operator())
    tell(f"{user} has a new password")


def _name(written: str) -> str:
    try:
        return user_name(written)
    except ValueError as error:
        raise UsageError(f"NAME: {error}") from error


def _new_hash(name: str) -> str:
    """Read a password, and return what is stored of it. Raises PasswordUnusable."""
    from triage.web import passwords

    if not sys.stdin.isatty():
        given = sys.stdin.readline().rstrip("\r\n")
    else:
        given = getpass(f"Password for {name}: ")
        if getpass("The same again: ") != given:
            raise PasswordUnusable("the two are not the same")
    passwords.require_usable(given, name)
    return passwords.hashed(given)
