"""The version of the schema: upgraded, shown and checked by Alembic.

The migrations lie beside the package in an installation and at the top of the
repository in a checkout.
"""

import warnings
from pathlib import Path
from typing import NoReturn

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

import triage
from triage.errors import DatabaseUnavailable
from triage.store.database import Database
from triage.store.tables import metadata

_PACKAGE = Path(triage.__file__).parent


def _config() -> Config:
    installed, checkout = _PACKAGE / "migrations", _PACKAGE.parent / "migrations"
    config = Config()
    config.set_main_option("script_location", str(installed if installed.is_dir() else checkout))
    return config


def latest() -> str:
    """Return the revision that this version of the package needs."""
    head = ScriptDirectory.from_config(_config()).get_current_head()
    if head is None:
        raise DatabaseUnavailable("the installation lacks its migrations; install triage again")
    return head


def current(database: Database) -> str | None:
    """Return the database's revision; None when it is empty."""
    database.require_file()
    with database.reading() as connection:
        return _revision(connection)


def upgrade(database: Database, revision: str = "head") -> tuple[str | None, str]:
    """Bring the database to *revision* in one transaction; return (before, after).

    Raises DatabaseUnavailable; then the schema is as before.
    """
    with database.writing() as connection:
        # Two daemons that start at once must not both migrate.
        database.take_turn(connection, "triage schema")
        before = _revision(connection)
        _refuse_newer(before)
        if before != latest():
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
        return before, _revision(connection) or ""


def no_way_back(revision: str) -> NoReturn:
    """Refuse to undo a migration: what it added would be lost.

    Raises DatabaseUnavailable; the schema stays as it is.
    """
    raise DatabaseUnavailable(
        f"there is no way back from schema {revision}: what it added would be lost; stop the "
        "daemon, and restore the backup that was made before the upgrade"
    )


def require_latest(database: Database) -> None:
    """Raise DatabaseUnavailable unless the schema is the one that this version needs."""
    found = current(database)
    _refuse_newer(found)
    if found != latest():
        raise DatabaseUnavailable(
            f"{database.name}: the schema is {found or 'empty'}, {latest()} is needed; "
            "run triage db upgrade"
        )


def try_writing(database: Database) -> None:
    """Change a row to what it is: SQLite lets a transaction begin on a file that it cannot write.

    Raises DatabaseUnavailable.
    """
    with database.writing() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = version_num")


def differences(database: Database) -> list[str]:
    """Say where the database's tables differ from those that this version describes."""
    with database.reading() as connection, warnings.catch_warnings():
        # SQLAlchemy cannot read an index on an expression back from SQLite; Alembic passes it over.
        warnings.filterwarnings("ignore", ".* expression-based index")
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return [str(difference) for difference in compare_metadata(context, metadata)]


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _refuse_newer(found: str | None) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}
    if found is not None and found not in known:
        raise DatabaseUnavailable(
            f"the database has the schema {found}, which this version does not know; "
            "a newer triage made it: upgrade triage"
        )
