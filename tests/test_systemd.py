"""sd_notify(3): what systemd hears, and that nothing breaks when nobody listens."""

import os
import socket

import pytest

from triage import systemd


@pytest.fixture
def listener(tmp_path, monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "notify"))
        listener.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield listener


def test_the_messages_arrive_one_a_line(listener):
    systemd.notify("READY=1", "STATUS=receiving")

    assert listener.recv(1000) == b"READY=1\nSTATUS=receiving"


def test_without_systemd_nothing_happens(monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)

    systemd.notify("READY=1")


def test_a_listener_that_is_gone_breaks_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))

    systemd.notify("STOPPING=1")


@pytest.mark.parametrize(
    ("pid", "interval"),
    [(None, 30.0), (str(os.getpid()), 30.0), ("1", None)],
    ids=["nobody", "this process", "another"],
)
def test_the_watchdog_is_meant_for_the_process_that_systemd_names(monkeypatch, pid, interval):
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    if pid is None:
        monkeypatch.delenv("WATCHDOG_PID", raising=False)
    else:
        monkeypatch.setenv("WATCHDOG_PID", pid)

    assert systemd.watchdog_interval() == interval
