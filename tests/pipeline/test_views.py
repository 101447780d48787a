"""Scoring a batch: what fails, fails alone, unless it is the network."""

import select
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from structlog.testing import capture_logs

from triage.core.reasons import Code
from triage.core.studytype import StudyType
from triage.errors import ModelUnusable, ScorerBroken
from triage.model.cam import unpack
from triage.model.card import Card, Preprocessing
from triage.model.ensemble import Ensemble
from triage.pipeline import views as pipeline_views
from triage.pipeline.views import Source, Views
from triage.pipeline.wire import Kind, Picture, Unread

SIDE = 32
CARD = Card(
    name="told",
    version="1",
    training_data="none",
    licence="CC0",
    accepted=(StudyType.HAND,),
    thresholds={StudyType.HAND: 0.25},
    preprocessing=Preprocessing(size=SIDE, resize="pad", mean=(0, 0, 0), std=(1, 1, 1)),
)
BROKEN = Unread(code=Code.UNDECODABLE, sentence="it is broken")
TOO_LARGE = Unread(code=Code.TOO_LARGE, sentence="it is huge", final=True)


class ToldScorer:
    """Says what it is told: the mean grey as the probability and everywhere on the map, or an error."""

    ensemble = Ensemble((CARD,))
    device = "cpu"
    batch = 8

    def __init__(self, error=None, *, works=True):
        self._error, self._works = error, works

    def explain(self, prepared):
        if self._error:
            raise self._error
        means = [float(image.mean()) for image in prepared]
        return [
            SimpleNamespace(probability=mean, map=np.full((1, 1), mean, np.float32))
            for mean in means
        ]

    def works(self):
        return self._works


class ToldDecoders:
    """Decodes no file: its name says the shade of grey, unless it was told what is wrong.

    What it holds back it never gives.
    """

    def __init__(self, *held_back, **wrong):
        self._held_back, self._wrong = held_back, wrong
        self._waiting = []
        self.asked = []

    def put(self, task, request):
        self.asked.append(request)
        if request.path not in self._held_back:
            side = request.side
            outcome = self._wrong.get(request.path) or Picture(
                side, side, bytes([int(request.path)]) * side**2
            )
            self._waiting.append((task, outcome))

    def collect(self, seconds, wakes=()):
        if self._waiting:
            return [self._waiting.pop()]
        select.select(wakes, [], [], seconds)
        return []


def score(scorer, sources, decoders):
    """Return the verdicts in the order of the sources."""
    views = Views(scorer, decoders)
    for number, source in enumerate(sources):
        views.put(number, source)
    verdicts = {}
    while views:
        verdicts |= views.take(1)
    return [verdicts[number] for number in range(len(sources))]


def hand(name, **place):
    return Source(study_type=StudyType.HAND, path=Path(str(name)), **place)


def test_each_view_has_its_probability_threshold_and_model():
    first, second = score(ToldScorer(), [hand(0), hand(255)], ToldDecoders())

    assert (first.probability, second.probability) == (0.0, 1.0)
    assert (first.threshold, first.model) == (0.25, "told 1")


def test_each_view_has_the_map_of_its_own_pass_and_how_it_was_scaled():
    first, second = score(ToldScorer(), [hand(0), hand(255)], ToldDecoders())

    assert [unpack(verdict.map).tolist() for verdict in (first, second)] == [[[0.0]], [[1.0]]]
    assert (first.map.side, first.map.resize) == (SIDE, "pad")


def test_a_view_that_is_not_scored_has_no_map():
    (verdict,) = score(ToldScorer(), [hand("broken")], ToldDecoders(broken=BROKEN))

    assert verdict.map is None


def test_the_decoders_are_asked_for_what_the_card_says():
    decoders = ToldDecoders()

    score(ToldScorer(), [hand(0), hand(1, frame=3), hand(2, kind=Kind.PICTURE)], decoders)

    assert [(r.path, r.frame, r.kind) for r in decoders.asked] == [
        ("0", 1, "dicom"),
        ("1", 3, "dicom"),
        ("2", 1, "picture"),
    ]
    assert {(request.side, request.resize) for request in decoders.asked} == {(SIDE, "pad")}


def test_views_that_cannot_be_read_leave_the_others_theirs():
    verdicts = score(
        ToldScorer(),
        [hand(255), hand("broken"), hand(0), hand("huge")],
        ToldDecoders(broken=BROKEN, huge=TOO_LARGE),
    )

    assert [verdict.probability for verdict in verdicts] == [1.0, None, 0.0, None]
    assert (verdicts[1].reason, verdicts[1].final) == ("undecodable: it is broken", False)
    assert (verdicts[3].reason, verdicts[3].final) == ("too_large: it is huge", True)


def test_a_view_that_takes_long_keeps_no_other_waiting():
    views = Views(ToldScorer(), ToldDecoders("slow"))
    for name in ("255", "slow", "0"):
        views.put(name, hand(name))

    through = dict(views.take(1))

    assert {name: verdict.probability for name, verdict in through.items()} == {
        "255": 1.0,
        "0": 0.0,
    }
    assert len(views) == 1
    assert views.take(0) == []


def test_a_part_that_the_model_does_not_accept_is_final_and_never_read():
    decoders = ToldDecoders()

    (verdict,) = score(ToldScorer(), [Source(study_type=StudyType.WRIST, path=Path("0"))], decoders)

    assert verdict.final
    assert verdict.reason.startswith("not_accepted_by_model: ")
    assert decoders.asked == []


def test_a_network_that_fails_on_these_views_is_tried_again():
    (verdict,) = score(ToldScorer(RuntimeError("no")), [hand(1)], ToldDecoders())

    assert (verdict.probability, verdict.final) == (None, False)
    assert verdict.reason.startswith("scoring_failed: ")


class FailsOn(ToldScorer):
    """Fails on every batch with a view of this grey, as a network does that overflows there."""

    def __init__(self, grey, error):
        super().__init__()
        self.grey, self.fails_with = grey, error
        self.passes = []

    def explain(self, prepared):
        self.passes.append(len(prepared))
        if any(image.mean() == self.grey for image in prepared):
            raise self.fails_with
        return super().explain(prepared)


@pytest.mark.parametrize("error", [ModelUnusable("no finite number"), RuntimeError("no memory")])
def test_a_view_that_the_network_fails_on_costs_no_other_a_try(error):
    scorer = FailsOn(1.0, error)

    with capture_logs() as events:
        verdicts = score(scorer, [hand(0), hand(255), hand(0)], ToldDecoders())

    assert [verdict.probability for verdict in verdicts] == [0.0, None, 0.0]
    assert verdicts[1].reason.startswith("scoring_failed: ")
    assert not verdicts[1].final
    assert scorer.passes == [3, 1, 1, 1]
    (told,) = events
    assert (told["event"], told["reason"], told["views"]) == ("scoring_failed", str(error), 1)


def test_a_network_that_fails_on_everything_blames_no_view():
    lost = ToldScorer(RuntimeError("lost device"), works=False)

    with pytest.raises(ScorerBroken, match="lost device"):
        score(lost, [hand(1)], ToldDecoders())


@pytest.mark.parametrize(
    ("decoded", "passes"),
    [
        pytest.param([0.0], {0.02: 1}, id="a lone one, while another is still decoded"),
        pytest.param([0.0, 0.008, 0.016, 0.024], {0.02: 3, 0.044: 1}, id="the first of several"),
        pytest.param([0.001 * number for number in range(9)], {0.007: 8, 0.028: 1}, id="a batch"),
    ],
)
def test_a_decoded_view_waits_for_others_20_ms_at_most(monkeypatch, decoded, passes):
    clock = Clock()
    monkeypatch.setattr(pipeline_views, "time", clock)
    monkeypatch.setattr(pipeline_views, "ThreadPoolExecutor", AtOnce)
    scorer = TimedScorer(clock)
    views = Views(scorer, TimedDecoders(clock, decoded))
    for number in range(len(decoded) + 1):  # the last is never decoded
        views.put(number, hand(0))

    while len(views) > 1:
        views.take(1)

    assert {round(moment, 6): size for moment, size in scorer.passes.items()} == passes


def test_what_is_decoded_while_the_network_is_busy_passes_next_and_keeps_no_decoder_waiting():
    busy, decoders = BusyScorer(), ToldDecoders()
    views = Views(busy, decoders)
    views.put(1, hand(0))
    assert views.take(0.05) == []  # its pass goes on
    for number in range(2, 5):
        views.put(number, hand(0))

    assert views.take(0.05) == []
    assert decoders.collect(0) == []  # they are decoded all the same
    busy.go_on.set()

    through = []
    while views:
        through += [number for number, _ in views.take(1)]
    assert through[0] == 1
    assert busy.passes == [1, 3]


def test_a_network_that_does_not_come_back_is_waited_for_in_silence(monkeypatch):
    monkeypatch.setattr(pipeline_views, "LONG", 0.1)
    busy, decoders = BusyScorer(), CountingDecoders()
    views = Views(busy, decoders)
    views.put(1, hand(0))
    while not busy.passes:
        views.take(0.01)
    threading.Timer(1.0, busy.go_on.set).start()
    time.sleep(0.2)
    before = decoders.asked_for

    ((number, verdict),) = views.take(5)

    assert (number, verdict.probability) == (1, 0.0)
    assert decoders.asked_for <= before + 1  # each time is a heartbeat


class Clock:
    """Time that passes when somebody waits."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now


class AtOnce:
    """Does what it is given before it returns."""

    def __init__(self, *_args, **_options):
        pass

    def submit(self, work, *args):
        future = Future()
        future.set_result(work(*args))
        return future


class TimedScorer(ToldScorer):
    """Notes when its passes begin, and of how many views; they take no time."""

    def __init__(self, clock):
        super().__init__()
        self.clock = clock
        self.passes = {}

    def explain(self, prepared):
        self.passes[self.clock.now] = len(prepared)
        return super().explain(prepared)


class TimedDecoders:
    """Decodes one view after the other at these moments, and no more."""

    def __init__(self, clock, moments):
        self.clock = clock
        self.moments = list(moments)
        self.waiting = []

    def put(self, task, request):
        self.waiting.append((task, Picture(request.side, request.side, bytes(request.side**2))))

    def collect(self, seconds, _wakes=()):
        until = self.clock.now + seconds
        if self.moments and self.moments[0] <= until:
            self.clock.now = max(self.clock.now, self.moments.pop(0))
            return [self.waiting.pop(0)]
        self.clock.now = until
        return []


class CountingDecoders(ToldDecoders):
    """Count how often they are asked."""

    asked_for = 0

    def collect(self, seconds, wakes=()):
        self.asked_for += 1
        return super().collect(min(seconds, 0.05), wakes)


class BusyScorer(ToldScorer):
    """Its passes wait until they may go on."""

    def __init__(self):
        super().__init__()
        self.go_on = threading.Event()
        self.passes = []

    def explain(self, prepared):
        self.passes.append(len(prepared))
        assert self.go_on.wait(60)
        return super().explain(prepared)
