"""What is measured, in the words of Prometheus.

Counters and histograms are of this daemon since its start; the processes count them, see
`triage.core.tally`. How much waits is asked of the database, and is the same from every daemon
that shares it. No label holds what a peer has sent.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    StateSetMetricFamily,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector, CollectorRegistry

from triage import __version__
from triage.core.load import Load
from triage.core.tally import FAMILIES, Family, Tally
from triage.pipeline.channel import ScorerState
from triage.settings import Settings
from triage.web.condition import Condition
from triage.web.department import Drifts

PREFIX = "triage_"


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What is known at one moment."""

    condition: Condition
    settings: Settings
    load: Load | None  # None while the database does not answer
    free: int | None  # bytes of the spool's disk; None while nobody knows
    pages: int  # that are open and listen to what changes
    drifts: Drifts  # none while nobody knows


def exposition(measured: Measured, accept: str) -> tuple[bytes, str]:
    """Return the measurements as a scraper wants them, and their media type."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(measured))
    encode, media_type = choose_encoder(accept)
    return encode(registry), media_type


def document(measured: Measured) -> list[dict[str, Any]]:
    """Return the same as plain values."""
    return [
        {
            "name": metric.name,
            "type": metric.type,
            "help": metric.documentation,
            "samples": [
                {"name": sample.name, "labels": dict(sample.labels), "value": float(sample.value)}
                for sample in metric.samples
            ],
        }
        for metric in _metrics(measured)
    ]


class _Collected(Collector):
    def __init__(self, measured: Measured) -> None:
        self._measured = measured

    def collect(self) -> Iterator[Metric]:
        return _metrics(self._measured)


def _metrics(measured: Measured) -> Iterator[Metric]:
    yield from _of_daemon(measured)
    yield from _of_stores(measured)
    tally = Tally()
    tally.add(measured.condition.counted)
    for family in FAMILIES.values():
        yield _histogram(family, tally) if family.bounds else _counter(family, tally)


def _of_daemon(measured: Measured) -> Iterator[Metric]:
    condition = measured.condition
    yield InfoMetricFamily(f"{PREFIX}build", "This version.", {"version": __version__})
    model = InfoMetricFamily(f"{PREFIX}model", "What scores; nothing while there is no model.")
    if condition.model:
        model.add_metric([], dict(condition.model))
    yield model
    # What a daemon that has fallen silent said last holds no more.
    heard = not condition.is_stale()
    yield _gauge("daemon_heard", "1 while the daemon speaks to its web process.", heard)
    if "receive" in condition.roles:
        receiving = heard and condition.receiver == "receiving"
        yield _gauge("receiver_up", "1 while associations are accepted.", receiving)
    yield StateSetMetricFamily(
        f"{PREFIX}scorer_state",
        "How the scorer is.",
        {str(state): heard and condition.scorer == state for state in ScorerState},
    )
    yield _gauge("loops_stuck", "Loops of the daemon that are late.", len(condition.stuck))
    yield _gauge("pages_open", "Pages that listen to the worklist.", measured.pages)


def _of_stores(measured: Measured) -> Iterator[Metric]:
    settings, load = measured.settings, measured.load
    if measured.free is not None:
        yield _gauge("spool_free_bytes", "Free on the spool's disk.", measured.free)
    min_free = settings.spool.min_free
    yield _gauge("spool_min_free_bytes", "spool.min_free: below it, none is taken.", min_free)
    max_wait = settings.worklist.max_wait
    yield _gauge("worklist_max_wait_seconds", "worklist.max_wait; 0 is no limit.", max_wait)
    yield _gauge("database_up", "1 while the database answers.", load is not None)
    if load is None:
        return
    studies = _gauge("worklist_studies", "Studies that wait for a reader.", labels=["priority"])
    for priority, count in load.studies.items():
        studies.add_metric([priority], count)
    yield studies
    yield _gauge("worklist_overdue_studies", "Those that wait too long.", load.overdue)
    longest = load.longest_wait
    yield _gauge("worklist_longest_wait_seconds", "Of a study, for its reader.", longest)
    yield _gauge("studies_receiving", "Studies that may still grow.", load.receiving)
    yield _gauge("views_waiting", "Views that wait for a score.", load.views)
    oldest = load.longest_view_wait
    yield _gauge("views_longest_wait_seconds", "Of a view, for its score.", oldest)
    drift = _gauge(
        "scores_drift",
        "1 where the last week's scores stand apart from the reference, as the department page marks it.",
        labels=["by", "name"],
    )
    for by, name, drifts in measured.drifts:
        drift.add_metric([by, name], drifts)
    yield drift


def _gauge(
    name: str, sentence: str, value: float | None = None, labels: list[str] | None = None
) -> GaugeMetricFamily:
    return GaugeMetricFamily(PREFIX + name, sentence, value, labels)


def _counter(family: Family, tally: Tally) -> Metric:
    metric = CounterMetricFamily(PREFIX + family.name, family.sentence, labels=[*family.labels])
    for labels in family.combinations():  # those that were never counted too, as 0
        metric.add_metric(labels, tally.numbers(family, *labels)[0])
    return metric


def _histogram(family: Family, tally: Tally) -> Metric:
    metric = HistogramMetricFamily(PREFIX + family.name, family.sentence, labels=[*family.labels])
    bounds = [*map(str, family.bounds), "+Inf"]
    for labels in family.combinations():
        *between, total = tally.numbers(family, *labels)
        upto, buckets = 0.0, []
        for bound, count in zip(bounds, between, strict=True):
            upto += count
            buckets.append((bound, upto))
        metric.add_metric(labels, buckets, total)
    return metric
