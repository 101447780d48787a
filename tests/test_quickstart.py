"""`triage quickstart`, as a user starts it: a real daemon, real C-STORE, real files."""

import json
import os
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.data import get_testdata_file

from tests.support.daemon import EXACT
from tests.support.processes import naming
from tests.support.reference import with_reference_model, without_reference_model

COMMAND = [*without_reference_model(), "quickstart"]


@pytest.fixture
def environment(tmp_path):
    """The throw-away folders go where the test can see them."""
    (tmp_path / "tmp").mkdir()
    return {**os.environ, **EXACT, "TMPDIR": str(tmp_path / "tmp")}


@pytest.fixture
def run(environment):
    def run(*arguments, **extra):
        return subprocess.run(
            [*COMMAND, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=120,
            env=environment | extra,
        )

    return run


@pytest.fixture
def left_over(tmp_path):
    return lambda: list((tmp_path / "tmp").glob("triage-quickstart-*"))


@pytest.fixture
def pictures(tmp_path):
    """Two studies in MURA's layout, the first of two views."""
    folder = tmp_path / "data" / "XR_WRIST"
    rng = np.random.default_rng(0)
    for name in (
        "patient1/study1/image1.png",
        "patient1/study1/image2.jpg",
        "patient2/study1/image1.png",
    ):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (60, 40), np.uint8)).save(path)
    return tmp_path / "data"


def gone(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    return False


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail("waited in vain")
        time.sleep(0.1)


def test_without_a_model_the_phantoms_stand_unscored_in_order_of_arrival(run, left_over):
    done = run()

    assert done.returncode == 0, done.stderr
    assert "nothing will be scored" in done.stdout
    assert "14 of 14 images stored" in done.stdout
    table = done.stdout.partition("in reading order")[2]
    assert [f"PHANTOM{n:04d}" in table for n in range(1, 9)] == [True] * 8
    assert table.index("PHANTOM0001") < table.index("PHANTOM0008")
    assert "not scored" in table
    assert left_over() == []


def test_without_a_model_named_the_reference_model_scores_whatever_the_site_has_pinned(
    environment, pictures, random_model
):
    done = subprocess.run(
        [*with_reference_model(random_model.parent), "quickstart", pictures, "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        env=environment | {"TRIAGE_MODEL__SHA256": "0" * 64},
    )

    assert done.returncode == 0, done.stderr
    assert "Model: random 1" in done.stderr
    rows = json.loads(done.stdout)["worklist"]
    assert [(row["status"], row["model"]) for row in rows] == [("scored", "random 1")] * 2


def test_pictures_become_one_study_a_folder_and_json_is_one_document(run, pictures):
    done = run(pictures, "--json", TRIAGE_STUDY__QUIET="60", TRIAGE_DATABASE__URL="nonsense")

    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["daemon"] is None
    assert [
        (row["study_type"], row["views"], row["provisional"]) for row in document["worklist"]
    ] == [
        ("wrist", 2, False),
        ("wrist", 1, False),
    ]


def test_a_file_that_is_no_image_is_named_and_the_others_are_sent(run, tmp_path):
    note = tmp_path / "note.txt"
    note.write_text("no image")
    cut = tmp_path / "cut.png"
    cut.write_bytes(b"\x89PNG\r\n\x1a\n")

    done = run(note, cut, get_testdata_file("CT_small.dcm"), "--json")

    assert done.returncode == 1
    document = json.loads(done.stdout)
    assert [Path(entry["path"]).name for entry in document["skipped"]] == ["note.txt", "cut.png"]
    assert len(document["worklist"]) == 1
    assert "note.txt" in done.stderr


def test_a_path_that_does_not_exist_is_wrong_usage(run, left_over):
    done = run("/nowhere/at/all")

    assert done.returncode == 2
    assert "/nowhere/at/all" in done.stderr
    assert left_over() == []


def test_weights_that_cannot_be_used_are_refused_before_anything_starts(run, tmp_path, left_over):
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(b"rubbish")

    done = run("--model", weights)

    assert done.returncode == 1
    assert "weights.safetensors" in done.stderr
    assert "C-STORE" not in done.stdout
    assert left_over() == []


def test_a_daemon_that_dies_at_its_start_is_quoted(run, left_over):
    done = run(TRIAGE_MODEL__DEVICE="abacus")

    assert done.returncode == 1
    assert "exit code 2" in done.stderr
    assert "abacus" in done.stderr
    assert left_over() == []


@pytest.mark.dcmtk
def test_keep_leaves_a_daemon_that_the_printed_commands_reach(run, left_over):
    done = run("--keep", "--json")
    daemon = json.loads(done.stdout)["daemon"]
    try:
        assert [str(folder) for folder in left_over()] == [daemon["folder"]]
        shown = subprocess.run(
            [
                *without_reference_model(),
                "--config",
                f"{daemon['folder']}/triage.toml",
                "worklist",
                "--json",
            ],
            capture_output=True,
            text=True,
        )
        assert len(json.loads(shown.stdout)) == 8
        assert Path(daemon["spool"]).is_dir()
        subprocess.run(["echoscu", "127.0.0.1", str(daemon["port"])], check=True)
        with urllib.request.urlopen(daemon["page"]) as answer:  # noqa: S310  our own
            assert b"worklist" in answer.read()
    finally:
        os.kill(daemon["process"], signal.SIGTERM)
        wait_for(lambda: gone(daemon["process"]))


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGINT, id="Ctrl-C"),
        # By the same way out.
        pytest.param(signal.SIGTERM, id="kill", marks=pytest.mark.soak),
        pytest.param(signal.SIGHUP, id="terminal gone", marks=pytest.mark.soak),
    ],
)
def test_an_interruption_stops_the_daemon_and_removes_the_folder(
    environment, left_over, tmp_path, number
):
    def as_a_terminal_starts_it():
        # Python ignores SIGINT in a child of a background job unless it is given back.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)

    process = subprocess.Popen(
        COMMAND,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=as_a_terminal_starts_it,
    )
    for line in process.stdout:
        if "accepts associations" in line:
            break
    process.send_signal(number)
    process.stdout.read()
    process.stdout.close()

    assert process.wait(60) != 0
    assert left_over() == []
    assert naming(tmp_path) == []
