"""The guard of the audit trail: the triggers that let it grow and no more (migration 0004).

Whoever owns the tables can take them away, and a database that was copied by hand may lack
them; nobody would notice, for nothing of ours ever changes an entry.
"""

from sqlalchemy import Connection, text

from triage.store.database import Database

# What each trigger refuses, and how it is written.
_SQLITE = {
    "UPDATE": "BEFORE UPDATE ON AUDIT BEGIN",
    "DELETE": "BEFORE DELETE ON AUDIT BEGIN",
    "INSERT OR REPLACE": "BEFORE INSERT ON AUDIT WHEN EXISTS (SELECT 1 FROM AUDIT WHERE ID = "
    "NEW.ID) BEGIN",
}
_REFUSES = " SELECT RAISE(ABORT,"
# Bits of pg_trigger.tgtype, of PostgreSQL's pg_trigger.h; a trigger before the statement has
# 2 and not 1, which is of those for each row.
_POSTGRESQL = {"UPDATE": 16, "DELETE": 8, "TRUNCATE": 32}
_BEFORE_STATEMENT, _TIMING = 2, 1 | 2 | 64


def unguarded(database: Database) -> list[str]:
    """Return what the database would do to entries of the trail that are there; rightly nothing."""
    with database.reading() as connection:
        return _of_sqlite(connection) if database.is_sqlite else _of_postgresql(connection)


def _of_sqlite(connection: Connection) -> list[str]:
    found = connection.execute(
        text("SELECT sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit'")
    ).scalars()
    written = [" ".join(sql.upper().split()) for sql in found]
    return [
        statement
        for statement, when in _SQLITE.items()
        if not any(f"{when}{_REFUSES}" in sql for sql in written)
    ]


def _of_postgresql(connection: Connection) -> list[str]:
    # 'D' and 'R': switched off, for all or for all but replication.
    kinds = connection.execute(
        text(
            "SELECT tgtype FROM pg_trigger JOIN pg_proc ON pg_proc.oid = tgfoid "
            "WHERE tgrelid = 'audit'::regclass AND tgenabled IN ('O', 'A') "
            "AND prosrc LIKE '%RAISE EXCEPTION%'"
        )
    ).scalars()
    refused = 0
    for kind in kinds:
        if kind & _TIMING == _BEFORE_STATEMENT:
            refused |= kind
    return [statement for statement, bit in _POSTGRESQL.items() if not refused & bit]
