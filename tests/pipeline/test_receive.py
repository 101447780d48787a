"""Where what arrives is kept."""

import gc
import re
import threading
import weakref

import pytest
from pynetdicom.dsutils import encode

from tests.support import studies
from triage.core.tally import Tally
from triage.dicom import digest
from triage.dicom.scp import Arrival
from triage.errors import BadInstance
from triage.pipeline.judge import rules_of
from triage.pipeline.receive import Intake
from triage.settings import StudySettings
from triage.store import schema
from triage.store.database import Database
from triage.store.spool import Spool


@pytest.fixture
def database(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'triage.db'}")
    schema.upgrade(database)
    yield database
    database.close()


@pytest.fixture
def spool(tmp_path):
    spool = Spool(tmp_path / "below" / "spool", 0)
    spool.prepare()
    return spool


@pytest.fixture
def intake(database, spool):
    rules = rules_of(StudySettings())
    return Intake(database, spool, rules=rules, wake=lambda: None, tally=Tally())


class Bytes(bytearray):
    """An object's bytes, of which one can tell whether they are still there."""


def arrival(dataset, name="PEER", **other):
    """Return a data set as the port hands it on."""
    syntax, data = str(dataset.file_meta.TransferSyntaxUID), encode(dataset, False, True) or b""
    found = digest.begin(syntax)
    found.update(data)
    facts = {
        "sop_class_uid": str(dataset.SOPClassUID),
        "sop_instance_uid": str(dataset.SOPInstanceUID),
        "transfer_syntax_uid": syntax,
        "calling_ae_title": name,
        "calling_address": "192.0.2.7",
        "fragments": (Bytes(data),),
        "digest": found.hexdigest(),
        "preamble": b"",
    }
    return Arrival(**facts | other)


def files_in(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def without_an_identifier():
    dataset = studies.make("BAD", studies.picture(1))
    del dataset.StudyInstanceUID
    return arrival(dataset)


def cut_short():
    return arrival(studies.make("BAD", studies.picture(1)), fragments=(Bytes(b"\x08\x00\x16\x00"),))


def of_another_request():
    return arrival(studies.make("BAD", studies.picture(1)), sop_instance_uid="1.2.3")


@pytest.mark.parametrize("refused", [without_an_identifier, cut_short, of_another_request])
def test_what_cannot_be_filed_has_no_file_under_any_name_and_leaves_the_memory(
    intake, database, spool, refused
):
    came = refused()
    content = weakref.ref(came.fragments[0])

    gc.disable()  # whoever refuses one 30 MB object after the other has no time for it
    try:
        with pytest.raises(BadInstance):
            intake.keep(came)
        del came
        assert content() is None
    finally:
        gc.enable()

    assert files_in(spool.directory) == []
    with database.reading() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM study").scalar() == 0


def test_where_no_thread_is_to_be_had_the_object_comes_later_and_leaves_the_memory(
    intake, spool, monkeypatch
):
    came = arrival(studies.make("LATER", studies.picture(1)))
    content = weakref.ref(came.fragments[0])

    def none_left(_thread):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patches:
        patches.setattr(threading.Thread, "start", none_left)
        with pytest.raises(MemoryError, match="no thread"):
            intake.keep(came)
    del came
    gc.collect()

    assert content() is None
    assert files_in(spool.directory) == []
    intake.keep(arrival(studies.make("LATER", studies.picture(1))))
    assert len(files_in(spool.directory)) == 1


@pytest.mark.parametrize("name", ["../../../evil", "/evil", "..", "a/../../b", "incoming/x"])
def test_nothing_that_a_peer_writes_becomes_a_path(tmp_path, database, intake, name):
    made = studies.make("PATH", studies.picture(1))
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "AccessionNumber", "PatientID"):
        setattr(made, keyword, name)
    made.SOPInstanceUID = name
    before = set(tmp_path.rglob("*"))

    intake.keep(arrival(made, name=name))

    database.close()
    (file,) = {path for path in set(tmp_path.rglob("*")) - before if path.is_file()}
    assert re.fullmatch(
        r"below/spool/([0-9a-f]{2})/\1[0-9a-f]{62}\.dcm", str(file.relative_to(tmp_path))
    )
