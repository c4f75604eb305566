"""Rebuild: writes the ledger's whole state to Redis under a new epoch, and points at it when it is whole.

Called by the relay, when Redis cannot be gone on from (`reason_to_rebuild`). Every step may be repeated, and a service
that is killed at any of them leaves nothing behind that the next rebuild does not clear away.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

from redis.exceptions import OutOfMemoryError

from gating.ledger import Head, Ledger
from gating.relay_script import Outpaced, RelayScript, Standing

PAGE_ACCOUNTS: Final = 500
"""Accounts that are read at once: a reader of the ledger's file holds a commit up, so for about 3 ms."""

Awaits = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Runs a callable in a thread of its own kind, and awaits it there."""


class Restarted(Protocol):
    """Whoever must hear of a new epoch as soon as it is drawn."""

    def restart(self, epoch: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Built:
    """The epoch that Redis points at now, and the version its state stands at."""

    epoch: str
    version: int


class Rebuild:
    """One relay's. in_turn: for what writes to the ledger; read: for what only reads it."""

    def __init__(self, ledger: Ledger, leader: Restarted, *, in_turn: Awaits, read: Awaits) -> None:
        self._ledger, self._leader, self._in_turn, self._read = ledger, leader, in_turn, read
        self._drawn: tuple[str, int] | None = None  # epoch and term of a rebuild that is not done
        self._cramped = False  # Redis was full: the old state has to make room
        self.done = 0

    @property
    def under_way(self) -> bool:
        return self._drawn is not None

    async def run(self, script: RelayScript, term: int, over_term: int) -> Built:
        """Rebuild Redis as the leader of `term`. over_term: see `RelayScript.claim`.

        Raises Outpaced, RebuildNeeded where somebody undid what was written meanwhile, RedisError, Unreachable.
        """
        epoch = await self._epoch(term)
        try:
            await script.claim(epoch, term, over_term=over_term, give_up_current=self._cramped)
            version = await self._write_state(script, epoch, term)
            await script.finish(epoch, term, version)
        except OutOfMemoryError:
            self._cramped = True
            raise
        self._drawn, self._cramped = None, False
        self.done += 1
        return Built(epoch, version)

    async def _write_state(self, script: RelayScript, epoch: str, term: int) -> int:
        """All accounts by the version of their newest change; the version that the whole then stands at.

        An account that changes between two pages moves to a higher version and is met again. The last page holds the
        newest change of all as of its reading, so everything up to that one is written.
        """
        version = 0
        while True:
            page = await self._read(partial(self._ledger.changes_since, version, PAGE_ACCOUNTS))
            if page:
                await script.page(epoch, term, page)
                version = page[-1].version
            if len(page) < PAGE_ACCOUNTS:
                return version

    async def _epoch(self, term: int) -> str:
        """A new one from the ledger, unless this rebuild has drawn it already and nothing came between."""
        if self._drawn is None or self._drawn != ((await self._read(self._ledger.head)).epoch, term):
            epoch: str = await self._in_turn(partial(_draw, self._ledger, term))
            self._drawn = epoch, term
            self._leader.restart(epoch)
        return self._drawn[0]


def _draw(ledger: Ledger, term: int) -> str:
    with ledger.begin() as transaction:
        leads = ledger.lead().term
        if leads != term:
            raise Outpaced(leads)
        return transaction.new_epoch()


def reason_to_rebuild(stands: Standing, head: Head) -> str | None:
    """Why Redis cannot be gone on from; None where it can, perhaps with changes to replay. Pure."""
    if not stands.epoch:
        return "it points at no epoch"
    if stands.epoch != head.epoch:
        return "it points at another epoch than the ledger's"
    if stands.head is None:
        return "its state was never finished"
    if stands.head > head.version:
        return f"it stands at version {stands.head}, the ledger at {head.version}"
    if stands.head and not stands.has_state:
        return "its state is gone"
    return None
