"""Spool and database that have parted are brought together again."""

import errno
import os
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from tests.support.keeping import RULES, age, ago
from tests.support.waiting import wait_until
from triage.core.retention import Allowance
from triage.doctor.files import check_files
from triage.errors import SpoolUnavailable
from triage.pipeline import reconcile
from triage.pipeline.gather import gather
from triage.pipeline.reconcile import AtStart, Kind, Reconciler
from triage.settings import Settings
from triage.store.files import set_aside
from triage.store.retention import mark_oldest
from triage.store.spool import FOLDERS, Spool


def kinds(found):
    return [each.kind for each in found]


def test_a_file_without_a_row_is_filed_as_of_when_it_came(any_site):
    file = any_site.receive("S", 1)
    any_site.forget(file)

    found = any_site.reconcile()

    assert kinds(found) == [Kind.ADOPTED]
    assert any_site.states("S") == ["pending"]
    row = any_site.row("S")
    assert row.accession_number == "S"
    assert row.received_at.timestamp() == pytest.approx(file.stat().st_mtime, abs=1e-3)
    (entry,) = any_site.audited("adopted")
    assert (entry.actor, entry.detail) == ("triage", "new")
    assert any_site.reconcile() == []


def test_images_that_are_found_in_any_order_make_the_study_as_old_as_its_first(site):
    files = [site.receive("S", number) for number in range(1, 9)]
    site.forget(files[0])
    for hours, file in enumerate(files, start=1):
        age(file, hours)

    site.reconcile()

    assert site.row("S").views == 8
    first = min(file.stat().st_mtime for file in files)
    assert site.row("S").received_at.timestamp() == pytest.approx(first, abs=1e-3)


def test_looking_without_repairing_changes_nothing(site):
    file = site.receive("S")
    site.forget(file)

    assert kinds(site.reconcile(repair=False)) == [Kind.UNFILED]
    assert site.digests() == []


def test_a_file_that_may_be_filed_any_moment_is_left_alone(site):
    file = site.receive("S")
    site.forget(file)
    age(file, 0)

    assert kinds(site.reconcile()) == [Kind.YOUNG]
    assert site.digests() == []


def test_a_file_from_the_future_is_filed_all_the_same(site):
    """The clock was set back since it came."""
    file = site.receive("S")
    site.forget(file)
    age(file, -5)

    assert kinds(site.reconcile()) == [Kind.ADOPTED]
    assert site.row("S").received_at <= datetime.now(UTC)


@pytest.mark.parametrize("order", [(1, 2), (2, 1)])
def test_of_two_versions_that_are_found_in_any_order_the_newer_one_counts(any_site, order):
    versions = {picture: any_site.receive("S", 1, picture=picture) for picture in (1, 2)}
    any_site.forget(versions[1])
    age(versions[1], 2)
    age(versions[2], 1)

    for picture in order:
        assert kinds(any_site.reconcile(folders=[versions[picture].parent.name])) == [Kind.ADOPTED]

    counting = any_site.sql("SELECT digest FROM instance WHERE state <> 'replaced'")
    assert [row.digest for row in counting] == [versions[2].stem]
    assert len(any_site.digests()) == 2
    assert any_site.row("S").views == 1


def test_several_daemons_that_find_the_same_files_file_them_once(any_site):
    files = [any_site.receive(f"S{number}") for number in range(6)]
    any_site.forget(files[0])
    for file in files:
        age(file, 1)

    with ThreadPoolExecutor(3) as daemons:
        list(daemons.map(lambda _: any_site.reconcile(), range(3)))

    assert len(any_site.digests()) == 6
    assert len(any_site.audited("adopted")) == 6


def test_a_file_whose_content_is_not_its_name_s_is_set_aside_and_never_deleted(any_site):
    file = any_site.receive("S")
    any_site.forget(file)
    for content in (b"decayed", b"decayed again"):
        file.write_bytes(content)
        age(file, 1)
        (found,) = any_site.reconcile()
        assert found.kind is Kind.QUARANTINED

    assert any_site.digests() == []
    aside = any_site.spool.directory / "quarantine"
    assert {path.read_bytes() for path in aside.iterdir()} == {b"decayed", b"decayed again"}
    assert len(any_site.audited("quarantined")) == 2


class Overtaken(Spool):
    """A spool in which something happens between the last look at a file and its removal."""

    def __init__(self, directory, meanwhile):
        super().__init__(directory, 0)
        self.meanwhile = meanwhile

    def find(self, digest):
        found = super().find(digest)
        self.meanwhile()
        return found


def test_bytes_that_come_while_their_decayed_file_is_set_aside_have_their_file(any_site):
    file = any_site.receive("S")
    whole = file.read_bytes()
    any_site.forget(file)
    file.write_bytes(b"decayed")
    age(file, 1)
    any_site.arrival("S")  # made once, so that the two below need not make it at once
    with ThreadPoolExecutor(1) as sender:
        coming = []

        def meanwhile():
            if not coming:
                coming.append(sender.submit(any_site.receive, "S"))
                # It has replaced the decayed file, and goes on to file it, if it can.
                wait_until(lambda: file.read_bytes() == whole, "the file is replaced")
                time.sleep(0.5)

        spool = Overtaken(any_site.spool.directory, meanwhile)
        allowance = Allowance(keep=3600, low_water=0)
        reconciler = Reconciler(any_site.database, spool, RULES, allowance)
        list(reconciler.folder(file.stem[:2], repair=True))
        coming[0].result(timeout=60)

    assert any_site.digests() == [file.stem]
    assert file.read_bytes() == whole


def test_a_valid_file_under_another_s_name_is_set_aside(site):
    one, other = site.receive("S", 1), site.receive("S", 2)
    site.forget(one)
    other.write_bytes(one.read_bytes())
    age(other, 1)

    found = site.reconcile()

    assert sorted(kinds(found)) == [Kind.ADOPTED, Kind.QUARANTINED]
    assert site.digests() == [one.stem]


def test_what_is_not_ours_is_left_alone(site):
    folder = site.spool.directory / "ab"
    others = [folder / ".nfs0001", folder / "notes.txt", folder / f"{'cd' * 32}.dcm"]
    for other in others:
        other.write_bytes(b"?")
        age(other, 1)

    assert site.reconcile() == []
    assert all(other.exists() for other in others)


def test_a_row_without_its_file_is_named_and_comes_back_by_sending_again(any_site):
    file = any_site.receive("S")
    file.unlink()
    any_site.lose_all()

    (found,) = any_site.reconcile()
    assert found.kind is Kind.MISSING
    assert (found.lost.accession_number, found.lost.digest) == ("S", file.stem)
    assert any_site.states("S") == ["failed"]
    any_site.receive("S")

    assert file.exists()
    assert any_site.states("S") == ["pending"]
    assert any_site.woken == 2
    assert any_site.reconcile() == []


def test_a_file_that_was_put_back_by_hand_is_scored_when_its_bytes_come_again(site):
    file = site.receive("S")
    content = file.read_bytes()
    file.unlink()
    site.lose_all()
    file.write_bytes(content)

    site.receive("S")

    assert site.states("S") == ["pending"]


def test_a_scored_view_keeps_its_score_when_its_file_has_gone(site):
    file = site.receive("S")
    site.score_all(0.9)
    file.unlink()

    site.rescorer().rescore(site.id("S"), datetime.now(UTC), "ada")
    site.lose_all()

    (view,) = site.detail("S").instances
    assert (view.state, view.probability) == ("scored", 0.9)
    assert view.reason.startswith("file_missing: ")
    site.receive("S")
    assert site.states("S") == ["pending"]


def test_a_new_version_whose_file_has_gone_does_not_keep_the_former_one_s_score(site):
    site.receive("S", 1, picture=1)
    site.score_all(0.9)
    site.receive("S", 1, picture=2).unlink()

    site.lose_all()

    assert site.states("S") == ["replaced", "failed"]
    assert site.row("S").probability is None


def test_a_file_that_was_cut_short_is_named_and_made_whole_by_sending_again(site):
    file = site.receive("S")
    whole = file.read_bytes()
    os.truncate(file, len(whole) // 2)

    (found,) = site.reconcile()
    assert (found.kind, found.lost.size) == (Kind.DAMAGED, len(whole) // 2)
    site.receive("S")

    assert file.read_bytes() == whole
    assert site.reconcile() == []


def test_bytes_that_decayed_on_the_disk_are_made_whole_by_sending_again(site):
    file = site.receive("S")
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))

    site.receive("S")

    assert file.read_bytes() == whole
    assert [entry.detail for entry in site.audited("received")] == ["new", "restored"]


@pytest.mark.parametrize("gone", ["lost", "deleted after the reading"])
def test_of_two_senders_of_a_lost_object_one_restores_it(any_site, gone):
    file = any_site.receive("S")
    if gone == "lost":
        file.unlink()
    else:
        any_site.mark_read("S", hours_ago=2)
        any_site.retention().tick()
    coming = [lambda: any_site.receive("S")]

    def meanwhile():
        if coming:
            coming.pop()()

    any_site.receive("S", spool=Overtaken(any_site.spool.directory, meanwhile))

    assert not coming
    assert [entry.detail for entry in any_site.audited("received")] == ["new", "restored"]
    restored = [line for line in any_site.detail("S").history if line.kind == "file_restored"]
    assert len(restored) == 1
    file.unlink()  # lost once more, which is another time
    any_site.receive("S")
    assert len(any_site.audited("received")) == 3


def test_nobody_misses_a_former_version_or_what_was_read_long_ago(site):
    for picture in (1, 2):
        former = site.receive("S", 1, picture=picture)
        if picture == 1:
            former.unlink()
    site.receive("READ").unlink()
    site.mark_read("READ", hours_ago=2)

    assert site.reconcile(keep=3600) == []


def test_a_file_that_retention_had_deleted_is_deleted_again(any_site):
    file = any_site.receive("S")
    any_site.mark_read("S", hours_ago=2)
    mark_oldest(
        any_site.database, ago(0), why="spool.keep"
    )  # and killed before it deleted the file

    assert kinds(any_site.reconcile(repair=False)) == [Kind.LEFT_OVER]
    assert kinds(any_site.reconcile()) == [Kind.DELETED_AGAIN]

    assert not file.exists()
    size = any_site.sql("SELECT size FROM instance")[0].size
    first, again = any_site.audited("pixels_deleted")
    assert first.detail == f"1 files, {size} bytes, spool.keep"
    assert again.detail == f"1 files, {size} bytes, deleted before and there again"


def test_the_deleted_files_of_a_study_that_is_unread_again_are_kept_when_they_come_back(any_site):
    """The spool was restored to the time before its retention."""
    file = any_site.receive("S", 1)
    content = file.read_bytes()
    any_site.mark_read("S", hours_ago=2)
    any_site.retention().tick()
    any_site.receive("S", 2)
    file.write_bytes(content)

    assert kinds(any_site.reconcile(repair=False)) == [Kind.LEFT_OVER]
    assert kinds(any_site.reconcile()) == [Kind.KEPT]

    assert file.read_bytes() == content
    assert any_site.states("S") == ["pending", "pending"]
    assert len(any_site.audited("pixels_deleted")) == 1
    (entry,) = any_site.audited("adopted")
    assert (entry.actor, entry.detail) == ("triage", "restored")
    assert any_site.reconcile() == []


def test_the_daemon_brings_in_what_it_finds_and_wakes_the_scorer(site):
    file = site.receive("S")
    site.forget(file)
    allowance = Allowance(keep=3600, low_water=0)
    woken = []
    at_start = AtStart(
        Reconciler(site.database, site.spool, RULES, allowance), lambda: woken.append(time.time())
    )

    at_start.start()
    wait_until(lambda: woken, "the scorer is woken")
    at_start.stop()

    assert site.digests() == [file.stem]


def test_a_file_that_the_database_refuses_keeps_no_other(site):
    files = [site.receive("S", number) for number in range(1, 6)]
    site.forget(files[0])
    for file in files:
        age(file, 1)
    refused = files[2].stem
    with site.database.writing() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER refuses BEFORE INSERT ON instance"
            f" WHEN NEW.digest = '{refused}' BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )

    found = site.reconcile()

    assert sorted(kinds(found)) == [Kind.ADOPTED] * 4 + [Kind.FAILED]
    assert [each.file.digest for each in found if each.kind is Kind.FAILED] == [refused]


@pytest.mark.parametrize(
    "reads", ["triage.dicom.digest.read_transfer_syntax", "triage.dicom.header.read_excerpt"]
)
def test_for_want_of_memory_no_file_is_set_aside(site, monkeypatch, reads):
    file = site.receive("S")
    site.forget(file)

    def in_vain(*_args, **_options):
        raise MemoryError

    with monkeypatch.context() as patches:
        patches.setattr(reads, in_vain)
        (found,) = site.reconcile()

    assert (found.kind, found.why) == (Kind.FAILED, "the memory does not suffice")
    assert (file.exists(), site.spool.quarantined()) == (True, 0)
    assert kinds(site.reconcile()) == [Kind.ADOPTED]
    assert site.states("S") == ["pending"]


def test_a_disk_that_fails_within_a_file_has_it_stay_where_it_is(site, monkeypatch):
    file = site.receive("S")
    site.forget(file)

    def in_vain(*_args, **_options):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patches:
        patches.setattr("triage.dicom.header.read_excerpt", in_vain)
        (found,) = site.reconcile()

    assert (found.kind, found.why) == (Kind.UNREADABLE, "Input/output error")
    assert (file.exists(), site.spool.quarantined()) == (True, 0)
    assert kinds(site.reconcile()) == [Kind.ADOPTED]


def test_for_want_of_memory_a_study_that_is_scored_again_stays_as_it_was_judged(site, monkeypatch):
    site.receive("S")
    site.score_all()

    def in_vain(*_args, **_options):
        raise MemoryError

    monkeypatch.setattr("triage.dicom.header.read_excerpt", in_vain)
    with capture_logs() as events:
        site.rescorer().rescore(site.id("S"), datetime.now(UTC), "ada")

    assert [event.get("reason") for event in events if event["event"] == "file_not_judged"] == [
        "MemoryError"
    ]
    assert site.states("S") == ["pending"]


def test_for_want_of_memory_a_file_in_a_folder_is_named_and_not_passed_over(
    site, monkeypatch, tmp_path
):
    site.arrival("S")  # makes its file

    def in_vain(*_args, **_options):
        raise MemoryError

    monkeypatch.setattr("triage.dicom.header.read_excerpt", in_vain)
    found = gather([tmp_path / "made"], study_type=None, rules=RULES)

    assert found.studies == []
    (sentence,) = found.unreadable
    assert sentence.endswith(".dcm: the memory does not suffice to read it")


class Hidden(Spool):
    """A spool with a folder that the disk does not show."""

    hidden = "00"

    def files(self, folder):
        if folder == self.hidden:
            raise SpoolUnavailable(f"{folder}: input/output error")
        return super().files(folder)


def test_a_folder_that_cannot_be_listed_is_said_keeps_no_other_and_is_tried_again(
    site, monkeypatch
):
    monkeypatch.setattr(reconcile, "UNLISTED_RETRY", 0.1)
    site.forget(site.receive("S"))
    spool = Hidden(site.spool.directory, 0)
    reconciler = Reconciler(site.database, spool, RULES, Allowance(keep=3600, low_water=0))
    with capture_logs() as events:
        at_start = AtStart(reconciler, site.wake)

        def reconciled():
            return [event for event in events if event["event"] == "spool_reconciled"]

        at_start.start()
        wait_until(lambda: len(reconciled()) > 1, "it has ended twice")
        spool.hidden = ""
        wait_until(lambda: "unlisted" not in reconciled()[-1], "the folder has been listed")
        at_start._thread.join(10)

    assert not at_start._thread.is_alive()
    assert site.states("S") == ["pending"]
    first, again, *_ = reconciled()
    assert (first["unlisted"], first["adopted"]) == (1, 1)
    assert (again["unlisted"], "adopted" in again) == (1, False)
    told = [event for event in events if event["event"] == "folder_unreadable"]
    assert {event["reason"] for event in told} == {"00: input/output error"}


@pytest.mark.parametrize("lost", [False, True])
def test_doctor_names_a_folder_that_cannot_be_listed_and_looks_through_the_others(
    site, monkeypatch, lost
):
    file = site.receive("S")
    name = next(name for name in FOLDERS if name != file.parent.name)
    if lost:
        file.unlink()
    folder = site.spool.directory / name
    folder.rmdir()
    folder.symlink_to(folder)  # a loop, which root cannot list either
    settings = Settings(
        database={"url": site.database.url}, spool={"directory": site.spool.directory}
    )

    finding = check_files(settings, repair=False)

    assert finding.status == "failed"
    assert f"1 folders cannot be listed, such as {folder}: " in finding.message
    assert "see to the disk" in finding.action
    assert ("1 missing" in finding.message) is lost


def test_a_daemon_that_is_killed_before_it_moves_a_file_aside_moves_it_at_its_next_start(any_site):
    file = any_site.receive("S")
    any_site.forget(file)
    file.write_bytes(b"decayed")
    age(file, 1)

    class Killed(BaseException):
        pass

    def killed():
        raise Killed

    now = datetime.now(UTC)
    with pytest.raises(Killed):
        set_aside(any_site.database, file.stem, "decayed", now, killed)
    assert file.exists()

    assert kinds(any_site.reconcile()) == [Kind.QUARANTINED]
    assert not file.exists()
    assert len(any_site.audited("quarantined")) == 2


def test_what_is_no_file_is_passed_over_and_holds_up_nobody(site):
    kept = site.receive("S")
    for number, make in enumerate((os.mkfifo, lambda path: path.symlink_to(kept))):
        make(kept.with_name(f"{kept.name[:2]}{number:062x}.dcm"))

    assert site.reconcile() == []
    assert kept.is_file()
    assert len(site.spool.foreign()) == 2


def test_what_is_none_of_ours_is_named_wherever_it_lies(site):
    kept = site.receive("S")
    strangers = [site.spool.directory / "README", kept.parent / "notes.txt"]
    for path in strangers:
        path.touch()

    assert site.spool.foreign() == strangers
    assert site.reconcile() == []
