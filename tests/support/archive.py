"""An archive of any size, as years would have filled it, written by the database itself.

Studies number from 1 by arrival. The last *unread* of them are on the worklist, all others were
read; of those the last *kept* still have their files. Each has three views of one instance each,
scored, with their maps, and the history and the audit trail of what befell it. A tenth of the
unread ones are overdue, two fifths of the others abnormal, the last `WAITING` wait for a score.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta

import psycopg

from tests.support.store import DX, NOON, Store
from triage.store import schema
from triage.store.database import Database

VIEWS = 3  # of each study
WAITING = 20  # studies that wait for a score, the last ones
RECEIVING = 5  # of them
WEEK = 3500  # studies
MAX_WAIT = 14400.0  # seconds, `worklist.max_wait`
DAY = 16_000.0  # seconds in which the unread studies came, so that a tenth are overdue at `NOON`
APART = 157.0  # seconds between two of the others: a million in five years
LONG_AGO = NOON - timedelta(days=36500)
MAP = 98  # bytes of a map of 7 x 7 cells
ROOT = "1.2.826.0.1.3680043.10.1."


@dataclass(frozen=True)
class Archive:
    """A filled database; its moment is `tests.support.store.NOON`."""

    store: Store
    studies: int
    unread: int
    kept: int  # read studies that still have their files, the last ones

    @property
    def database(self) -> Database:
        return self.store.database

    @property
    def read(self) -> int:
        return self.studies - self.unread


def study_uid(number: int) -> str:
    return f"{ROOT}{10**9 + number}"


def fill(url: str, studies: int, unread: int, kept: int = WEEK) -> Archive:
    """Fill an empty database; on PostgreSQL it must be the administrator's.

    PostgreSQL looks at its tables at the end, as autovacuum does within minutes; nobody
    does it for SQLite.
    """
    database = Database(url)
    schema.upgrade(database)
    database.close()  # SQLite leaves its log only where nobody else is connected
    archive = Archive(Store(database), studies, unread, kept)
    words = _Sqlite() if database.is_sqlite else _Postgresql()
    with words.connected(url) as execute, _without_indexes(words, execute):
        for table, rows, columns, where in _tables(archive, words):
            names, values = ", ".join(columns), ", ".join(columns.values())
            source = words.numbers.format(rows=rows)
            execute(f"INSERT INTO {table} ({names}) SELECT {values} FROM {source} WHERE {where}")  # noqa: S608  our own names
    return archive


class _Sqlite:
    """How SQLite says what the two databases say differently."""

    numbers = (
        "(WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers"
        " WHERE n < {rows}) SELECT n FROM numbers)"
    )
    digest = "lower(hex(randomblob(32)))"
    map = f"randomblob({MAP})"
    indexes = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"
    triggers = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"

    def moment(self, seconds: str) -> str:
        return f"strftime('%Y-%m-%dT%H:%M:%f000Z', {NOON.timestamp():.0f} + {seconds}, 'unixepoch')"

    @contextmanager
    def connected(self, url):
        path = url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            for pragma in ("synchronous = OFF", "journal_mode = OFF", "cache_size = -400000"):
                connection.execute(f"PRAGMA {pragma}")
            triggers = connection.execute(self.triggers).fetchall()
            for name, _ in triggers:
                connection.execute(f"DROP TRIGGER {name}")
            yield connection.execute
            for _, statement in triggers:
                connection.execute(statement)
            connection.execute("PRAGMA journal_mode = WAL")


class _Postgresql:
    """How PostgreSQL says it."""

    numbers = "generate_series(1, {rows}) AS numbers(n)"
    digest = "encode(sha256(n::text::bytea), 'hex')"
    map = f"decode(repeat(md5(n::text), 4), 'hex') || '\\x{'00' * (MAP - 64)}'::bytea"
    indexes = (
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
        " AND indexname LIKE 'ix%'"
    )

    def moment(self, seconds: str) -> str:
        return f"timestamptz '{NOON:%F %T}+00' + ({seconds}) * interval '1 second'"

    @contextmanager
    def connected(self, url):
        plain = url.replace("postgresql+psycopg", "postgresql")
        with psycopg.connect(plain, autocommit=True) as connection:
            # Neither foreign keys nor the guard of the audit trail are asked about each row.
            connection.execute("SET session_replication_role = replica")
            connection.execute("SET synchronous_commit = off")
            connection.execute("SET maintenance_work_mem = '256MB'")
            yield connection.execute
            for table in ("study", "instance", "view", "history", "audit"):
                sequence = f"pg_get_serial_sequence('{table}', 'id')"
                connection.execute(f"SELECT setval({sequence}, (SELECT max(id) FROM {table}))")  # noqa: S608  likewise
            # What is not in the log on the disk yet counts as visible to nobody, and no index alone
            # would answer for it; nor is a page that another process had in hand just then, unless
            # FREEZE waits for it.
            connection.execute("CHECKPOINT")
            connection.execute("VACUUM (FREEZE, ANALYZE)")


@contextmanager
def _without_indexes(words, execute) -> Iterator[None]:
    """Sorting once is faster than finding the place of each row."""
    indexes = execute(words.indexes).fetchall()
    for name, _ in indexes:
        execute(f"DROP INDEX {name}")
    yield
    for _, statement in indexes:
        execute(statement)


def _tables(archive: Archive, words):
    """Return table, numbers to draw, columns, and which numbers are rows, of each table."""
    last, read = archive.studies, archive.read
    rows = VIEWS * last
    of_view = f"((n + {VIEWS - 1}) / {VIEWS})"
    yield "study", last, _study(archive, words), "true"
    yield "instance", rows, _instance(archive, words, of_view), "true"
    yield "view", rows, _view(archive, words, of_view), "true"
    maps = {"view_id": "n", "height": "7", "width": "7", "cells": words.map}
    maps |= {"side": "224", "resize": "'squeeze'"}
    yield "activation", rows, maps, f"{of_view} <= {last - WAITING}"
    of_line = "((n + 3) / 4)"
    history = {
        "id": "n",
        "study_id": of_line,
        "at": words.moment(_came(archive, of_line)),
        "kind": "CASE n % 4 WHEN 1 THEN 'received' WHEN 2 THEN 'scored' WHEN 3 THEN 'claimed' ELSE 'read' END",
        "detail": "CASE n % 4 WHEN 2 THEN 'normal 0.1234, 3 of 3 views, reference 1.0' END",
        "actor": "CASE WHEN n % 4 IN (0, 3) THEN 'ada' END",
    }
    yield "history", 4 * last, history, f"{of_line} <= {read} OR n % 4 IN (1, 2)"
    of_entry = "((n + 5) / 6)"
    audit = {
        "id": "n",
        "at": words.moment(_came(archive, of_entry)),
        "kind": "CASE n % 6 WHEN 4 THEN 'claimed' WHEN 5 THEN 'read' WHEN 0 THEN 'pixels_deleted' ELSE 'received' END",
        "actor": "CASE WHEN n % 6 IN (4, 5) THEN 'ada' ELSE 'MODALITY (10.1.2.3)' END",
        "study_instance_uid": f"'{ROOT}' || (1000000000 + {of_entry})",
        "accession_number": f"'A' || {of_entry}",
        "sop_instance_uid": f"CASE WHEN n % 6 IN (1, 2, 3) THEN '{ROOT}' || (2000000000 + n) END",
        "detail": "CASE WHEN n % 6 IN (1, 2, 3) THEN 'new' END",
    }
    yield "audit", 6 * last, audit, f"{of_entry} <= {read} OR n % 6 IN (1, 2, 3)"


def _came(archive: Archive, number: str) -> str:
    """Return the seconds after `NOON` at which a study came, as SQL: a number below 0."""
    last, read = archive.studies, archive.read
    return (
        f"(CASE WHEN {number} > {read} THEN ({number} - {last}) * {DAY / archive.unread}"
        f" ELSE ({number} - {read}) * {APART} - {DAY} END)"
    )


def _study(archive: Archive, words) -> dict[str, str]:
    last, read = archive.studies, archive.read
    came, scored = _came(archive, "n"), f"n <= {last - WAITING}"
    overdue = f"(n > {read} AND {came} < {-MAX_WAIT})"
    abnormal = "n % 5 < 2"
    probability = f"(n * 37 % 1000) / 2000.0 + CASE WHEN {abnormal} THEN 0.5005 ELSE 0.0 END"
    arrival = words.moment(came)

    def when(condition: str, value: str, otherwise: str = "NULL") -> str:
        return f"CASE WHEN {condition} THEN {value} ELSE {otherwise} END"

    return {
        "id": "n",
        "study_instance_uid": f"'{ROOT}' || (1000000000 + n)",
        "accession_number": "'A' || n",
        "patient_id": "'P' || (n / 3)",
        "patient_name": "'Family^Given ' || (n / 3)",
        "study_description": "'XR wrist 3 views left'",
        **dict.fromkeys(("received_at", "opened_at", "last_received_at", "waiting_since"), arrival),
        "completed_at": when(f"n <= {last - RECEIVING}", words.moment(f"{came} + 12")),
        "status": when(
            scored, "'scored'", when(f"n <= {last - RECEIVING}", "'complete'", "'receiving'")
        ),
        "study_type": "'wrist'",
        "side": "'L'",
        "label": when(scored, when(abnormal, "'abnormal'", "'normal'")),
        "probability": when(scored, probability),
        "model": when(scored, "'reference 1.0'"),
        "views": str(VIEWS),
        "views_scored": when(scored, str(VIEWS), "0"),
        "reading_state": when(
            f"n <= {read}", "'read'", when("n % 100 = 0", "'claimed'", "'unread'")
        ),
        "claimed_by": when(f"n > {read} AND n % 100 = 0", "'ada'"),
        "claimed_at": when(f"n > {read} AND n % 100 = 0", arrival),
        "read_by": when(f"n <= {read}", "'ada'"),
        "read_at": when(f"n <= {read}", words.moment(f"{came} + 3600")),
        "finding": when(f"n <= {read}", "'normal'"),
        "image_after_reading": "false",
        "kept_since": when(
            f"n > {read - archive.kept} AND n <= {read}", words.moment(f"{came} + 3600")
        ),
        "overdue": overdue,
        "band": when(overdue, "0", when(scored, when(abnormal, "1", "3"), "2")),
        "weight": when(f"NOT {overdue} AND {scored} AND {abnormal}", f"-({probability})", "0.0"),
    }


def _instance(archive: Archive, words, study: str) -> dict[str, str]:
    arrival = words.moment(_came(archive, study))
    return {
        "id": "n",
        "study_id": study,
        "sop_instance_uid": f"'{ROOT}' || (2000000000 + n)",
        "digest": words.digest,
        "pixel_digest": words.digest,
        "series_instance_uid": f"'{ROOT}' || (3000000000 + {study})",
        "sop_class_uid": f"'{DX}'",
        "transfer_syntax_uid": "'1.2.840.10008.1.2.1'",
        "modality": "'DX'",
        "body_part": "'WRIST'",
        "study_type": "'wrist'",
        "part_from": "'(0018,0015) Body Part Examined WRIST'",
        "side": "'L'",
        "side_from": "'(0020,0062) Image Laterality L'",
        "exposed_field": "''",
        "intent": "'presentation'",
        "irradiation_event": f"'{ROOT}' || (4000000000 + n)",
        "acquired": "'20250301115900.000000'",
        "view_position": "'PA'",
        "source_uid": "''",
        "frames": "1",
        "state": "'scorable'",
        "size": "10000000",
        "calling_ae_title": "'MODALITY'",
        "received_at": arrival,
        "deleted_at": f"CASE WHEN {study} <= {archive.read - archive.kept} THEN {arrival} END",
    }


def _view(archive: Archive, words, study: str) -> dict[str, str]:
    scored = f"{study} <= {archive.studies - WAITING}"
    number = f"({study})"
    probability = (
        f"({number} * 37 % 1000) / 2000.0 + CASE WHEN {number} % 5 < 2 THEN 0.5005 ELSE 0.0 END"
    )
    return {
        "id": "n",
        "study_id": study,
        "instance_id": "n",
        "frame": "1",
        "state": f"CASE WHEN {scored} THEN 'scored' ELSE 'pending' END",
        "probability": f"CASE WHEN {scored} THEN {probability} END",
        "threshold": f"CASE WHEN {scored} THEN 0.5 END",
        "model": f"CASE WHEN {scored} THEN 'reference 1.0' END",
        "scored_at": f"CASE WHEN {scored} THEN {words.moment(_came(archive, study))} END",
        "attempts": "0",
        "interruptions": "0",
    }
