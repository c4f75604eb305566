"""Retry: a whole transaction again, where the engine undid it for another's sake. Used within the ledger alone.

Only whoever holds all that a transaction does can do that: `Ledger.begin` cannot run its caller's block again.
"""

import random
import time
from collections.abc import Callable
from typing import Final, TypeVar

from sqlalchemy import Connection

from gating.ledger.store import Conflict, Store, Turn

T = TypeVar("T")

CONFLICT_TRIES_MAX: Final = 5
"""Our own transactions wait for each other and conflict with none; whoever works on the tables by hand ends one day."""
CONFLICT_SECONDS: Final = 0.02
"""The longest pause before the second try; it doubles, so all pauses are below 0.3 s: a flip waits for them."""


def tried_again(attempt: Callable[[], T]) -> T:
    """Try until there is no conflict, pausing a random time in between. Raises Conflict after CONFLICT_TRIES_MAX."""
    for tries in range(1, CONFLICT_TRIES_MAX):
        try:
            return attempt()
        except Conflict:
            time.sleep(random.uniform(0, CONFLICT_SECONDS * 2 ** (tries - 1)))  # noqa: S311  no secret
    return attempt()


def noted(store: Store, work: Callable[[Connection], T]) -> T:
    """What is no change of an account: in one write transaction of its own turn, again where it had to give way."""

    def attempt() -> T:
        with store.writing(Turn.NOTE) as connection:
            return work(connection)

    return tried_again(attempt)
