"""Asking the web process of a running daemon, past everything of ours."""

import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPResponse

from tests.support.daemon import HOST


@contextmanager
def opened(url: str) -> Iterator[HTTPResponse]:
    """Open an answer that is read as it comes; on leaving it is closed."""
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310  our own daemon
        yield answer


def ask(port: int, path: str, method: str = "GET") -> tuple[int, str]:
    """Return status and body of an answer."""
    request = urllib.request.Request(f"http://{HOST}:{port}{path}", method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def metric(port: int, name: str) -> float | None:
    """Return a value of /metrics by its name and labels as they stand there; None: no such."""
    lines = [line.rpartition(" ") for line in ask(port, "/metrics")[1].splitlines()]
    return {key: float(value) for key, _, value in lines if key and key[0] != "#"}.get(name)
