"""Sending, to real peers: a pynetdicom AE and DCMTK's storescp."""

import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import CTImageStorage, Verification

from triage.dicom import radiograph, scu
from triage.errors import SendFailed

# pynetdicom 3.0.4 leaves the socket of a refused connection to the garbage collector.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket.socket:pytest.PytestUnraisableExceptionWarning"
)

LOOPBACK = "127.0.0.1"


def free_port():
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return probe.getsockname()[1]


def await_listener(port):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex((LOOPBACK, port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail(f"nobody listens at {port}")


@pytest.fixture
def image():
    header = radiograph.StudyHeader(study_instance_uid=radiograph.uid(), study_type=None)
    return radiograph.digital_radiograph(np.zeros((8, 8), np.uint8), header)


@contextmanager
def pacs(on_store=lambda _event: 0x0000, *, contexts=None, **attributes):
    """Run a real storage SCP; yields its port."""
    entity = AE(ae_title="PACS")
    for name, value in attributes.items():
        setattr(entity, name, value)
    entity.supported_contexts = AllStoragePresentationContexts if contexts is None else contexts
    entity.add_supported_context(Verification)
    server = entity.start_server(
        (LOOPBACK, 0), block=False, evt_handlers=[(evt.EVT_C_STORE, on_store)]
    )
    try:
        yield server.socket.getsockname()[1]
    finally:
        server.shutdown()


def test_data_sets_and_files_go_out_in_one_association(image, tmp_path):
    received, associations = [], set()

    def keep(event):
        received.append(event.request.AffectedSOPInstanceUID)
        associations.add(event.assoc)
        return 0x0000

    file = tmp_path / "image.dcm"
    radiograph.save(image, file)
    heard = []
    with pacs(keep) as port:
        sent = scu.send([image, file], host=LOOPBACK, port=port, on_sent=heard.append)

    assert received == [image.SOPInstanceUID] * 2
    assert len(associations) == 1
    assert [answer.stored for answer in sent] == [True, True]
    assert [answer.source for answer in sent] == [None, file]
    assert heard == sent


def test_a_failure_of_one_object_stands_in_its_result_and_the_rest_is_sent(image):
    answers = iter([0xA700, 0xB000, 0x0000])

    with pacs(lambda _event: next(answers)) as port:
        sent = scu.send([image] * 3, host=LOOPBACK, port=port)

    assert [answer.status for answer in sent] == [0xA700, 0xB000, 0x0000]
    assert [answer.stored for answer in sent] == [False, True, True]


def test_what_the_peer_does_not_accept_is_named_and_the_rest_is_sent(image):
    ct = pydicom.dcmread(get_testdata_file("CT_small.dcm"))
    accepted = [c for c in AllStoragePresentationContexts if c.abstract_syntax == CTImageStorage]

    with pacs(contexts=accepted) as port:
        refused, stored = scu.send([image, ct], host=LOOPBACK, port=port)

    assert not refused.stored
    assert "Digital X-Ray Image Storage" in refused.reason
    assert stored.stored


def test_no_common_context_at_all_is_an_error(image):
    with pacs(contexts=[]) as port, pytest.raises(SendFailed, match="SOP classes"):
        scu.send([image], host=LOOPBACK, port=port)


def test_nobody_at_the_port_is_an_error_that_says_where(image):
    port = free_port()

    with pytest.raises(SendFailed, match=rf"{port} accepts no connection"):
        scu.send([image], host=LOOPBACK, port=port)


def test_a_rejection_names_who_and_why(image):
    with (
        pacs(require_called_aet=True) as port,
        pytest.raises(SendFailed, match=r"OTHER at .* rejected .* ME: Called AE title"),
    ):
        scu.send([image], host=LOOPBACK, port=port, called_ae_title="OTHER", calling_ae_title="ME")


def test_an_association_that_breaks_says_how_far_it_came(image):
    seen = []

    def abort_at_the_second(event):
        seen.append(event)
        if len(seen) == 2:
            event.assoc.abort()
        return 0x0000

    with pacs(abort_at_the_second) as port, pytest.raises(SendFailed, match="after 1 of 3"):
        scu.send([image] * 3, host=LOOPBACK, port=port)


def test_a_peer_that_hangs_up_at_once_is_an_error():
    with socket.create_server((LOOPBACK, 0)) as listener:

        def hang_up():
            connection, _ = listener.accept()
            connection.recv(64)
            connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(SendFailed, match="broke off"):
            scu.echo(host=LOOPBACK, port=listener.getsockname()[1])
        thread.join()


def test_a_file_that_is_not_dicom_is_named(tmp_path):
    text = tmp_path / "note.txt"
    text.write_text("not an image")

    with pytest.raises(SendFailed, match=r"note\.txt is not a DICOM file"):
        scu.send([text], host=LOOPBACK, port=1)
    with pytest.raises(SendFailed, match=r"note\.txt"):
        scu.check(text)


def test_nothing_to_send_opens_no_association():
    assert scu.send([], host=LOOPBACK, port=1) == []


def test_echo_is_answered():
    with pacs() as port:
        scu.echo(host=LOOPBACK, port=port)


@pytest.mark.dcmtk
def test_storescp_receives_existing_files_in_their_own_transfer_syntaxes(tmp_path):
    names = ("CT_small.dcm", "JPEG2000.dcm", "MR_small_RLE.dcm", "JPGLosslessP14SV1_1s_1f_8b.dcm")
    files = [get_testdata_file(name) for name in names]
    port = free_port()
    server = subprocess.Popen(
        ["storescp", "--accept-all", "-od", str(tmp_path), str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        await_listener(port)
        sent = scu.send(
            [Path(file) for file in files],
            host=LOOPBACK,
            port=port,
        )
    finally:
        server.terminate()
        server.wait()

    assert all(answer.stored for answer in sent)
    original = {pydicom.dcmread(file).SOPInstanceUID: pydicom.dcmread(file) for file in files}
    kept = [pydicom.dcmread(path) for path in tmp_path.iterdir()]
    assert len(kept) == len(files)
    for dataset in kept:
        twin = original[dataset.SOPInstanceUID]
        assert dataset.file_meta.TransferSyntaxUID == twin.file_meta.TransferSyntaxUID
        assert dataset.PixelData == twin.PixelData


INTERRUPTED = """
import signal, sys
from triage.dicom import scu

def interrupt(*_):
    raise KeyboardInterrupt

signal.signal(signal.SIGALRM, interrupt)
signal.setitimer(signal.ITIMER_REAL, 0.5)
scu.echo(host="127.0.0.1", port=int(sys.argv[1]))
"""


def test_an_interruption_leaves_no_thread_that_keeps_the_process():
    with socket.create_server((LOOPBACK, 0)) as silent:  # takes the connection, never answers
        ended = subprocess.run(
            [sys.executable, "-c", INTERRUPTED, str(silent.getsockname()[1])],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )

    assert ended.returncode != 0
    assert "KeyboardInterrupt" in ended.stderr
