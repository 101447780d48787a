"""What fails does not tell in the log whom it was about."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import insert, text

from tests.support import persons
from tests.support.daemon import environment
from tests.support.store import at
from triage.errors import DatabaseUnavailable
from triage.logs.discretion import traceback_of
from triage.store import schema
from triage.store.database import Database
from triage.store.tables import study

NAME = persons.name_of("DISCREET")
# Everything by which a failure reaches the log of a process, at the level that tells most.
SCRIPT = """
import logging, sys, threading
from datetime import datetime
from sqlalchemy import text
from triage import logs
logs.configure(level="debug")
logs.catch_uncaught()
import triage.app
from triage.store.database import Database
log = logs.get("triage.test")
name = sys.argv[1]

def fail():
    raise ValueError(f"{name} is no valid value")

class Finalized:
    def __del__(self):
        fail()

def chain():
    try:
        fail()
    except ValueError as error:
        raise RuntimeError(f"while reading {name}") from error

try:
    chain()
except RuntimeError:
    log.exception("loop_failed", loop="test")
logging.getLogger("some.library").error("it failed", exc_info=ValueError(name))
thread = threading.Thread(target=fail)
thread.start()
thread.join()
Finalized()
database = Database(f"sqlite:///{sys.argv[2]}")
with database.reading() as connection:
    connection.execute(text("SELECT :name"), {"name": name}).all()
for library in ("sqlalchemy.engine.Engine", "psycopg", "PIL.Image", "pydicom", "pynetdicom"):
    logging.getLogger(library).debug(name)
logging.getLogger("pydicom").error(name)
fail()
"""


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    database = tmp_path_factory.mktemp("discretion") / "triage.db"
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, NAME, str(database)],
        env=environment(),
        capture_output=True,
        check=False,
    )
    assert ran.returncode == 1
    return ran.stderr


def test_no_way_into_the_log_quotes_what_failed(logged):
    assert persons.found_in(logged) == []


def test_every_failure_is_told_as_one_json_document_with_kind_and_place(logged):
    lines = [json.loads(line) for line in logged.splitlines()]

    assert [line["event"] for line in lines] == [
        *("loop_failed", "it failed", "thread_failed", "finalizer_failed", "process_failed"),
    ]
    assert lines[0]["exception"].index("ValueError: its text") < lines[0]["exception"].index(
        "RuntimeError: its text"
    )
    assert all("in fail" in line["exception"] for line in lines if line["event"] != "it failed")


def test_our_own_errors_and_the_system_s_keep_their_text():
    try:
        try:
            Path("/nonexistent/file").read_bytes()
        except OSError as error:
            raise DatabaseUnavailable("the database is away") from error
    except DatabaseUnavailable as error:
        told = traceback_of((type(error), error, error.__traceback__))

    assert "No such file or directory: '/nonexistent/file'" in told
    assert told.endswith("DatabaseUnavailable: the database is away")


ROW = {
    "study_instance_uid": "1.1",
    "patient_name": NAME,
    "received_at": at(0),
    "opened_at": at(0),
    "last_received_at": at(0),
    "waiting_since": at(0),
    "status": "receiving",
    "views": 0,
    "views_scored": 0,
    "reading_state": "unread",
    "image_after_reading": False,
    "overdue": False,
    "band": 2,
    "weight": 0.0,
}
NOWHERE = at(0).replace(tzinfo=None)
REFUSED = {
    "twice": lambda: insert(study).values([ROW, ROW]),
    "a column is missing": lambda: insert(study).values(ROW | {"status": None}),
    "a value of another type": lambda: insert(study).values(ROW | {"received_at": NAME}),
    "a time without a zone": lambda: insert(study).values(ROW | {"opened_at": NOWHERE}),
    "no such table": lambda: text("INSERT INTO nowhere VALUES (:n)").bindparams(n=NAME),
    "not a number": lambda: text("SELECT abs(CAST(:n AS integer)) / 0 FROM nowhere").bindparams(
        n=NAME
    ),
}


@pytest.mark.parametrize("statement", REFUSED.values(), ids=REFUSED)
def test_what_a_database_refuses_it_does_not_quote(database_url, statement):
    database = Database(database_url)
    schema.upgrade(database)
    try:
        with pytest.raises(DatabaseUnavailable) as caught, database.writing() as connection:
            connection.execute(statement())
    finally:
        database.close()

    told = traceback_of((caught.type, caught.value, caught.value.__traceback__))
    assert persons.found_in(f"{caught.value}\n{told}".encode()) == []
    assert str(caught.value).strip() != database.name


@pytest.mark.postgres
def test_a_value_that_postgresql_quotes_in_its_first_line_is_left_out(new_database):
    database = Database(new_database("postgres"))
    try:
        with pytest.raises(DatabaseUnavailable) as caught, database.reading() as connection:
            connection.execute(text("SELECT CAST(:n AS text)::integer"), {"n": NAME})
    finally:
        database.close()

    assert NAME in str(caught.value.__cause__.orig), "nothing is quoted: the test shows nothing"
    assert NAME not in str(caught.value)
    assert "InvalidTextRepresentation" in str(caught.value)
