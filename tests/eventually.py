"""Waiting in tests: poll until something holds, up to a deadline. No test sleeps for a time it guesses."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
POLL_SECONDS = 0.01


def eventually(probe: Callable[[], T], deadline_seconds: float = 10) -> T:
    """Return the first true value of `probe`; fail with the last false one once the deadline has passed."""
    until = time.monotonic() + deadline_seconds
    while not (seen := probe()):
        if time.monotonic() > until:
            raise AssertionError(f"not within {deadline_seconds} s; last seen: {seen!r}")
        time.sleep(POLL_SECONDS)
    return seen


async def aeventually(probe: Callable[[], T], deadline_seconds: float = 10) -> T:
    """`eventually` for a test whose event loop must go on meanwhile."""
    until = time.monotonic() + deadline_seconds
    while not (seen := probe()):
        if time.monotonic() > until:
            raise AssertionError(f"not within {deadline_seconds} s; last seen: {seen!r}")
        await asyncio.sleep(POLL_SECONDS)
    return seen
