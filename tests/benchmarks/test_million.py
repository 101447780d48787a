"""10,000 unread studies in an archive of a million, against 10,000 that are alone. See README.md."""

import statistics
import time

import pytest

from tests.support.archive import Archive, fill
from tests.support.questions import day

pytestmark = [pytest.mark.benchmark, pytest.mark.postgres]

STUDIES = 1_000_000
UNREAD = 10_000
ROUNDS = 40
SLOWEST = 10.0  # milliseconds, of each median
# Made once in half a minute at most, for whoever looks at it, of whatever came or was read lately.
REPORTS = ("figures of the department",)
RATIO = 2.0
ASKED_SIZE = {
    "sqlite": "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size",
    "postgres": "SELECT pg_database_size(current_database())",
}


@pytest.mark.parametrize("kind", ASKED_SIZE)
def test_no_question_takes_longer_where_a_million_studies_were_read(
    kind, new_database, report_figure
):
    small, large = (fill(new_database(kind), studies, UNREAD) for studies in (UNREAD, STUDIES))
    ((size,),) = large.store.sql(ASKED_SIZE[kind])
    report_figure(f"{kind}: {size / STUDIES:,.0f} bytes a study of three views")
    figures = measure(small, large)

    slow = []
    for name, (alone, among) in figures.items():
        line = f"{kind:8} {name:42} {alone:6.2f} ms   {among:6.2f} ms   ratio {among / alone:4.2f}"
        report_figure(line)
        is_slow = max(alone, among) > SLOWEST and name not in REPORTS
        if is_slow or among > RATIO * alone:
            slow.append(line)
    assert not slow, "\n".join(slow)


def measure(*archives: Archive) -> dict[str, list[float]]:
    """Return the median milliseconds of each question, of one archive after the other."""
    taken: dict[str, list[list[float]]] = {}
    for number in range(ROUNDS + 1):
        # In turn, so that other work on the machine meets both.
        for asked in zip(*(day(archive, number) for archive in archives), strict=True):
            name = asked[0][0]
            each = taken.setdefault(name, [[] for _ in archives])
            for times, (_, question) in zip(each, asked, strict=True):
                began = time.perf_counter()
                question()
                times.append(1000 * (time.perf_counter() - began))
    return {
        # The first round is for the statements, which are compiled once.
        name: [statistics.median(times[1:]) for times in each]
        for name, each in taken.items()
    }
