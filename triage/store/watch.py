"""What has changed on the worklist since the last look, for whoever shows it all day."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, text

from triage.core.worklist import WorklistRow
from triage.store.database import Database
from triage.store.queries import WORKLIST, worklist_row

EVERYTHING = 2**31 - 1

# Columns that change without a change of the study: by others' moves, by time.
_PASSING = ("position", "waiting_seconds")
# Both change with every commit by another connection, and cost nothing to ask for.
_SQLITE_VERSION = text("PRAGMA data_version")
_POSTGRESQL_VERSION = text("SELECT pg_current_wal_insert_lsn()::text")


@dataclass(frozen=True)
class Difference:
    """What has to be done to the former worklist to make it the present one.

    Take out `gone` and the studies of `rows`, then put each of `rows` in at its position, the
    first before the others: all else has kept its order.
    """

    gone: tuple[str, ...]  # Study Instance UIDs that have left
    rows: tuple[WorklistRow, ...]  # that are new, moved or otherwise changed, in reading order


class Watch:
    """One watcher of the worklist. It may be asked by one thread at a time."""

    def __init__(self, database: Database) -> None:
        """Know nothing yet: the first difference is the whole worklist."""
        self._sqlite = database.is_sqlite
        self._version: object = None
        self._known: dict[str, tuple[Any, ...]] = {}
        self._rows: list[Row[Any]] = []

    def look(self, connection: Connection) -> Difference | None:
        """Return what has changed since the last look; None where nothing was written.

        *connection* is one that nobody else uses, and the same each time: SQLite counts the
        commits of the others. Raises DatabaseUnavailable by way of whoever opened it.
        """
        with connection.begin():
            # Before the rows: what is committed between the two is found at the next look.
            version = connection.execute(
                _SQLITE_VERSION if self._sqlite else _POSTGRESQL_VERSION
            ).scalar_one()
            if version == self._version:
                return None
            rows = list(connection.execute(WORKLIST, {"limit": EVERYTHING}))
        known, changed = {}, []
        for row in rows:
            lasting = _lasting(row)
            known[row.study_instance_uid] = lasting
            if self._known.get(row.study_instance_uid) != lasting:
                changed.append(worklist_row(row))
        gone = tuple(uid for uid in self._known if uid not in known)
        self._version, self._known, self._rows = version, known, rows
        return Difference(gone, tuple(changed)) if gone or changed else None

    def rows(self) -> list[WorklistRow]:
        """Return the whole worklist as it was at the last look that found a change."""
        return [worklist_row(row) for row in self._rows]

    def forget(self) -> None:
        """Look at everything again next time: the connection is another one."""
        self._version = None


def _lasting(row: Row[Any]) -> tuple[Any, ...]:
    values = row._mapping
    return tuple(value for name, value in values.items() if name not in _PASSING)
