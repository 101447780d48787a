"""The pixel data of read studies goes when its time is over, or when the disk is full."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from tests.support.keeping import RULES, SmallDisk, age, ago
from tests.support.waiting import wait_until
from triage.core.study import Patience
from triage.core.tally import Tally
from triage.errors import NothingToScore, SpoolUnavailable
from triage.pipeline import retain
from triage.pipeline.receive import Intake
from triage.store import progress, reading, rescoring, retention, scoring
from triage.store.spool import Spool


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch):
    """Every tick looks for what is due."""
    monkeypatch.setattr(retain, "DUE_EVERY", 0.0)


def details(site, study):
    """Return what `triage show` says of each of the study's instances."""
    return [each.reason for each in site.detail(study).instances]


def test_what_was_read_long_enough_ago_loses_its_files_and_keeps_its_scores(any_site):
    old, lately = any_site.receive("OLD"), any_site.receive("LATELY")
    any_site.score_all(0.9)
    any_site.mark_read("OLD", hours_ago=2)
    any_site.mark_read("LATELY", hours_ago=0.5)

    any_site.retention().tick()

    assert (old.exists(), lately.exists()) == (False, True)
    (shown,) = any_site.detail("OLD").instances
    assert (shown.state, shown.probability) == ("scored", 0.9)
    assert shown.reason.startswith("pixels_deleted: ")
    assert any_site.detail("LATELY").instances[0].reason is None
    (entry,) = any_site.audited("pixels_deleted")
    assert (entry.actor, entry.accession_number) == ("triage", "OLD")
    assert entry.detail.startswith("1 files, ")
    assert any_site.kinds("OLD")[-1] == "pixels_deleted"


def test_what_nobody_has_read_is_never_deleted_however_full_the_disk_is(site):
    unread, claimed = site.receive("UNREAD"), site.receive("CLAIMED")
    reading.claim(site.database, site.id("CLAIMED"), "ada", ago(9))

    site.retention(keep=0.001, low_water=2**60).tick()

    assert unread.exists()
    assert claimed.exists()


def test_the_files_of_former_versions_go_with_the_study(site):
    first = site.receive("S", picture=1)
    second = site.receive("S", picture=2)
    site.mark_read("S", hours_ago=2)

    site.retention().tick()

    assert first != second
    assert site.files() == set()
    assert [reason.partition(":")[0] for reason in details(site, "S")] == ["pixels_deleted"] * 2


def test_below_the_low_water_mark_the_longest_read_goes_first_and_no_more_than_it_takes(
    site, tmp_path
):
    disk = SmallDisk(tmp_path / "spool", 0)
    files = [site.receive(f"S{hours}", number=hours, spool=None) for hours in (1, 2, 3, 4)]
    for hours in (1, 2, 3, 4):
        site.mark_read(f"S{hours}", hours_ago=hours)
    disk.capacity = sum(file.stat().st_size for file in files)
    oldest, next_oldest = files[3].stat().st_size, files[2].stat().st_size

    # One byte more than the oldest has: the next one goes too.
    site.retention(keep=10**6, low_water=oldest + 1, spool=disk).tick()

    assert [file.exists() for file in files] == [True, True, False, False]
    assert disk.free() == oldest + next_oldest


def test_room_is_made_at_every_tick_and_what_is_due_goes_once_in_a_while(
    site, tmp_path, monkeypatch
):
    monkeypatch.setattr(retain, "DUE_EVERY", 3600.0)
    disk = SmallDisk(tmp_path / "spool", 10**9)
    due, early = site.receive("DUE"), site.receive("EARLY")
    ticking = site.retention(keep=3600, low_water=1, spool=disk)
    ticking.tick()
    site.mark_read("DUE", hours_ago=2)
    site.mark_read("EARLY", hours_ago=0.5)

    ticking.tick()
    assert due.exists()
    disk.capacity = due.stat().st_size
    ticking.tick()

    assert (due.exists(), early.exists()) == (False, False)


def test_what_a_tick_has_no_time_for_goes_at_the_next_ones(site, monkeypatch):
    monkeypatch.setattr(retain, "DUE_EVERY", 3600.0)
    monkeypatch.setattr(retain, "BUDGET", 0.0)
    files = [site.receive(f"S{number}") for number in range(3)]
    for number in range(3):
        site.mark_read(f"S{number}", hours_ago=2)
    ticking = site.retention()

    left = []
    for _ in files:
        ticking.tick()
        left.append(sum(file.exists() for file in files))

    assert left == [2, 1, 0]


def test_what_a_killed_daemon_left_half_written_goes_when_it_is_an_hour_old(site):
    young, old = (site.spool.directory / "incoming" / name for name in ("young", "old"))
    for file, hours in ((young, 0.5), (old, 1.5)):
        file.write_bytes(b"half")
        age(file, hours)

    site.retention().tick()

    assert (young.exists(), old.exists()) == (True, False)


def test_a_large_study_is_deleted_in_several_transactions(any_site, monkeypatch):
    monkeypatch.setattr(retention, "FILES", 2)
    for number in range(1, 6):
        any_site.receive("S", number)
    any_site.mark_read("S", hours_ago=2)

    any_site.retention().tick()

    assert any_site.files() == set()
    assert [entry.detail.split()[0] for entry in any_site.audited("pixels_deleted")] == [
        "2",
        "2",
        "1",
    ]


def test_several_daemons_at_once_delete_each_file_once(any_site):
    for number in range(12):
        any_site.receive(f"S{number}")
        any_site.mark_read(f"S{number}", hours_ago=2 + number)

    def go_on(retention):
        """Tick until nothing is left: a tick ends early where the disk is slow."""
        wait_until(lambda: retention.tick() or not any_site.files(), "all is deleted", seconds=60)

    with ThreadPoolExecutor(4) as daemons:
        list(daemons.map(go_on, [any_site.retention() for _ in range(4)]))

    assert len(any_site.audited("pixels_deleted")) == 12


def test_a_new_image_of_a_read_study_keeps_all_of_it(site):
    first = site.receive("S", 1)
    site.mark_read("S", hours_ago=2)
    second = site.receive("S", 2)

    site.retention().tick()

    assert first.exists()
    assert second.exists()
    assert site.detail("S").reading_state == "unread"


def test_the_bytes_that_come_again_are_there_again_and_stay_for_a_while(any_site):
    file = any_site.receive("S")
    any_site.score_all(0.9)
    any_site.mark_read("S", hours_ago=2)
    any_site.retention().tick()

    any_site.receive("S")
    any_site.retention().tick()

    assert file.exists()
    assert details(any_site, "S") == [None]
    assert (any_site.row("S").probability, any_site.detail("S").reading_state) == (0.9, "read")
    assert [entry.detail for entry in any_site.audited("received")] == ["new", "restored"]


class Interrupted(Spool):
    """A spool in which something happens between the bytes and their row."""

    def __init__(self, spool, meanwhile):
        super().__init__(spool.directory, 0)
        self.meanwhile = meanwhile

    def keep(self, digest, parts, **check):
        written = super().keep(digest, parts, **check)
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        return written


def test_a_file_that_is_deleted_while_its_bytes_come_again_is_written_again(any_site):
    file = any_site.receive("S")
    any_site.mark_read("S", hours_ago=2)

    any_site.receive("S", spool=Interrupted(any_site.spool, any_site.retention().tick))

    assert len(any_site.audited("pixels_deleted")) == 1
    assert file.exists()
    assert details(any_site, "S") == [None]


def test_bytes_that_come_between_mark_and_deletion_are_not_deleted(any_site):
    file = any_site.receive("S")
    any_site.mark_read("S", hours_ago=2)
    marked = retention.mark_oldest(any_site.database, datetime.now(UTC), why="spool.keep")

    any_site.receive("S")
    done = delete_marked(any_site, marked)

    assert done.deleted == 0
    assert file.exists()


def delete_marked(site, marked):
    return retention.delete_marked(
        site.database, site.spool, marked.study_id, marked.digests, datetime.now(UTC)
    )


def test_a_study_that_became_unread_between_mark_and_deletion_keeps_its_files(any_site):
    file = any_site.receive("S", 1)
    any_site.mark_read("S", hours_ago=2)
    marked = retention.mark_oldest(any_site.database, datetime.now(UTC), why="spool.keep")
    any_site.receive("S", 2)

    done = delete_marked(any_site, marked)

    assert (done.deleted, done.kept) == (0, 1)
    assert file.exists()
    assert details(any_site, "S") == [None, None]
    assert any_site.states("S") == ["pending", "pending"]
    (entry,) = any_site.audited("adopted")
    assert entry.detail == "restored"


def test_a_file_that_vanished_while_its_bytes_come_again_is_written_again(site):
    file = site.receive("S")

    site.receive("S", spool=Interrupted(site.spool, file.unlink))

    assert file.exists()


class Stuck(Spool):
    """A spool that gives nothing back."""

    def delete(self, digest):
        raise SpoolUnavailable(f"{digest}: read-only file system")


def test_what_cannot_be_deleted_now_is_deleted_at_the_next_tick(site):
    file, other = site.receive("S"), site.receive("T")
    site.mark_read("S", hours_ago=3)
    site.mark_read("T", hours_ago=2)
    stuck = Stuck(site.spool.directory, 0)
    tick = site.retention(spool=stuck)
    tick.tick()
    assert file.exists()
    assert details(site, "T") == [None]  # it stopped there

    stuck.delete = site.spool.delete
    tick.tick()

    assert not file.exists()
    assert not other.exists()


def test_the_same_new_object_twice_at_once_is_received_once(any_site):
    """Both find no file, for neither has written it yet."""
    held = []

    def come_first():
        any_site.receive("S")
        held.extend(any_site.hold("s1"))

    any_site.receive("S", spool=Interrupted(any_site.spool, come_first))

    assert [entry.detail for entry in any_site.audited("received")] == ["new"]
    assert "file_restored" not in any_site.kinds("S")
    any_site.save(held, 0.9, "s1")
    assert any_site.row("S").probability == 0.9


def test_other_file_meta_information_around_the_same_object_restores_nothing(site):
    """Its length may change with the version of the library that writes it."""
    file = site.receive("S")
    held = site.hold("s1")
    arrival = site.arrival("S")
    intake = Intake(site.database, site.spool, rules=RULES, wake=site.wake, tally=Tally())

    intake.keep(replace(arrival, preamble=arrival.preamble + bytes(8)))

    assert [entry.detail for entry in site.audited("received")] == ["new"]
    assert site.sql("SELECT size FROM instance") == [(file.stat().st_size,)]
    site.save(held, 0.9, "s1")
    assert site.row("S").probability == 0.9


class Immutable(Spool):
    """A spool with one file that nobody can delete."""

    def __init__(self, directory, file):
        super().__init__(directory, 0)
        self.file = file

    def delete(self, digest):
        if self.path(digest) == self.file:
            raise SpoolUnavailable(f"{digest}: operation not permitted")
        super().delete(digest)


def test_a_file_that_cannot_be_deleted_keeps_no_other(site):
    bad, beside = site.receive("S", 1), site.receive("S", 2)
    alone, later = site.receive("T"), site.receive("U")
    for hours, study in ((4, "S"), (3, "T"), (2, "U")):
        site.mark_read(study, hours_ago=hours)
    spool = Immutable(site.spool.directory, bad)
    tick = site.retention(spool=spool)
    tick.tick()
    assert [file.exists() for file in (bad, beside, alone, later)] == [True, False, False, False]

    spool.file = None
    tick.tick()

    assert not bad.exists()


def test_a_study_of_which_nothing_can_be_deleted_holds_up_the_others_for_one_tick_alone(site):
    bad, other, last = site.receive("S"), site.receive("T"), site.receive("U")
    for hours, study in ((4, "S"), (3, "T"), (2, "U")):
        site.mark_read(study, hours_ago=hours)
    tick = site.retention(spool=Immutable(site.spool.directory, bad))

    tick.tick()
    tick.tick()

    assert [file.exists() for file in (bad, other, last)] == [True, False, False]


def test_a_study_that_waits_to_be_scored_again_keeps_its_score(any_site):
    any_site.receive("S")
    any_site.score_all(0.9)
    progress.complete_studies(any_site.database, ago(-1), Patience(quiet=1, limit=600))
    any_site.mark_read("S", hours_ago=2)
    any_site.rescorer().rescore(any_site.id("S"), datetime.now(UTC), "ada")
    work = scoring.hold_views(any_site.database, "s1", 16, lambda: datetime.now(UTC))

    any_site.retention().tick()
    late = [scoring.Result(work=work[0], reason="file_missing: there is no such file", final=True)]
    scoring.save_results(any_site.database, "s1", late, datetime.now(UTC))

    row = any_site.row("S")
    assert (row.status, row.probability) == ("scored", 0.9)


def test_a_study_that_was_never_scored_says_why_it_never_will_be(site):
    site.receive("S")
    progress.complete_studies(site.database, ago(-1), Patience(quiet=1, limit=600))
    site.mark_read("S", hours_ago=2)

    site.retention().tick()

    row = site.row("S")
    assert row.status == "failed"
    assert row.reason.startswith("pixels_deleted: ")
    assert scoring.hold_views(site.database, "s1", 16, lambda: datetime.now(UTC)) == []


def test_what_was_never_scored_waits_again_when_its_bytes_come_again(site):
    site.receive("S")
    site.mark_read("S", hours_ago=2)
    site.retention().tick()

    site.receive("S")

    assert site.states("S") == ["pending"]
    assert site.woken == 2


def test_rescoring_says_that_there_is_nothing_to_score(site):
    site.receive("S")
    site.score_all(0.9)
    site.mark_read("S", hours_ago=2)
    site.retention().tick()

    with pytest.raises(NothingToScore, match="send it again"):
        site.rescorer().rescore(site.id("S"), datetime.now(UTC), "ada")

    assert site.states("S") == ["scored"]
    assert rescoring.rescorable_study_ids(site.database) == []


def test_what_goes_while_it_is_judged_again_gets_no_views_that_nobody_could_score(site):
    site.receive("S", study_type=None)
    ((instance_id,),) = site.sql("SELECT id FROM instance WHERE frames = 0")
    site.mark_read("S", hours_ago=2)
    judged = site.received("S")  # by today's settings it can be scored
    site.retention().tick()

    rescoring.rescore_study(
        site.database, site.id("S"), {instance_id: judged}, datetime.now(UTC), "ada"
    )

    assert site.sql("SELECT count(*) FROM view") == [(0,)]


def test_rescoring_leaves_alone_what_is_gone_and_names_it(site):
    gone, there = site.arrival("S", 1), site.arrival("S", 2)
    site.receive("S", 1)
    site.score_all(0.9)
    site.mark_read("S", hours_ago=2)
    site.retention().tick()
    site.receive("S", 2)
    site.score_all(0.8)

    named = site.rescorer().rescore(site.id("S"), datetime.now(UTC), "ada")

    assert named == [gone.sop_instance_uid]
    states = {each.sop_instance_uid: each.state for each in site.detail("S").instances}
    assert states == {gone.sop_instance_uid: "scored", there.sop_instance_uid: "pending"}


def test_a_report_that_follows_the_reading_is_kept_for_as_long(site):
    site.receive("S")
    site.mark_read("S", hours_ago=2)
    site.retention().tick()

    site.file_report(site.detail("S").row.study_instance_uid, "1.2.3")
    ((kept,),) = site.sql("SELECT count(*) FROM study WHERE kept_since IS NOT NULL")

    assert kept == 1
