"""Where what arrives is kept."""

import re

import pytest
from pynetdicom.dsutils import encode

from tests.support import studies
from triage.core.tally import Tally
from triage.dicom import digest
from triage.dicom.scp import Arrival
from triage.pipeline.judge import rules_of
from triage.pipeline.receive import Intake
from triage.settings import StudySettings
from triage.store import schema
from triage.store.database import Database
from triage.store.spool import Spool


@pytest.mark.parametrize("name", ["../../../evil", "/evil", "..", "a/../../b", "incoming/x"])
def test_nothing_that_a_peer_writes_becomes_a_path(tmp_path, name):
    database = Database(f"sqlite:///{tmp_path / 'triage.db'}")
    schema.upgrade(database)
    spool = Spool(tmp_path / "below" / "spool", 0)
    spool.prepare()
    made = studies.make("PATH", studies.picture(1))
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "AccessionNumber", "PatientID"):
        setattr(made, keyword, name)
    made.SOPInstanceUID = name
    syntax, data = str(made.file_meta.TransferSyntaxUID), encode(made, False, True) or b""
    found = digest.begin(syntax)
    found.update(data)
    arrival = Arrival(
        sop_class_uid=str(made.SOPClassUID),
        sop_instance_uid=name,
        transfer_syntax_uid=syntax,
        calling_ae_title=name,
        calling_address="192.0.2.7",
        fragments=(data,),
        digest=found.hexdigest(),
        preamble=b"",
    )
    before = set(tmp_path.rglob("*"))

    Intake(database, spool, rules=rules_of(StudySettings()), wake=lambda: None, tally=Tally()).keep(
        arrival
    )

    database.close()
    (file,) = {path for path in set(tmp_path.rglob("*")) - before if path.is_file()}
    assert re.fullmatch(
        r"below/spool/([0-9a-f]{2})/\1[0-9a-f]{62}\.dcm", str(file.relative_to(tmp_path))
    )
