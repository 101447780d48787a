"""The DICOM port with real peers, wrong peers and no peers at all."""

import re
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from pynetdicom import AE
from pynetdicom.sop_class import Verification

from tests.support import dcmtk, orthanc, persons, studies
from tests.support.daemon import HOST
from tests.support.relay import slow_relay
from tests.support.studies import picture, study_uid
from tests.support.waiting import wait_until

pytestmark = pytest.mark.dcmtk

NEVER_FREE = 2**60  # bytes; no disk has them


@pytest.fixture(scope="module")
def receiver(start_shared_daemon):
    return start_shared_daemon(roles="receive", log_level="debug")


@pytest.fixture
def image(request, tmp_path):
    """The file of an image whose study is named after the test."""
    name = request.node.name
    return studies.write_study(tmp_path / "image", name, [picture(len(name))])[0]


def is_listed(daemon, sample):
    return daemon.study(sample.study_instance_uid) is not None


@pytest.mark.orthanc
def test_a_study_that_orthanc_sends_is_on_the_worklist(start_daemon, random_model, tmp_path):
    daemon = start_daemon(
        model__path=random_model,
        dicom__check_called_ae_title=True,
        dicom__allow=[{"ae_title": "ORTHANC", "address": HOST}],
    )
    samples = studies.write_study(tmp_path / "pacs", "ORTHANC", [picture(1), picture(2)])
    with orthanc.running(tmp_path, {"triage": ("TRIAGE", daemon.port)}) as pacs:
        pacs.echo("triage")
        (study,) = {pacs.upload(sample.file)["ParentStudy"] for sample in samples}

        sent = pacs.send_study(study, "triage")

    assert (sent["InstancesCount"], sent["FailedInstancesCount"]) == (2, 0)
    daemon.wait_for_study(study_uid("ORTHANC"), seconds=120, status="scored")
    (row,) = daemon.worklist()
    assert row["study_instance_uid"] == study_uid("ORTHANC")
    assert row["patient_name"] == persons.name_of("ORTHANC")
    assert (row["views"], row["views_scored"]) == (2, 2)
    (shown,) = daemon.show(study_uid("ORTHANC"))
    assert shown["history"][0]["detail"] == "ORTHANC"
    daemon.stop()


def test_a_peer_that_is_not_on_the_allow_list_is_refused_and_the_log_says_how_to_admit_it(
    start_daemon, image
):
    daemon = start_daemon(
        roles="receive", dicom__allow=[{"ae_title": "PACS", "address": "127.0.0.0/8"}]
    )

    refused = dcmtk.storescu(daemon.port, [image.file], "-aet", "STRANGER")

    assert refused.returncode != 0
    event = daemon.wait_for("association_refused")
    assert event["check"] == "dicom.allow"
    assert event["calling_ae_title"] == "STRANGER"
    # As it stands in the log, a JSON document: it is there to be copied.
    assert "{ae_title = 'STRANGER', address = '127.0.0.1'}" in daemon.log.read_text()
    assert not is_listed(daemon, image)
    assert dcmtk.storescu(daemon.port, [image.file], "-aet", "PACS").returncode == 0
    assert is_listed(daemon, image)
    daemon.stop()


def test_a_wrong_called_ae_title_is_refused_where_the_site_checks_it(start_daemon, image):
    daemon = start_daemon(
        roles="receive", dicom__check_called_ae_title=True, dicom__ae_title="RIGHT"
    )

    refused = dcmtk.storescu(daemon.port, [image.file], called="WRONG")

    assert refused.returncode != 0
    event = daemon.wait_for("association_refused")
    assert event["check"] == "dicom.check_called_ae_title"
    assert event["called_ae_title"] == "WRONG"
    for word in ("call RIGHT", "dicom.ae_title", "dicom.check_called_ae_title = false"):
        assert word in event["action"]
    assert not is_listed(daemon, image)
    assert dcmtk.storescu(daemon.port, [image.file], called="RIGHT").returncode == 0
    daemon.stop()


def test_any_called_ae_title_will_do_where_the_site_does_not_check_it(receiver, image):
    assert dcmtk.storescu(receiver.port, [image.file], called="ANY-SCP").returncode == 0
    assert is_listed(receiver, image)


def test_one_association_too_many_is_refused_and_the_log_says_which_check(start_daemon, image):
    daemon = start_daemon(roles="receive", dicom__max_associations=1)
    with slow_relay(daemon.port, bytes_a_second=1) as relay:
        holder = subprocess.Popen(
            ["storescu", "-aec", "TRIAGE", HOST, str(relay.port), str(image.file)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_until(lambda: relay.carried > 0, "a request went through")
            event = wait_until(lambda: refusal(daemon, image), "a refusal")
        finally:
            holder.kill()
            holder.wait()

    assert event["check"] == "dicom.max_associations"


def refusal(daemon, sample):
    """Try an association; return the event of its refusal, if it was refused."""
    dcmtk.storescu(daemon.port, [sample.file])
    refused = daemon.events("association_refused")
    return refused[0] if refused else None


def test_a_full_spool_asks_the_sender_to_come_back_and_files_nothing(start_daemon, image):
    daemon = start_daemon(roles="receive", spool__min_free=NEVER_FREE)

    sent = dcmtk.storescu(daemon.port, [image.file], "-d")

    assert sent.returncode != 0
    assert "0xa700" in sent.stderr.lower() + sent.stdout.lower()
    assert daemon.worklist() == []
    assert [file for file in daemon.spool.rglob("*") if file.is_file()] == []
    assert "spool.min_free" in daemon.events("spool_unavailable")[0]["reason"]
    echo = subprocess.run(["echoscu", HOST, str(daemon.port)], check=False)
    assert echo.returncode == 0
    daemon.stop()


ASSOCIATE_RQ = b"\x01\x00"  # PS3.8 9.3.2: PDU type, reserved; the length follows
DATA_TF = b"\x04\x00"
NOISE = {
    "nothing": b"",
    "random bytes": np.random.default_rng(5).bytes(100_000),
    "a web request": b"GET / HTTP/1.1\r\nHost: triage\r\n\r\n",
    "half a request": ASSOCIATE_RQ + (300).to_bytes(4, "big") + b"\0\1\0\0TRIAGE",
    "a request of zeros": ASSOCIATE_RQ + (300).to_bytes(4, "big") + bytes(300),
    "a request that claims 4 GiB": ASSOCIATE_RQ + b"\xff\xff\xff\xff" + bytes(70_000),
    "data without an association": DATA_TF + (8).to_bytes(4, "big") + b"\0\0\0\4\1\3\0\0",
}


@pytest.mark.parametrize("noise", NOISE)
def test_noise_on_the_port_leaves_the_receiver_serving(receiver, image, noise):
    with socket.create_connection((HOST, receiver.port)) as peer:
        peer.sendall(NOISE[noise])

        while_it_waits = dcmtk.storescu(receiver.port, [image.file])
    after_it_left = dcmtk.storescu(receiver.port, [image.file])

    assert (while_it_waits.returncode, after_it_left.returncode) == (0, 0)
    assert is_listed(receiver, image)
    assert [e["outcome"] for e in receiver.events("instance_stored")[-2:]] == ["new", "duplicate"]


def test_an_object_that_breaks_off_half_way_is_not_filed(receiver, tmp_path):
    (sample,) = studies.write_study(tmp_path / "large", "BROKEN", [large_picture(4000)])
    with slow_relay(receiver.port, bytes_a_second=20e6) as relay:
        sender = subprocess.Popen(
            ["storescu", "-aec", "TRIAGE", HOST, str(relay.port), str(sample.file)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(lambda: relay.carried > 4e6, "a quarter of it is here")
        sender.kill()
        sender.wait()

    assert not is_listed(receiver, sample)
    assert dcmtk.storescu(receiver.port, [sample.file]).returncode == 0
    assert is_listed(receiver, sample)


def test_sigterm_in_the_middle_of_a_large_object_finishes_it(start_daemon, tmp_path):
    daemon = start_daemon(roles="receive")
    (sample,) = studies.write_study(tmp_path / "large", "LARGE", [large_picture(4000)])
    with slow_relay(daemon.port, bytes_a_second=8e6) as relay:
        sender = subprocess.Popen(
            ["storescu", "-aec", "TRIAGE", HOST, str(relay.port), str(sample.file)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        wait_until(lambda: relay.carried > 4e6, "a quarter of it is here")
        assert daemon.events("instance_stored") == []

        daemon.stop()

        said, _ = sender.communicate(timeout=30)
    assert sender.returncode == 0, said
    assert is_listed(daemon, sample)
    assert daemon.events("instance_stored")[0]["size"] > 16e6
    assert [event["event"] for event in daemon.events()][-1] == "stopped"


def test_after_sigterm_the_port_is_free_and_a_new_start_has_everything(start_daemon, image):
    daemon = start_daemon(roles="receive")
    dcmtk.storescu(daemon.port, [image.file])
    before = daemon.sql("SELECT study_instance_uid, received_at FROM worklist")

    daemon.stop()
    with socket.socket() as probe:
        assert probe.connect_ex((HOST, daemon.port)) != 0
    daemon.start(roles="receive")

    assert daemon.sql("SELECT study_instance_uid, received_at FROM worklist") == before
    daemon.stop()


def test_the_spool_holds_what_was_sent_under_its_digest(receiver, image):
    dcmtk.storescu(receiver.port, [image.file])

    (row,) = receiver.sql(
        "SELECT digest, size FROM instance"  # noqa: S608  our own UID
        f" WHERE sop_instance_uid = '{image.sop_instance_uid}'"
    )
    spooled = receiver.spool / row["digest"][:2] / f"{row['digest']}.dcm"
    assert spooled.stat().st_size == row["size"]
    assert image.pixels.tobytes() in spooled.read_bytes()


def large_picture(side):
    """Return a picture of *side* x *side* bytes."""
    return np.random.default_rng(1).integers(0, 256, (side, side), dtype=np.uint8)


def test_associations_at_rest_wake_nobody(receiver):
    entity = AE()
    entity.add_requested_context(Verification)
    before = wakes(receiver)
    open_ones = [entity.associate(HOST, receiver.port) for _ in range(10)]
    try:
        assert all(association.is_established for association in open_ones)
        time.sleep(1)
        begun, at_rest = time.monotonic(), wakes(receiver)
        time.sleep(2)
        pace = (wakes(receiver) - at_rest) / (time.monotonic() - begun)
    finally:
        for association in open_ones:
            association.release()

    assert at_rest > before
    # pynetdicom's own threads look a thousand times a second each, and there are 20.
    assert pace < 2000


def wakes(daemon):
    """Return how often the threads of `triage serve` have gone to sleep so far."""
    total = 0
    for status in Path(f"/proc/{daemon.pid}/task").glob("*/status"):
        with suppress(OSError):  # the thread ended meanwhile
            (line,) = re.findall(
                r"^voluntary_ctxt_switches:\s*(\d+)", status.read_text(), re.MULTILINE
            )
            total += int(line)
    return total
