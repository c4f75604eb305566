"""Settle: unverified events become visible, hidden or gone, by what the ledger's history says held when they came.

Called by the loop between batches, on its worker thread. A worker without a lease keeps hits it may not judge (DESIGN
6); here they are judged, a batch of write keys at a time, as soon as the history up to their moment is complete. Must
not guess: while the ledger cannot be read, everything stays as it is, unseen.
"""

from collections.abc import Callable, Iterable
from typing import Final, Protocol

from consumers.warehouse.protocol import Ruling, Settled, Unsettled, Warehouse
from gating.errors import RulebookInvalid, Unreachable
from gating.ledger.timeline import UNCERTAINTY_US, Timeline, standing_at
from gating.status import SECOND_US, Verdict

MARGIN_US: Final = UNCERTAINTY_US + SECOND_US
"""How old an event must be: every change that may count for it lies in the past, by a second of clock difference."""

KEYS_MAX: Final = 500
EVENTS_MAX: Final = 50_000
"""Of one pass, which the next batch waits for: some 0.2 s for the keys' histories and as much for the events."""


class Judge(Protocol):
    """What settlement asks of the ledger."""

    def await_writers(self) -> None:
        """Return when every change that was begun before the call is committed or gone. Raises Unreachable."""

    def timeline(self, write_key: str) -> Timeline | None:
        """Return a write key's whole life up to now; None for a key that no account has.

        Raises Unreachable, RulebookInvalid.
        """

    def is_final(self, account: str) -> bool:
        """Tell whether the account is DELETED, a tombstone. Raises Unreachable."""


class Settler:
    """Settles what a warehouse holds by what a judge knows. Not for two threads at once."""

    def __init__(self, warehouse: Warehouse, judge: Judge, now_us: Callable[[], int]) -> None:
        self._warehouse = warehouse
        self._judge = judge
        self.now_us = now_us
        self.trouble = ""  # why the last pass could not settle; empty when it could
        self.settled = Settled()

    def settle_some(self) -> Settled:
        """Settle one bounded batch; an empty result means that nothing is old enough or the ledger cannot be read.

        Raises WarehouseFailed; then nothing was settled.
        """
        before_us = self.now_us() - MARGIN_US
        keys = self._warehouse.unsettled(before_us, KEYS_MAX)
        if not keys:
            self.trouble = ""
            return Settled()
        try:
            self._judge.await_writers()
            rulings = [ruling for key in keys for ruling in self._rulings(key)]
        except (Unreachable, RulebookInvalid) as error:
            self.trouble = f"the ledger cannot be read: {error}"
            return Settled()
        self.trouble = ""
        settled = self._warehouse.settle(rulings, before_us, EVENTS_MAX)
        self.settled = add(self.settled, settled)
        return settled

    def waiting(self, until_us: int) -> int:
        """Return how many unverified events were received at or before `until_us`."""
        return self._warehouse.unverified(until_us)

    def _rulings(self, key: Unsettled) -> list[Ruling]:
        timeline = self._judge.timeline(key.write_key)
        if timeline is not None and self._judge.is_final(timeline.account):
            return [Ruling(key.write_key, key.first_us, timeline.account, Verdict.DROP, 0)]  # I8, I12
        return list(rulings(timeline, key.write_key, key.first_us, key.last_us))


def rulings(timeline: Timeline | None, write_key: str, first_us: int, last_us: int) -> Iterable[Ruling]:
    """The fates of a key's hits received in `first_us`..`last_us`, as intervals: `standing_at`, asked once each.

    Pure. The first ruling begins at `first_us`; between two instants of the timeline the answer cannot change.
    """
    for since_us in sorted({first_us, *_instants(timeline, first_us, last_us)}):
        held = standing_at(timeline, since_us)
        yield Ruling(write_key, since_us, held.account, held.verdict, held.version)


def _instants(timeline: Timeline | None, first_us: int, last_us: int) -> Iterable[int]:
    """When, after `first_us` and up to `last_us`, a hit's fate may change."""
    if timeline is None:
        return
    moments = [timeline.created_at_us, timeline.revoked_at_us]
    for change in timeline.changes:
        moments += (change.at_us, change.until_us)
    for moment_us in moments:
        if moment_us is not None and first_us < moment_us - UNCERTAINTY_US <= last_us:
            yield moment_us - UNCERTAINTY_US


def add(one: Settled, other: Settled) -> Settled:
    """The sum of two settlements."""
    return Settled(
        one.visible + other.visible,
        one.hidden + other.hidden,
        one.gone + other.gone,
        one.duplicates + other.duplicates,
    )
