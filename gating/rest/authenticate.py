"""Authenticate: a bearer token -> who asks; slows down whoever gives wrong ones; notes when each was last used.

A token is found by its SHA-256, so that no comparison with a secret can be timed. Unknown, expired and revoked ones are
answered alike. Neither token nor digest is ever logged; here nothing is.
"""

import asyncio
import contextlib
import math
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from typing import Any, Final

from gating.clock import Clock
from gating.errors import PixelgateError
from gating.ledger import Ledger
from gating.rest.caller import Caller
from gating.rest.errors import NotSignedIn, TooManyTries
from gating.rest.slowdown import FREE_TRIES, Slowdown
from gating.status import SECOND_US
from gating.token import token_digest

NOTE_SECONDS: Final = 5.0
"""How often uses are written, all in one note: never with a change."""
USED_AGAIN_US: Final = 60 * SECOND_US
"""A token's use is written once a minute at the most."""
KNOWN_MAX: Final = 1_000
"""Tokens known to have been good: they are looked up even where their peer's address has to wait, so that nobody shuts
out those who share an address with him (a proxy's, a NAT's)."""

InTurn = Callable[[Callable[[], None]], Coroutine[Any, Any, None]]


class Failure(StrEnum):
    """Why a request was let in by nobody; a label of Prometheus'."""

    MISSING = "missing"
    MALFORMED = "malformed"
    UNKNOWN = "unknown"
    ENDED = "ended"
    SLOWED = "slowed"


class Authenticator:
    """For one event loop. in_turn: runs what writes to the ledger."""

    def __init__(self, ledger: Ledger, clock: Clock, in_turn: InTurn, free_tries: int = FREE_TRIES) -> None:
        self._ledger = ledger
        self._clock = clock
        self._in_turn = in_turn
        self._slowdown = Slowdown(free_tries)
        self._known: OrderedDict[bytes, None] = OrderedDict()
        self._noted_us: dict[str, int] = {}
        self._used_us: dict[str, int] = {}
        self._reads = ThreadPoolExecutor(1, thread_name_prefix="tokens")  # no long list before it
        self.failures: Counter[Failure] = Counter()

    async def caller(self, authorization: str | None, peer: str) -> Caller:
        """Whoever holds the token of an Authorization header. Raises NotSignedIn, TooManyTries, Unreachable."""
        if authorization is None:
            self.failures[Failure.MISSING] += 1
            raise NotSignedIn(tried=False)
        scheme, _, secret = authorization.partition(" ")
        digest = token_digest(secret.strip()) if scheme.lower() == "bearer" else None
        wait_seconds = self._slowdown.wait_seconds(peer, time.monotonic())
        if wait_seconds > 0 and digest not in self._known:
            self.failures[Failure.SLOWED] += 1
            raise TooManyTries(math.ceil(wait_seconds))
        if digest is None:
            raise self._failed(Failure.MALFORMED, peer)
        loop = asyncio.get_running_loop()
        token = await loop.run_in_executor(self._reads, self._ledger.tokens.acting, digest)
        now_us = self._clock.now_us()
        if token is None or not token.holds(now_us):
            self._known.pop(digest, None)
            raise self._failed(Failure.UNKNOWN if token is None else Failure.ENDED, peer)
        self._remember(digest)
        if now_us - self._noted_us.get(token.id, token.used_at_us or 0) >= USED_AGAIN_US:
            self._used_us[token.id] = self._noted_us[token.id] = now_us
        return Caller.of(token)

    async def run(self) -> None:
        """Write down, now and then, which tokens were used when."""
        while True:
            await asyncio.sleep(NOTE_SECONDS)
            with contextlib.suppress(PixelgateError):  # it is noted at the next use
                await self.note_used()

    async def note_used(self) -> None:
        """Write down what was used since the last time. Raises Unreachable."""
        used, self._used_us = self._used_us, {}
        if used:
            await self._in_turn(lambda: self._ledger.tokens.note_used(used))

    def close(self) -> None:
        """Let the look-up that runs end."""
        self._reads.shutdown()

    def _failed(self, failure: Failure, peer: str) -> NotSignedIn:
        self.failures[failure] += 1
        self._slowdown.failed(peer, time.monotonic())
        return NotSignedIn(tried=True)

    def _remember(self, digest: bytes) -> None:
        self._known[digest] = None
        self._known.move_to_end(digest)
        if len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)
