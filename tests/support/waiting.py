"""Waiting for what a running daemon brings about."""

import time
from collections.abc import Callable
from typing import TypeVar

import pytest

T = TypeVar("T")


def wait_until(
    look: Callable[[], T], what: str, *, seconds: float = 30.0, every: float = 0.05
) -> T:
    """Return what *look* returns as soon as it is true; fail after *seconds*, saying *what*."""
    give_up = time.monotonic() + seconds
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() > give_up:
            pytest.fail(f"after {seconds:.0f} s still not: {what}; last seen: {seen!r}")
        time.sleep(every)
