"""A command that works ends in order, whenever it is told to."""

import signal

import pytest

from triage.ending import orderly, uninterrupted


@pytest.fixture(autouse=True)
def heard():
    """Have no signal ignored, as nohup and a shell's background leave them."""
    usual = {
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
        signal.SIGINT: signal.default_int_handler,
    }
    former = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in former.items():
        signal.signal(number, handler)


def told(number, done):
    with orderly():
        with uninterrupted():
            signal.raise_signal(number)
            done.append("whole")
        done.append("more")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_end_waits_until_what_has_begun_is_whole(number):
    done = []
    with pytest.raises(SystemExit) as end:
        told(number, done)

    assert (end.value.code, done) == (128 + number, ["whole"])


def test_ctrl_c_waits_too():
    done = []
    with pytest.raises(KeyboardInterrupt):
        told(signal.SIGINT, done)

    assert done == ["whole"]


def test_a_signal_that_is_ignored_stays_so():
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    done = []
    try:
        told(signal.SIGHUP, done)
    finally:
        signal.signal(signal.SIGHUP, former)

    assert done == ["whole", "more"]
