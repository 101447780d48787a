"""What has changed on the worklist since the last look, for whoever shows it all day."""

import time
from dataclasses import dataclass, fields, replace
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Row, text

from triage.core.worklist import WorklistRow
from triage.store.database import Database
from triage.store.queries import EVERYTHING, WORKLIST, worklist_row

# Columns that change without a change of the study: by others' moves, by time.
_PASSING = {"position", "waiting_seconds"}
_COLUMNS = [each.name for each in fields(WorklistRow)]
_lasting = itemgetter(*(n for n, name in enumerate(_COLUMNS) if name not in _PASSING))
_uid = itemgetter(_COLUMNS.index("study_instance_uid"))

# Both are another with every commit that somebody else's can be seen of, and cost nothing to ask
# for. (PostgreSQL's place in its log is not: a commit is written there before it can be seen.)
_SQLITE_VERSION = text("PRAGMA data_version")
_POSTGRESQL_VERSION = text("SELECT pg_current_snapshot()::text")


@dataclass(frozen=True)
class Difference:
    """What has to be done to the former worklist to make it the present one.

    Take out `gone` and the studies of `rows`, then put each of `rows` in at its position, the
    first before the others: all else has kept its order.
    """

    gone: tuple[str, ...]  # Study Instance UIDs that have left
    rows: tuple[WorklistRow, ...]  # that are new, moved or otherwise changed, in reading order


@dataclass(frozen=True)
class Worklist:
    """The whole worklist as it was at one look, made into records when somebody wants them."""

    _rows: tuple[Row[Any], ...] = ()
    _seen_at: float = 0.0  # seconds of the monotonic clock

    def records(self) -> list[WorklistRow]:
        """Return its rows, in reading order; they have waited on since the look."""
        since = time.monotonic() - self._seen_at
        found = (worklist_row(row._mapping) for row in self._rows)
        return [replace(row, waiting_seconds=row.waiting_seconds + since) for row in found]


class Watch:
    """One watcher of the worklist. It may be asked by one thread at a time."""

    def __init__(self, database: Database) -> None:
        """Know nothing yet: the first difference is the whole worklist."""
        self._sqlite = database.is_sqlite
        self._version: object = None
        self._known: dict[str, tuple[Any, ...]] = {}
        self.worklist = Worklist()  # as it was at the last look that found something written

    def look(self, connection: Connection) -> Difference | None:
        """Return what has changed since the last look; None where nothing has.

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
            seen_at = time.monotonic()
            rows = tuple(connection.execute(WORKLIST, {"limit": EVERYTHING}))
        former = self._known
        known = {_uid(row): _lasting(row) for row in rows}
        changed = tuple(
            worklist_row(row._mapping) for row in rows if former.get(_uid(row)) != known[_uid(row)]
        )
        gone = tuple(uid for uid in former if uid not in known)
        self._version, self._known, self.worklist = version, known, Worklist(rows, seen_at)
        return Difference(gone, changed) if gone or changed else None

    def forget(self) -> None:
        """Look at everything again next time: the connection is another one."""
        self._version = None
