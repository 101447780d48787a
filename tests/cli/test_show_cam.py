"""`triage show --cam`: the maps of a filled database, drawn over what lies in the spool."""

import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from PIL import Image

from tests.support.daemon import environment
from tests.support.stored import image
from triage.core.activation import CoarseMap
from triage.core.selection import Rules
from triage.dicom.header import read_file_header
from triage.dicom.pixels import read_view
from triage.model import cam
from triage.pipeline.judge import judge
from triage.store import intake, rescoring, schema, scoring
from triage.store.database import Database
from triage.store.spool import Spool

NOON = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
NAME = "Muster^Erika"
HOT = np.array([[0, 0, 0], [0, 0, 6], [0, 0, -2]], np.float32)  # right of the middle
MILD = np.array([[2, 0, 0], [0, 0, 0], [0, 0, 0]], np.float32)  # at the top on the left


def coarse(cells, side=96, resize="squeeze"):
    return cam.pack(cells, side, resize)


class Site:
    """A working directory with a database and a spool."""

    def __init__(self, folder):
        self.folder = folder
        self.database = Database("sqlite:///triage.db")
        schema.upgrade(self.database)
        self.spool = Spool(folder / "spool", 0)
        self.spool.prepare()

    def receive(self, uid, pixels=None, *, frames=1, sop=None, **header):
        """File a hand of 90 x 60 pixels as the receiver does; return its path in the spool."""
        if pixels is None:
            pixels = np.random.default_rng(len(uid)).integers(60, 200, (90, 60), dtype=np.uint8)
        ds = image(pixels, BodyPartExamined="HAND", Modality="DX", PatientName=NAME, **header)
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"{uid}.1"
        ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
        ds.StudyInstanceUID, ds.SeriesInstanceUID = uid.rpartition(".")[0], "1.9"
        if frames > 1:
            ds.NumberOfFrames = frames
            ds.PixelData = ds.PixelData * frames
        digest = f"{len(list(self.folder.glob('spool/*/*.dcm'))):064x}"
        ds.save_as(self.spool.path(digest), enforce_file_format=True)
        received = judge(read_file_header(self.spool.path(digest)), Rules())
        received = replace(received, digest=digest, sop_instance_uid=sop or f"{uid}.1")
        intake.file_instance(self.database, received, NOON)
        return self.spool.path(digest)

    def score(self, *maps):
        work = scoring.hold_views(self.database, "test", 16, lambda: NOON)
        results = [
            scoring.Result(work=item, probability=0.75, threshold=0.5, model="net 1", map=one)
            for item, one in zip(work, maps, strict=True)
        ]
        scoring.save_results(self.database, "test", results, NOON)


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TRIAGE_MODEL__PATH", raising=False)
    site = Site(tmp_path)
    yield site
    site.database.close()


def png(path):
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture).astype(int)


def coloured(drawn):
    """Return where a drawing is not grey, (H, W) bool."""
    return np.ptp(drawn, axis=2) > 0


def test_each_view_is_drawn_with_its_map_over_the_pixels_that_the_network_saw(site, triage):
    path = site.receive("1.2.1")
    site.score(coarse(HOT))

    code, out, err = triage("show", "1.2", "--cam", "drawn", "--json")

    assert (code, err) == (0, "")
    (entry,) = json.loads(out)["cam"]
    assert entry == {
        "sop_instance_uid": "1.2.1.1",
        "frame": 1,
        "path": "drawn/1.2.1.1-1.png",
        "full_strength": 6.0,
        "reason": None,
    }
    drawn, grey = png(entry["path"]), read_view(path)
    assert drawn.shape == (*grey.shape, 3)
    assert coloured(drawn)[35:55, 45:60].all()
    assert not coloured(drawn)[:, :25].any()
    assert (drawn[:, :25] == grey[:, :25, None]).all()
    assert list(site.folder.glob("drawn/*")) == [site.folder / "drawn/1.2.1.1-1.png"]


def test_the_files_are_named_on_the_terminal_too_and_no_person_in_them(site, triage):
    site.receive("1.2.1")
    site.score(coarse(HOT))

    code, out, _ = triage("show", "1.2", "--cam", "a/new/folder")

    assert code == 0
    assert "a/new/folder/1.2.1.1-1.png" in out
    assert "full strength at 6.00" in out
    (file,) = site.folder.glob("a/new/folder/*")
    assert b"Muster" not in file.read_bytes() + bytes(file)


def test_nothing_is_drawn_without_the_option(site, triage):
    site.receive("1.2.1")
    site.score(coarse(HOT))

    assert "cam" not in json.loads(triage("show", "1.2", "--json")[1])
    assert "activation" not in triage("show", "1.2")[1]
    assert not list(site.folder.rglob("*.png"))


def test_the_views_of_a_study_are_drawn_on_one_scale(site, triage):
    site.receive("1.2.1", np.full((90, 60), 100, np.uint8))
    site.receive("1.2.2", np.full((90, 60), 100, np.uint8), ViewPosition="LL")
    site.score(coarse(HOT), coarse(MILD))

    _, out, _ = triage("show", "1.2", "--cam", "drawn", "--json")

    strong, mild = json.loads(out)["cam"]
    assert strong["full_strength"] == mild["full_strength"] == 6.0
    tint = [np.ptp(png(entry["path"]), axis=2).max() for entry in (strong, mild)]
    assert 0 < tint[1] < tint[0]


def test_every_frame_has_its_own_file(site, triage):
    site.receive("1.2.1", frames=2)
    site.score(coarse(HOT), coarse(MILD))

    triage("show", "1.2", "--cam", "drawn")

    first, second = png("drawn/1.2.1.1-1.png"), png("drawn/1.2.1.1-2.png")
    assert coloured(first)[45, 55]
    assert coloured(second)[5, 5]


def test_a_padded_view_is_drawn_where_it_lay_in_the_square(site, triage):
    # In a square of 96 the view of 90 x 60 fills rows 0 to 95 and columns 16 to 79.
    site.receive("1.2.1", np.full((90, 60), 100, np.uint8))
    site.score(coarse(np.array([[0, 9, 0]] * 3, np.float32), resize="pad"))

    triage("show", "1.2", "--cam", "drawn")

    tint = np.ptp(png("drawn/1.2.1.1-1.png"), axis=2)[45]
    assert abs(tint.argmax() - 30) <= 2
    assert tint[0] > 0  # squeezed, the middle of the map's first column would lie here


def test_a_view_is_drawn_as_it_was_cropped_to_the_exposed_field(site, triage):
    edges = {"Upper": 11, "Lower": 80}
    header = {f"Shutter{name}HorizontalEdge": edge for name, edge in edges.items()}
    header |= {"ShutterLeftVerticalEdge": 6, "ShutterRightVerticalEdge": 45}
    site.receive("1.2.1", ShutterShape="RECTANGULAR", **header)
    site.score(coarse(HOT))

    triage("show", "1.2", "--cam", "drawn")

    assert png("drawn/1.2.1.1-1.png").shape == (70, 40, 3)


def test_a_view_that_has_no_map_says_how_to_make_one_and_the_others_are_drawn(site, triage):
    site.receive("1.2.1")
    site.receive("1.2.2", ViewPosition="LL")
    site.score(None, coarse(HOT))

    code, out, err = triage("show", "1.2", "--cam", "drawn", "--json")

    assert code == 1
    assert "1.2.1.1 frame 1: it was scored before maps were kept; `triage rescore STUDY`" in err
    first, second = json.loads(out)["cam"]
    assert (first["path"], first["reason"].startswith("it was scored before")) == (None, True)
    assert png(second["path"]).shape == (90, 60, 3)


def test_a_view_that_waits_for_its_first_map_says_so(site, triage):
    site.receive("1.2.1")
    site.score(None)
    rescoring.rescore_study(site.database, 1, {}, NOON, "anna")

    code, _, err = triage("show", "1.2", "--cam", "drawn")

    assert code == 1
    assert "its map comes with its new score" in err


def test_a_file_that_has_left_the_spool_is_said(site, triage):
    path = site.receive("1.2.1")
    site.score(coarse(HOT))
    path.unlink()

    code, _, err = triage("show", "1.2", "--cam", "drawn")

    assert code == 1
    assert f"1.2.1.1 frame 1: its file has left the spool ({path})" in err


def test_a_file_that_is_damaged_by_now_is_said(site, triage):
    path = site.receive("1.2.1")
    site.score(coarse(HOT))
    path.write_bytes(path.read_bytes()[:-3000])

    code, _, err = triage("show", "1.2", "--cam", "drawn")

    assert code == 1
    assert "1.2.1.1 frame 1: undecodable: " in err


def test_a_study_without_a_score_has_nothing_to_draw(site, triage):
    site.receive("1.2.1")

    code, out, err = triage("show", "1.2", "--cam", "drawn", "--json")

    assert code == 1
    assert json.loads(out)["cam"] == []
    assert "1.2: no view is scored" in err


def test_a_folder_that_cannot_be_made_is_said(site, triage):
    site.receive("1.2.1")
    site.score(coarse(HOT))
    (site.folder / "file").touch()

    for folder in ("file", "file/below", "/proc/nowhere"):
        code, out, err = triage("show", "1.2", "--cam", folder, "--json")

        assert (code, out) == (1, "")
        assert err.startswith(f"triage: {folder}: cannot be written (")


def test_a_drawing_that_cannot_be_written_leaves_nothing_behind(site, triage):
    site.receive("1.2.1")
    site.score(coarse(HOT))
    (site.folder / "drawn/1.2.1.1-1.png").mkdir(parents=True)

    code, out, err = triage("show", "1.2", "--cam", "drawn", "--json")

    assert code == 1
    assert "drawn/1.2.1.1-1.png: cannot be written" in err
    assert json.loads(out)["probability"] == 0.75
    assert [entry.name for entry in (site.folder / "drawn").iterdir()] == ["1.2.1.1-1.png"]


@pytest.mark.parametrize("uid", ["../../../evil", "/evil", "..", "1.2/../3", "1.2.EVIL"])
def test_what_a_peer_calls_a_uid_becomes_no_path(site, triage, uid):
    site.receive("1.2.1", sop=uid)
    site.score(coarse(HOT))

    code, out, _ = triage("show", "1.2", "--cam", "drawn", "--json")

    assert code == 0
    (entry,) = json.loads(out)["cam"]
    assert entry["sop_instance_uid"] == uid
    assert entry["path"] == f"drawn/{0:064x}-1.png"
    assert [str(file.relative_to(site.folder)) for file in site.folder.rglob("*.png")] == [
        entry["path"]
    ]


def test_a_uid_that_is_too_long_to_be_one_names_no_file(site, triage):
    site.receive("1.2.1", sop="1." + 300 * "2")
    site.score(coarse(HOT))

    code, out, err = triage("show", "1.2", "--cam", "drawn", "--json")

    assert (code, err) == (0, "")
    assert json.loads(out)["cam"][0]["path"] == f"drawn/{0:064x}-1.png"


def test_it_is_drawn_without_torch(site):
    site.receive("1.2.1")
    site.score(coarse(HOT))
    script = (
        "import sys; from triage import cli\n"
        "cli.app(['show', '1.2', '--cam', 'drawn'], standalone_mode=False)\n"
        "assert 'torch' not in sys.modules"
    )

    subprocess.run(
        [sys.executable, "-c", script], env=environment(), check=True, capture_output=True
    )

    assert (site.folder / "drawn/1.2.1.1-1.png").is_file()


def test_a_map_that_fills_a_float16_is_drawn(site, triage):
    site.receive("1.2.1")
    site.score(
        CoarseMap(
            height=1,
            width=2,
            cells=np.array([65504, -65504], "<f2").tobytes(),
            side=64,
            resize="squeeze",
        )
    )

    code, out, _ = triage("show", "1.2", "--cam", "drawn", "--json")

    assert code == 0
    assert json.loads(out)["cam"][0]["full_strength"] == 65504.0
