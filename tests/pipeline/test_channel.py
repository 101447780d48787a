"""What the scoring process tells its parent."""

import json
import socket

import pytest

from triage.core.tally import SCORED, Tally
from triage.pipeline.channel import Channel, Orphaned, Outlet, ScorerState, Word


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    with ours, theirs:
        yield ours, theirs


def read_all(connection):
    heard = b""
    try:
        while more := connection.recv(65536, socket.MSG_DONTWAIT):
            heard += more
    except BlockingIOError:
        return heard
    return heard


def test_every_line_comes_whole_or_not_at_all_however_slow_the_other_side_is(ends):
    ours, theirs = ends
    outlet = Outlet(ours)
    lines = [json.dumps({"number": n, "filling": "x" * 700}).encode() + b"\n" for n in range(200)]
    sent, heard = [], b""
    for number, line in enumerate(lines):
        if outlet.send(line):
            sent.append(line)
        if number % 50 == 49:
            heard += read_all(theirs)
    for _ in range(3):  # the end of the one that was under way
        outlet.send(b"")
        heard += read_all(theirs)

    assert heard == b"".join(sent)
    assert 0 < len(sent) < len(lines)


def test_what_could_not_be_told_is_told_with_the_next_word(ends):
    ours, theirs = ends
    tally = Tally()
    channel = Channel(ours, tally)
    told, parents = 0, Tally()
    for _ in range(300):
        tally.count(SCORED)
        told += 1
        channel.tell(ScorerState.READY)
    heard = read_all(theirs)
    for _ in range(3):
        channel.tell(ScorerState.READY)
        heard += read_all(theirs)
    for line in heard.decode().splitlines():
        parents.add(Word.parse(line).done)

    assert len(heard.splitlines()) < 300, "nothing was held back: the test shows nothing"
    assert parents.numbers(SCORED) == [told]


def test_a_word_is_read_as_it_was_said():
    word = Word(state=ScorerState.READY, model={"name": "m 1"}, done=[["views_scored", [], [2.0]]])

    assert Word.parse(word.line().decode()) == word


def test_without_a_parent_the_scorer_is_an_orphan(ends):
    ours, theirs = ends
    theirs.close()

    with pytest.raises(Orphaned):
        Channel(ours, Tally()).tell(ScorerState.READY)
