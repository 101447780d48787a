"""The pictures of a study's views, and the maps to lay over them, as the JSON interface has them."""

import io
import os
from contextlib import closing
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from sqlalchemy import update

from tests.support import studies
from tests.support.reading_room import HOT, MILD, ReadingRoom, coarse
from triage.dicom.pixels import read_view
from triage.model import cam
from triage.model.preprocess import fit
from triage.pipeline.pictures import Shelf
from triage.settings import Settings
from triage.store import audit
from triage.store.audit import Wanted
from triage.store.tables import instance
from triage.web import looks
from triage.web.address import written
from triage.web.app import make_app
from triage.web.condition import Condition
from triage.web.feed import Feed
from triage.web.site import Site

STUDY = written(studies.study_uid("SEEN"))


class Room(ReadingRoom):
    """What was received, with the web interface before it."""

    def __init__(self, folder):
        super().__init__(f"sqlite:///{folder / 'triage.db'}", folder / "spool")
        self.site = Site(
            settings=Settings(),
            database=self.database,
            spool=self.spool,
            feed=Feed(self.database),
            condition=Condition(),
        )
        self.browser = TestClient(
            make_app(self.site), base_url="http://localhost", client=("127.0.0.1", 50000)
        )

    def close(self):
        self.site.gallery.close()
        self.database.close()

    def get(self, sop, rest="1.png", study=STUDY, status=200):
        answer = self.browser.get(f"/api/v1/studies/{study}/views/{written(sop)}/{rest}")
        assert answer.status_code == status, answer.text
        return answer

    def picture(self, sop, rest="1.png"):
        answer = self.get(sop, rest)
        assert answer.headers["Content-Type"] == "image/png"
        assert answer.headers["Cache-Control"] == "no-store"
        with Image.open(io.BytesIO(answer.content)) as picture:
            assert picture.format == "PNG"
            return np.asarray(picture).astype(int)

    def problem(self, sop, status, rest="1.png", **options):
        answer = self.get(sop, rest, status=status, **options)
        assert answer.headers["Content-Type"] == "application/problem+json"
        return answer.json()["detail"]

    def trail(self):
        """Return what the audit trail says of who saw something."""
        found = audit.entries(self.database, Wanted())
        return [(entry.kind, entry.detail) for entry in found if entry.kind != "received"]


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    with closing(Room(tmp_path_factory.mktemp("room"))) as room:
        yield room


@pytest.fixture(scope="module")
def seen(room):
    """The UIDs of a study: one as MURA has them, one cropped and MONOCHROME1, one of two frames."""
    random = np.random.default_rng(1)
    plain = room.receive("SEEN", random.integers(0, 256, (90, 60), dtype=np.uint8), 1)
    edges = {"Upper": 11, "Lower": 80}
    header = {f"Shutter{name}HorizontalEdge": edge for name, edge in edges.items()}
    header |= {"ShutterLeftVerticalEdge": 6, "ShutterRightVerticalEdge": 45}
    cropped = room.receive(
        *("SEEN", random.integers(0, 256, (90, 60), dtype=np.uint8), 2),
        PhotometricInterpretation="MONOCHROME1",
        PresentationLUTShape="INVERSE",
        ShutterShape="RECTANGULAR",
        **header,
    )
    pixels = random.integers(0, 256, (40, 60), dtype=np.uint8)
    two = studies.make("SEEN", pixels, 3)
    two.NumberOfFrames = 2
    two.PixelData = pixels.tobytes() + (255 - pixels).tobytes()
    double = room.file(two)
    room.score(0.75, 0.25, 0.5, 0.5, maps=[coarse(HOT), coarse(MILD), None, coarse(HOT)])
    return plain, cropped, double


@pytest.mark.parametrize(("which", "frame"), [(0, 1), (1, 1), (2, 1), (2, 2)])
def test_a_view_is_shown_as_the_scorer_saw_it(room, seen, which, frame):
    shown = room.picture(seen[which], f"{frame}.png")

    assert (shown == read_view(room.files[seen[which]], frame)).all()


def test_a_view_is_shown_as_large_as_is_asked_for(room, seen):
    grey = read_view(room.files[seen[0]])

    assert (room.picture(seen[0], "1.png?side=30") == fit(grey, 30)).all()
    assert (room.picture(seen[0], "1.png?side=4000") == grey).all()


@pytest.mark.parametrize(("which", "cells"), [(0, HOT), (1, MILD)])
def test_a_map_that_is_laid_over_its_view_gives_what_show_cam_draws(room, seen, which, cells):
    grey = read_view(room.files[seen[which]])
    layer = room.picture(seen[which], "1/map.png")
    assert layer.shape == (*grey.shape, 4)

    opacity = layer[..., 3:] / 255
    laid = grey[..., None] * (1 - opacity) + layer[..., :3] * opacity

    # On one scale for the study: that of the strongest map, 6 of logit.
    drawn = cam.blend(grey, cam.upscale(coarse(cells), grey.shape), 6.0)
    assert np.abs(laid - drawn).max() < 2
    assert layer[..., 3].max() > 20


def test_a_view_without_a_map_says_how_to_make_one(room, seen):
    assert "triage rescore" in room.problem(seen[2], 404, "1/map.png")


def test_what_is_not_there_is_not_found(room, seen):
    other = room.receive("OTHER", studies.picture(1))

    assert "no image with the SOP Instance UID '1.2.3'" in room.problem("1.2.3", 404)
    assert "no image" in room.problem(other, 404)  # it is another study's
    assert "no study" in room.problem(seen[0], 404, study="1.2.3")
    assert "the object has 1" in room.problem(seen[0], 422, "2.png")
    assert "not scored" in room.problem(
        other, 404, "1/map.png", study=written(studies.study_uid("OTHER"))
    )


@pytest.mark.parametrize("rest", ["0.png", "1.png?side=15", "1.png?side=6001", "9999999999.png"])
def test_a_wrong_question_is_named(room, seen, rest):
    assert room.problem(seen[0], 422, rest).split(":")[0] in ("path.frame", "query.side")


@pytest.mark.parametrize("sop", ["../../../etc/passwd", "/evil", "1/map.png", "1.2?a=b#c"])
def test_what_a_peer_calls_a_uid_is_a_name_and_no_path(room, sop):
    study = written(studies.study_uid(f"EVIL{sop}"))
    room.receive(f"EVIL{sop}", studies.picture(2), sop=sop)

    assert room.get(sop, study=study).content.startswith(b"\x89PNG")
    answer = room.get(sop, "1.png?download=true", study=study)
    (path,) = [path for uid, path in room.files.items() if uid == sop]
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{path.stem}-1.png"'


def test_a_damaged_file_says_why_and_the_next_picture_comes(room, seen):
    damaged = room.receive("SEEN", studies.picture(3), 8)
    path = room.files[damaged]
    path.write_bytes(path.read_bytes()[:-3000])

    assert room.problem(damaged, 422).startswith("undecodable: ")
    assert room.picture(seen[0]).shape == (90, 60)


def test_a_pipe_in_a_file_s_place_holds_nobody(room, seen):
    trap = room.receive("SEEN", studies.picture(4), 9)
    room.files[trap].unlink()
    os.mkfifo(room.files[trap])

    # A pipe that nobody writes to is no file of ours, and is not opened.
    assert room.problem(trap, 422).startswith("file_missing: its file has left the spool")
    assert room.picture(seen[0], "1.png?side=31").shape == (31, 21)


def test_pixels_that_retention_has_deleted_are_gone(room):
    gone = room.receive("GONE", studies.picture(5))
    study = written(studies.study_uid("GONE"))
    room.get(gone, study=study)
    with room.database.writing() as connection:
        connection.execute(
            update(instance)
            .where(instance.c.sop_instance_uid == gone)
            .values(deleted_at=datetime.now(UTC))
        )

    # Though the picture may still be in our hands.
    assert room.problem(gone, 410, study=study).startswith("pixels_deleted: ")


def test_an_image_that_came_again_is_shown_as_it_is_now(room):
    study = written(studies.study_uid("AGAIN"))
    first, second = studies.picture(6), 255 - studies.picture(6)
    sop = room.receive("AGAIN", first)
    room.now += timedelta(seconds=1)
    assert room.receive("AGAIN", second) == sop

    with Image.open(io.BytesIO(room.get(sop, study=study).content)) as shown:
        assert (np.asarray(shown) == second).all()


def test_who_sees_a_picture_is_written_down_once_for_a_look_and_each_file_that_is_kept(
    tmp_path, monkeypatch
):
    with closing(Room(tmp_path)) as room:
        sop = room.receive("SEEN", studies.picture(1))
        for rest in ("1.png", "1.png?side=99", "1/map.png"):
            room.browser.get(f"/api/v1/studies/{STUDY}/views/{sop}/{rest}")
        assert room.trail() == [("shown", None)]

        room.get(sop, "1.png?download=true")
        assert room.trail() == [("shown", None), ("exported", f"{sop} frame 1 as PNG")]

        monkeypatch.setattr(looks, "ONE_LOOK", 0.0)
        room.get(sop)
        assert [kind for kind, _ in room.trail()] == ["shown", "exported", "shown"]


def test_what_cannot_be_written_down_is_not_shown(tmp_path):
    with closing(Room(tmp_path)) as room:
        sop = room.receive("SEEN", studies.picture(1))
        with room.database.writing() as connection:
            connection.exec_driver_sql("ALTER TABLE audit RENAME TO away")

        assert "database" in room.problem(sop, 503)


def test_the_shelf_keeps_what_was_asked_for_last_within_its_size():
    shelf = Shelf(10)
    for name in "abc":
        shelf.put(name, b"123")
    assert shelf.get("a") == b"123"

    shelf.put("d", b"1234")
    shelf.put("large", b"123456")

    assert [shelf.get(name) for name in ("a", "b", "c", "d", "large")] == [
        *(b"123", None, b"123", b"1234"),
        None,
    ]
