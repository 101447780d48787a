"""The spool: what is there under its name is whole, whoever else works in the folder."""

import threading

import pytest

from triage.errors import BadInstance, SpoolUnavailable
from triage.store.spool import Spool

DIGEST = "ab" * 32


@pytest.fixture
def spool(tmp_path):
    spool = Spool(tmp_path / "spool", 0)
    spool.prepare()
    return spool


@pytest.mark.parametrize("damage", [b"", b"goox", b"good and more"])
def test_an_object_that_comes_again_mends_its_file(spool, damage):
    spool.keep(DIGEST, [b"go", b"od"])
    spool.path(DIGEST).write_bytes(damage)

    spool.keep(DIGEST, [b"go", b"od"])

    assert spool.path(DIGEST).read_bytes() == b"good"


def test_an_object_that_is_there_whole_is_not_written_again(spool):
    spool.keep(DIGEST, [b"go", b"od"])
    before = spool.path(DIGEST).stat()

    spool.keep(DIGEST, [b"go", b"od"])

    after = spool.path(DIGEST).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_daemon_that_starts_does_not_mind_another_that_receives(spool):
    over = threading.Event()

    def receive():
        number = 0
        while not over.is_set():
            number += 1
            spool.keep(f"{number:064x}", [b"object"])

    receivers = [threading.Thread(target=receive) for _ in range(2)]
    for receiver in receivers:
        receiver.start()
    try:
        for _ in range(200):
            Spool(spool.directory, 0).prepare()
    finally:
        over.set()
        for receiver in receivers:
            receiver.join()


def test_an_object_that_is_not_approved_gets_no_name_and_leaves_nothing(spool):
    seen = []

    def refuse():
        seen.extend(path.stat().st_size for path in (spool.directory / "incoming").iterdir())
        raise BadInstance("no header")

    with pytest.raises(BadInstance):
        spool.keep("a" * 64, [b"object"], approved=refuse)

    assert seen == [len(b"object")], "it was asked for while the bytes had no name"
    assert spool.find("a" * 64) is None
    assert list((spool.directory / "incoming").iterdir()) == []


@pytest.mark.parametrize("folder", ["incoming", "5c"])
def test_a_folder_that_somebody_removed_is_made_again(spool, folder):
    digest = "5c" + 62 * "0"
    (spool.directory / folder).rmdir()

    spool.keep(digest, [b"good"])

    assert spool.path(digest).read_bytes() == b"good"
    assert list((spool.directory / "incoming").iterdir()) == []


def test_where_all_folders_are_gone_so_is_the_disk_and_nothing_is_written_beside_it(spool):
    for folder in spool.directory.iterdir():
        folder.rmdir()

    with pytest.raises(SpoolUnavailable, match="is its disk mounted"):
        spool.keep(64 * "0", [b"good"])

    assert list(spool.directory.iterdir()) == []
