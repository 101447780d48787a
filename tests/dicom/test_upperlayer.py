"""The upper layer's own parts; what it does for an association, the acceptance tests try."""

import select
import struct
import threading
import time
from types import SimpleNamespace

import pytest

from triage.dicom import digest, upperlayer
from triage.dicom.dataset import LEAST_KEPT, DataSet
from triage.dicom.upperlayer import Bell, fragments


def p_data(*items):
    """Return a P-DATA-TF PDU (PS3.8 9.3.5) of (presentation context, fragment)."""
    body = b"".join(struct.pack(">LB", len(data) + 1, context) + data for context, data in items)
    return memoryview(struct.pack(">BBL", 4, 0, len(body)) + body)


def test_a_pdu_gives_its_fragments_as_they_are():
    found = fragments(p_data((1, b"\3command"), (3, b"\2data")))

    assert [(f.presentation_context_id, bytes(f.presentation_data_value)) for f in found] == [
        (1, b"\3command"),
        (3, b"\2data"),
    ]


@pytest.mark.parametrize(
    "body",
    [
        b"\0\0\0\1\1",  # no message control header
        b"\0\0\0\0\1",
        b"\0\0\0\5\1\0",  # longer than the PDU
        b"\xff\xff\xff\xff\1\0",
        b"\0\0\0\3\1\0\0\0\0",  # rubbish after the item
    ],
)
def test_items_that_do_not_fill_the_pdu_are_refused(body):
    with pytest.raises((ValueError, struct.error)):
        fragments(memoryview(struct.pack(">BBL", 4, 0, len(body)) + body))


def test_a_bell_wakes_who_waits_and_who_comes_late():
    bell = Bell()
    threading.Timer(0.05, bell.ring).start()

    begun = time.monotonic()
    assert select.select([bell.fileno()], [], [], 10)[0]
    assert time.monotonic() - begun < 5
    assert select.select([bell.fileno()], [], [], 0)[0], "it is still to be heard"

    bell.hush()
    bell.hush()
    assert not select.select([bell.fileno()], [], [], 0)[0]
    bell.close()
    bell.ring()
    bell.hush()
    bell.close()
    assert bell.fileno() is None


def test_a_message_that_waits_already_is_handed_out_at_once(monkeypatch):
    news = threading.Event()
    inbox = upperlayer._Inbox(news)
    monkeypatch.setattr(upperlayer, "LOOK", 5.0)
    for number in (1, 2, 3):
        inbox.put(number)

    begun = time.monotonic()
    assert [inbox.get(block=False) for _ in range(3)] == [1, 2, 3]
    assert time.monotonic() - begun < 5
    assert not news.is_set(), "it is no news any more"


@pytest.mark.parametrize(
    "sizes", [[], [0], [0, 1], [1], [LEAST_KEPT], [1, 2, LEAST_KEPT, 3, 4, LEAST_KEPT + 1]]
)
def test_a_data_set_is_its_fragments_and_has_their_digest(sizes):
    syntax = "1.2.840.10008.1.2.1"
    contexts = {3: SimpleNamespace(transfer_syntax=[syntax])}
    data_set = DataSet(SimpleNamespace(_accepted_cx=contexts), SimpleNamespace(context_id=3))
    sent = [bytes([number]) * size for number, size in enumerate(sizes)]

    for fragment in sent:
        data_set.write(memoryview(bytearray(fragment)))

    assert b"".join(data_set.fragments) == b"".join(sent)
    expected = digest.begin(syntax)
    expected.update(b"".join(sent))
    assert data_set.digest == (expected.hexdigest() if any(sent) else "")
