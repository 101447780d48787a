"""Pictures for people to see, from processes that may die, whoever asks for them."""

import os
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.support import studies
from tests.support.waiting import wait_until
from triage.errors import DecodersUnavailable, ViewUnreadable
from triage.pipeline import pictures
from triage.pipeline.pictures import Pictures

SECONDS = 60


@pytest.fixture
def radiograph(tmp_path):
    """Return a function that writes a made-up radiograph and returns its path."""

    def write(number=1):
        folder = tmp_path / f"radiograph{number}"
        (sample,) = studies.write_study(folder, f"SEEN{number}", [studies.picture(number)])
        return sample.file

    return write


@pytest.fixture
def asked():
    """Pictures, of which nothing is left at the end."""
    before = processes()
    with closing(Pictures()) as asked:
        yield asked
    assert processes() <= before


def processes():
    """Return the processes that are ours."""
    tasks = Path("/proc/self/task").iterdir()
    return {pid for task in tasks for pid in (task / "children").read_text().split()}


def test_each_who_asks_gets_what_they_asked_for(asked, radiograph):

    coming = [asked.read(radiograph(number), 1, 6000) for number in range(8)]

    for number, future in enumerate(coming):
        picture = future.result(SECONDS)
        assert (picture.rows, picture.columns) == studies.picture(number).shape
        assert picture.pixels == studies.picture(number).tobytes()


def test_a_file_that_holds_its_decoder_keeps_no_other_waiting(asked, radiograph, tmp_path):
    trap = tmp_path / "trap.dcm"
    os.mkfifo(trap)

    held = asked.read(trap, 1, 6000)
    good = [asked.read(radiograph(number), 1, 100).result(SECONDS) for number in range(2)]

    assert [max(each.rows, each.columns) for each in good] == [100] * 2
    assert not held.done()


def test_a_file_that_cannot_be_read_says_why(asked, tmp_path):
    note = tmp_path / "note.dcm"
    note.write_text("no DICOM")

    with pytest.raises(ViewUnreadable, match="not a DICOM file") as caught:
        asked.read(note, 1, 100).result(SECONDS)

    assert caught.value.code == "not_an_image"


def test_the_decoders_end_when_nobody_looks_and_come_back(asked, radiograph, monkeypatch):
    monkeypatch.setattr(pictures, "IDLE", 0.2)
    before = processes()

    for _ in range(2):
        assert asked.read(radiograph(), 1, 50).result(SECONDS).rows
        wait_until(lambda: processes() <= before, "the end of the decoders", seconds=SECONDS)


def test_who_asks_while_no_decoder_starts_is_told_and_the_next_is_served(
    asked, radiograph, monkeypatch
):
    with monkeypatch.context() as broken:
        broken.setattr(sys, "executable", "/bin/false")
        with pytest.raises(DecodersUnavailable, match="ended as it started"):
            asked.read(radiograph(), 1, 50).result(SECONDS)

    assert asked.read(radiograph(), 1, 50).result(SECONDS).rows


def test_what_is_still_read_when_all_ends_fails(tmp_path):
    trap = tmp_path / "trap.dcm"
    os.mkfifo(trap)
    asked = Pictures()
    held = asked.read(trap, 1, 100)

    asked.close()

    with pytest.raises(DecodersUnavailable, match="the daemon ends"):
        held.result(SECONDS)
