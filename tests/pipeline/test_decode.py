"""Decoding processes that may die: what one view does to its decoder, no other view feels."""

import contextlib
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support import killers, studies
from tests.support.daemon import environment
from tests.support.waiting import wait_until
from triage.core.reasons import Code
from triage.model.preprocess import fit, scale
from triage.pipeline import wire
from triage.pipeline.decoder import Decoder
from triage.pipeline.decoders import Decoders
from triage.pipeline.wire import FIT, BadAnswer, Kind, Picture, Request, Unread

SIDE = 64


def request(path, *, frame=1, kind=Kind.DICOM, resize="squeeze", side=SIDE):
    return Request(path=str(path), frame=frame, kind=kind, side=side, resize=resize)


def expected(pixels, resize="squeeze"):
    return Picture(SIDE, SIDE, scale(pixels, SIDE, resize).tobytes())


@pytest.fixture
def radiograph(tmp_path):
    """Return a function that writes a made-up radiograph and returns its request."""

    def write(number=1):
        folder = tmp_path / f"radiograph{number}"
        (sample,) = studies.write_study(folder, f"DECODE{number}", [studies.picture(number)])
        return request(sample.file)

    return write


@pytest.fixture
def trap(tmp_path):
    """The request of a file that holds its decoder for ever: a pipe that nobody writes to."""
    path = tmp_path / "trap.dcm"
    os.mkfifo(path)
    return request(path)


@pytest.fixture
def start():
    """Return a function that starts a pool, whose decoders are ready when it returns."""
    with contextlib.ExitStack() as running:

        def start(count=2, **options):
            pool = running.enter_context(Decoders(count, **options))
            wait_until(lambda: pool.tend() or all(d.ready for d in pool._decoders), "decoders")
            return pool

        yield start


def decode(pool, *requests):
    """Return what becomes of the requests, in their order."""
    outcomes = {}
    for task, wanted in enumerate(requests):
        pool.put(task, wanted)
    while len(outcomes) < len(requests):
        outcomes |= pool.collect(1)
    return [outcomes[task] for task in range(len(requests))]


def files_of(pid="self"):
    return [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()]


def command_of(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def is_decoder(pid):
    return b"triage.pipeline.decode\0" in command_of(pid)


def children():
    """Return the processes that we are the parent of, the dead that nobody has buried included."""
    return {
        int(pid)
        for task in Path("/proc/self/task").iterdir()
        for pid in (task / "children").read_text().split()
    }


@pytest.mark.parametrize("resize", ["squeeze", "pad"])
def test_a_view_comes_back_as_the_network_wants_it(start, tmp_path, resize):
    pixels = studies.picture(7)
    (sample,) = studies.write_study(tmp_path / "study", "WANTED", [pixels])
    Image.fromarray(pixels).save(tmp_path / "picture.png")

    outcomes = decode(
        start(),
        request(sample.file, resize=resize),
        request(tmp_path / "picture.png", kind=Kind.PICTURE, resize=resize),
    )

    assert outcomes == [expected(pixels, resize)] * 2


def test_a_view_comes_back_for_people_to_see_in_its_own_shape(start, tmp_path):
    pixels = np.random.default_rng(1).integers(0, 256, (300, 200), dtype=np.uint8)
    (sample,) = studies.write_study(tmp_path / "study", "SEEN", [pixels])

    whole, small = decode(
        start(),
        request(sample.file, resize=FIT, side=4000),
        request(sample.file, resize=FIT, side=150),
    )

    assert whole == Picture(300, 200, pixels.tobytes())
    assert small == Picture(150, 100, fit(pixels, 150).tobytes())


def test_every_outcome_is_that_of_its_request(start, radiograph):
    outcomes = decode(start(3), *(radiograph(number) for number in range(12)))

    assert outcomes == [expected(studies.picture(number)) for number in range(12)]


def test_a_file_that_cannot_be_read_says_why_and_its_decoder_lives_on(start, radiograph, tmp_path):
    text = tmp_path / "note.dcm"
    text.write_text("not DICOM")
    cut = tmp_path / "cut.dcm"
    cut.write_bytes(Path(radiograph(1).path).read_bytes()[:-500])
    pool = start(1)
    before = pool.pids

    note, short, gone, good = decode(
        pool, request(text), request(cut), request(tmp_path / "gone.dcm"), radiograph(2)
    )

    assert (note.code, note.final) == (Code.NOT_AN_IMAGE, True)
    assert (short.code, short.final) == (Code.UNDECODABLE, False)
    assert (gone.code, gone.final) == (Code.FILE_MISSING, False)
    assert good == expected(studies.picture(2))
    assert pool.pids == before


@pytest.mark.parametrize("fatal", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
def test_a_decoder_that_ends_costs_the_view_in_its_hand(start, radiograph, trap, fatal):
    ended = []

    def end_the_trapped():
        for decoder in pool._decoders if pool else ():
            if decoder.request == trap and decoder.taken:
                os.kill(decoder.pid, fatal)
                ended.append(decoder.pid)

    pool = None
    pool = start(beat=end_the_trapped)

    first, trapped, *rest = decode(pool, radiograph(1), trap, radiograph(2), radiograph(3))

    assert trapped.code is Code.UNDECODABLE
    assert not trapped.final
    assert trapped.sentence.startswith(
        f"the decoder ended while it read this view (signal {fatal.value}"
    )
    assert [first, *rest] == [expected(studies.picture(number)) for number in (1, 2, 3)]
    assert len(pool.pids) == 2
    assert not set(ended) & set(pool.pids)


def test_a_decoder_that_hangs_is_ended_at_the_time_limit(start, radiograph, trap):
    pool = start(time_limit=1.0)
    begun = time.monotonic()

    hung, good = decode(pool, trap, radiograph(1))

    assert hung == Unread(code=Code.UNDECODABLE, sentence="decoding took longer than 1 s")
    assert good == expected(studies.picture(1))
    assert time.monotonic() - begun < 5
    assert decode(pool, radiograph(2)) == [expected(studies.picture(2))]


def test_a_view_that_takes_all_memory_is_too_large_and_costs_its_decoder(
    start, radiograph, tmp_path
):
    pool = start(1)
    (before,) = pool.pids

    large, good = decode(pool, request(killers.memory_eater(tmp_path / "huge.dcm")), radiograph(1))

    assert large.reason == "too_large: decoding takes more than 1280 MiB of memory"
    assert not large.final
    assert good == expected(studies.picture(1))
    assert pool.pids != [before]


def test_a_decoder_that_dies_at_rest_is_replaced_and_no_view_is_blamed(start, radiograph):
    pool = start(2)
    before = pool.pids
    for pid in before:
        os.kill(pid, signal.SIGKILL)

    outcomes = decode(pool, radiograph(1), radiograph(2))

    assert outcomes == [expected(studies.picture(1)), expected(studies.picture(2))]
    assert len(pool.pids) == 2
    assert not set(before) & set(pool.pids)


def test_one_that_hangs_keeps_no_other_waiting(start, radiograph, trap):
    pool = start(2)

    pool.put(0, trap)
    for task in range(1, 9):
        pool.put(task, radiograph(task))
    outcomes = {}
    begun = time.monotonic()
    while len(outcomes) < 8:
        outcomes |= pool.collect(1)

    assert outcomes == {task: expected(studies.picture(task)) for task in range(1, 9)}
    assert time.monotonic() - begun < 5


def test_many_that_hang_keep_no_other_waiting_however_often_one_comes(start, radiograph, trap):
    pool = start(2, slow_after=0.5)
    for task in range(15):
        pool.put(task, trap)

    for task in range(15, 20):
        pool.put(task, radiograph(task))
        begun = time.monotonic()
        outcomes = {}
        while not outcomes and time.monotonic() - begun < 20:
            outcomes |= pool.collect(1)
            assert sum(decoder.slow for decoder in pool._decoders) <= 1

        assert outcomes == {task: expected(studies.picture(task))}
        assert time.monotonic() - begun < 5

    assert pool.slow >= 5


def test_slow_views_are_decoded_after_one_another_and_none_is_blamed(start, radiograph):
    pool = start(3, slow_after=0.0)
    begun = pool.pids

    outcomes = decode(pool, *(radiograph(number) for number in range(6)))

    assert outcomes == [expected(studies.picture(number)) for number in range(6)]
    assert pool.slow == 0
    assert pool.pids != begun


def test_each_slow_view_has_the_full_time(start, radiograph, trap):
    pool = start(2, slow_after=0.1, time_limit=1.0)
    begun = time.monotonic()

    *hung, good = decode(pool, trap, trap, trap, radiograph(1))

    assert hung == [Unread(code=Code.UNDECODABLE, sentence="decoding took longer than 1 s")] * 3
    assert good == expected(studies.picture(1))
    assert time.monotonic() - begun >= 3
    assert pool.slow == 0


def test_who_waits_for_a_view_can_be_woken(start, trap):
    ours, theirs = os.pipe()
    pool = start(2)
    pool.put(0, trap)
    os.write(theirs, b"w")
    begun = time.monotonic()

    for _ in range(10):
        assert pool.collect(1, [ours]) == []

    assert time.monotonic() - begun < 1
    os.close(ours)
    os.close(theirs)


def test_while_no_decoder_can_be_started_views_wait(radiograph):
    files = resource.getrlimit(resource.RLIMIT_NOFILE)
    beats = []

    def beat():
        beats.append(pool.problem)
        if pool.problem:
            resource.setrlimit(resource.RLIMIT_NOFILE, files)

    wanted = radiograph(1)
    pool = Decoders(1, beat=beat)
    os.close(lowest_free := os.open(os.devnull, os.O_RDONLY))
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, files[1]))
        assert not pool.ready()
        outcomes = decode(pool, wanted)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, files)
        pool.close()

    assert "Too many open files" in "".join(beats)
    assert outcomes == [expected(studies.picture(1))]


def test_a_decoder_that_ends_as_it_starts_is_told_and_not_tried_at_once(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")

    with Decoders(2) as pool:
        assert not pool.ready()
        assert pool.problem == "the process ended as it started (status 1)"
        pool.tend()
        assert pool.pids == []


def test_hundreds_of_replaced_decoders_leave_nothing_behind(start, radiograph, trap):
    pool = start(2, time_limit=0.2)
    wanted = radiograph(1)
    decode(pool, trap)
    assert pool.ready()
    files, processes = len(files_of()), len(children())

    for _ in range(5):
        decode(pool, trap, wanted, trap)
    for _ in range(300):
        assert Decoder().end() == -signal.SIGKILL

    assert len(files_of()) == files
    assert len(children()) == processes


def test_a_decoder_has_no_file_of_its_parent_s_and_no_torch(start, report_figure):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        os.set_inheritable(listening.fileno(), True)
        (pid,) = start(1).pids

        links = files_of(pid)
        mapped = Path(f"/proc/{pid}/maps").read_text("utf-8")

    assert [link.partition(":")[0] for link in links if link != os.devnull] == ["socket"]
    assert "libtorch" not in mapped
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")
    megabytes = int(re.search(r"^Pss: +(\d+) kB", rollup, re.MULTILINE)[1]) / 1024
    report_figure(f"a decoder at rest: {megabytes:.0f} MiB")
    assert megabytes < 70


PARENT = """
import sys
from triage.pipeline.decoders import Decoders
from triage.pipeline.wire import Request
with Decoders(2) as pool:
    pool.ready()
    print(*pool.pids, flush=True)
    pool.put(0, Request(path=sys.argv[1], frame=1, kind="dicom", side=64, resize="squeeze"))
    while True:
        pool.collect(1)
"""


@pytest.mark.parametrize("fatal", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_no_decoder_outlives_its_parent(trap, fatal):
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, trap.path],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(),
    ) as parent:
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 2
        time.sleep(0.3)  # one is in the trap
        assert all(map(is_decoder, pids))

        parent.send_signal(fatal)
        parent.wait(10)

    wait_until(lambda: not any(map(is_decoder, pids)), "the decoders' end", seconds=5)


SQUARE = request("a.dcm", side=2)
FITTED = request("a.dcm", side=2, resize=FIT)
GOOD = Picture(2, 2, b"\x00\xff\x80\x01")


@pytest.mark.parametrize(
    ("picture", "wanted"),
    [(GOOD, SQUARE), (GOOD, FITTED), (Picture(1, 2, b"\n\n"), FITTED)],
)
def test_an_answer_is_taken_in_pieces(picture, wanted):
    whole = wire.answer_of_picture(picture)

    assert [wire.parse_answer(whole[:end], wanted) for end in range(len(whole))] == [None] * len(
        whole
    )
    assert wire.parse_answer(whole, wanted) == picture


def test_a_reason_comes_back_as_one_printable_line():
    told = Unread(code=Code.UNDECODABLE, sentence="line\nline \udcff" + "x" * 10_000)

    heard = wire.parse_answer(told.line(), SQUARE)

    assert heard.sentence.startswith("line line  xxx")
    assert len(heard.sentence) == wire.MAX_SENTENCE
    assert not heard.final


@pytest.mark.parametrize(
    "heard",
    [
        wire.answer_of_picture(GOOD) + b"\0",
        b'{"picture": true}\n' + GOOD.pixels,
        b'{"picture": [2]}\n' + GOOD.pixels,
        b'{"picture": [2, 3]}\n' + bytes(6),
        b'{"picture": [0, 2]}\n',
        b'{"picture": [-1, -4]}\n' + GOOD.pixels,
        b'{"picture": [2.0, 2.0]}\n' + GOOD.pixels,
        b'{"picture": ["2", "2"]}\n' + GOOD.pixels,
        b'{"picture": [1, 1e999]}\n',
        b'{"code": "undecodable", "sentence": "", "final": false, "spent": false}\nmore',
        b"\n",
        b"[]\n",
        b"null\n",
        b'{"code": "undecodable"}\n',
        b'{"code": "invented", "sentence": "", "final": false}\n',
        b'{"code": "undecodable", "sentence": [1], "final": false}\n',
        b'{"code": "undecodable", "sentence": {}, "final": false}\n',
        b"[" * 8000 + b"\n",
        b"\xff\xfe\n",
        b"x" * 10_000,
        b"\x80\x04\x95pickle\n",
    ],
)
@pytest.mark.parametrize("wanted", [SQUARE, FITTED], ids=["square", "fitted"])
def test_what_no_sound_decoder_says_is_refused(heard, wanted):
    with pytest.raises(BadAnswer):
        wire.parse_answer(heard, wanted)


def test_the_network_gets_no_other_shape_than_it_asked_for():
    with pytest.raises(BadAnswer):
        wire.parse_answer(wire.answer_of_picture(Picture(1, 2, b"\0\0")), SQUARE)
