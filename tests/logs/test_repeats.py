"""The same error is a line a minute; errors that differ are never held back."""

import logging
import threading

import pytest

from triage.logs.repeats import EVERY, OF_A_PEER, Repeats


class Log:
    """What passes the filter, with a clock that the test sets."""

    def __init__(self, **options):
        self.now = 0.0
        self.passed = []
        self._filter = Repeats(clock=lambda: self.now, **options)

    def write(self, level, msg, exc_info=None):
        record = logging.LogRecord("triage.x", level, "f", 1, msg, (), exc_info)
        if self._filter.filter(record):
            self.passed.append(record.msg)

    def error(self, event="database_unavailable", **fields):
        self.write(logging.ERROR, {"event": event, "level": "error", **fields})


@pytest.fixture
def log():
    return Log()


def test_the_first_is_told_and_then_one_a_minute_with_how_many_were_not(log):
    for second in range(130):
        log.now = float(second)
        log.error(reason="connection refused", sop_instance_uid=f"1.2.{second}", timestamp=second)

    assert [entry.get("suppressed") for entry in log.passed] == [None, 59, 59]


def test_what_was_held_back_is_told_when_it_comes_again_after_a_silence(log):
    log.error(reason="x")
    log.error(reason="x")
    log.now = 10 * EVERY

    log.error(reason="x")
    log.error(reason="x")

    assert [entry.get("suppressed") for entry in log.passed] == [None, 1]


@pytest.mark.parametrize(
    "other",
    [
        {"event": "spool_unavailable"},
        {"level": "warning"},
        {"reason": "out of connections"},
        {"loop": "overdue"},
        {"check": "dicom.max_associations"},
        {"address": "192.0.2.2"},
        {"calling_ae_title": "CT1"},
        {"status": "A900"},
        {"pid": 12},
        {"reason": "the data set's SOP class is 1.2.840.10008.5.1.4.1.1.2"},
    ],
)
def test_errors_that_differ_are_all_told(log, other):
    usual = {
        "reason": "connection refused",
        "loop": "complete",
        "check": "dicom.allow",
        "pid": 11,
        "address": "192.0.2.1",
        "calling_ae_title": "CT",
        "status": "C000",
        "event": "e",
    }
    log.error(**usual)
    log.error(**usual | other)

    assert len(log.passed) == 2


@pytest.mark.parametrize("event", ["association_refused", "association_dropped"])
def test_of_a_peer_that_varies_what_it_says_of_itself_so_many_are_told_a_minute(log, event):
    def refused(number, address="192.0.2.1", check="dicom.allow"):
        title = f"PEER{number}"
        said = {"calling_ae_title": title, "action": f"add {title}", "reason": f"{title}!"}
        log.error(event, check=check, address=address, **said)

    for number in range(100):
        refused(number)
    refused(1, address="192.0.2.2")
    refused(1, check="request")
    log.now = EVERY
    refused(0)

    told = [(entry["check"], entry["address"], entry["calling_ae_title"]) for entry in log.passed]
    assert told == [
        *(("dicom.allow", "192.0.2.1", f"PEER{number}") for number in range(OF_A_PEER)),
        ("dicom.allow", "192.0.2.2", "PEER1"),
        ("request", "192.0.2.1", "PEER1"),
        ("dicom.allow", "192.0.2.1", "PEER0"),
    ]


def test_two_refusals_of_a_peer_that_are_mended_differently_are_both_told(log):
    for action in ("renew the certificate", "take a longer key", "renew the certificate"):
        log.error("association_refused", check="tls", address="192.0.2.1", action=action)

    assert [entry["action"] for entry in log.passed] == [
        "renew the certificate",
        "take a longer key",
    ]


def test_a_count_in_the_sentence_makes_no_other_error(log):
    for free in (1000, 999, 12):
        log.error(reason=f"/spool: {free} bytes free, and spool.min_free keeps 4096")

    assert len(log.passed) == 1


def test_the_same_exception_from_the_same_line_is_the_same_error(log):
    def fail(kind, text):
        raise kind(text)

    for kind, text in ((ValueError, "a"), (ValueError, "b"), (KeyError, "a")):
        try:
            fail(kind, text)
        except Exception:
            log.error("loop_failed", exc_info=True)

    assert len(log.passed) == 2


def test_nothing_below_warning_is_held_back(log):
    for _ in range(50):
        log.write(logging.INFO, {"event": "instance_stored", "level": "info"})

    assert len(log.passed) == 50


def test_what_a_library_says_again_and_again_is_held_back_too(log):
    for number in range(5):
        log.write(logging.ERROR, f"Exception terminating connection {number}")

    assert len(log.passed) == 1


def test_only_so_many_errors_are_remembered():
    log = Log(kinds=10)
    for number in range(1000):
        log.error(address=f"192.0.2.{number}")

    assert len(log.passed) == 1000
    assert len(log._filter._told) == 10


def test_threads_that_log_at_once_lose_no_count(log):
    def shout():
        for _ in range(500):
            log.error(reason="x")

    threads = [threading.Thread(target=shout) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.now = EVERY
    log.error(reason="x")

    assert [entry.get("suppressed") for entry in log.passed] == [None, 3999]
