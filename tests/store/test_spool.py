"""The spool: what is there under its name is whole, whoever else works in the folder."""

import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.support import disks
from tests.support.daemon import environment
from triage.doctor import Status, examine
from triage.errors import BadInstance, SpoolUnavailable
from triage.settings import Settings
from triage.store.spool import FOLDERS, Spool

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
        spool.keep("a" * 64, [b"object"], check=lambda: refuse)

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


@pytest.mark.strace
@pytest.mark.parametrize("there", ["", "a", "a/b/spool"])
def test_every_folder_that_is_made_has_its_name_on_the_disk(tmp_path, there):
    (tmp_path / there).mkdir(parents=True, exist_ok=True)
    spool, trace = tmp_path / "a/b/spool", tmp_path / "trace"
    prepare = "import sys; from pathlib import Path; from triage.store.spool import Spool\n"
    prepare += "Spool(Path(sys.argv[1]), 0).prepare()"
    options = ["-f", "-y", "--trace=mkdir,fsync", "-o", str(trace)]
    subprocess.run(
        ["strace", *options, sys.executable, "-c", prepare, spool], env=environment(), check=True
    )

    lines = trace.read_text("utf-8").splitlines()
    made, synced = {}, {}
    for number, line in enumerate(lines):
        if match := re.search(r'mkdir\("(.*?)", \d+\) += 0', line):
            made[Path(match[1])] = number
        elif match := re.search(r"fsync\(\d+<(.*?)>\) += 0", line):
            synced[Path(match[1])] = number
    assert {spool / name for name in FOLDERS} <= set(made)
    assert {folder for folder, at in made.items() if synced.get(folder.parent, -1) < at} == set()
    # What a start that was killed has made and not made durable, the next one does.
    assert {spool, spool.parent, spool.parent.parent, tmp_path} <= set(synced)


@pytest.mark.mounts
def test_the_doctor_names_the_mount_that_is_read_only(tmp_path):
    with disks.tmpfs(tmp_path / "disk", 1 << 20) as disk:
        Spool(disk / "spool", 0).prepare()
        url = f"sqlite:///{tmp_path / 'triage.db'}"
        site = Settings.model_validate(
            {"spool": {"directory": disk / "spool"}, "database": {"url": url}}
        )
        disks.remount(disk, "ro")

        found = next(finding for finding in examine(site) if finding.check == "spool")

        assert found.status is Status.FAILED
        assert "Read-only file system" in found.message
        assert f"{disk} is mounted read-only" in found.action
        assert f"mount -o remount,rw {disk}" in found.action
