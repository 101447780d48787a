"""A place in the site's PostgreSQL for measuring: a schema of its own that is gone afterwards."""

import os
import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager

from sqlalchemy import make_url, text

from triage.ending import uninterrupted
from triage.errors import DatabaseUnavailable
from triage.store.database import Database


@contextmanager
def scratch_schema(url: str) -> Iterator[str]:
    """Yield a URL of the same database whose tables nobody else sees; drop them on leaving.

    Raises DatabaseUnavailable when the server does not answer or the user may not
    create a schema.
    """
    name = f"triage_bench_{os.getpid()}_{secrets.token_hex(3)}"
    database = Database(url)
    made = False
    try:
        with uninterrupted():
            _create(database, name)
            made = True
        parsed = make_url(url)
        options = " ".join(
            filter(None, [_said(parsed.query.get("options")), f"-csearch_path={name}"])
        )
        yield parsed.update_query_dict({"options": options}).render_as_string(hide_password=False)
    finally:
        with uninterrupted(), closing(database):
            if made:
                with database.writing() as connection:
                    connection.execute(text(f"DROP SCHEMA {name} CASCADE"))


def _create(database: Database, name: str) -> None:
    try:
        with database.writing() as connection:
            connection.execute(text(f"CREATE SCHEMA {name}"))
    except DatabaseUnavailable as error:
        raise DatabaseUnavailable(
            f"{error}; no schema can be made to measure in: let the user make one (GRANT CREATE ON "
            "DATABASE), or measure with --sqlite"
        ) from error


def _said(options: str | tuple[str, ...] | None) -> str:
    return " ".join(options) if isinstance(options, tuple) else options or ""
