"""Files for the service's user alone, whoever owned or opened them before."""

import os
from pathlib import Path

import pytest

from triage.store import rights
from triage.store.database import Database
from triage.store.spool import Spool


def mode(path):
    return path.stat().st_mode & 0o777


@pytest.fixture
def of_another(tmp_path):
    """A folder of another user, open to all."""
    if os.geteuid() != 0:
        return Path("/usr/share")
    folder = tmp_path / "of another"
    folder.mkdir(mode=0o755)
    os.chown(folder, 65534, 65534)
    return folder


def test_what_is_ours_is_closed_and_what_is_not_is_named(tmp_path, of_another):
    wide, closed, absent = (tmp_path / name for name in ("wide", "closed", "absent"))
    wide.touch(0o644)
    closed.touch(0o600)

    assert rights.narrow([wide, closed, absent, of_another]) == ([wide], [of_another])

    assert (mode(wide), mode(closed), mode(of_another)) == (0o600, 0o600, 0o755)
    assert rights.open_to_others([wide, closed, absent, of_another]) == [of_another]


def test_a_folder_that_holds_more_than_the_spool_is_left_to_its_owner(tmp_path):
    spool = Spool(tmp_path / "home", 0)
    spool.prepare()
    assert spool.folders()[0] == spool.directory

    (spool.directory / "letters").mkdir()

    assert spool.directory not in spool.folders()
    assert len(spool.folders()) == 258


def test_sqlite_s_files_are_known_and_postgresql_has_none(tmp_path):
    sqlite = Database(f"sqlite:///{tmp_path / 'triage.db'}")
    with sqlite.writing() as connection:
        connection.exec_driver_sql("CREATE TABLE some (thing TEXT)")
        assert set(tmp_path.iterdir()) <= set(sqlite.files())
    sqlite.close()

    assert Database("postgresql+psycopg://user@db.example/triage").files() == []
