"""Materialise: a batch's events into the warehouse, each once, whatever died before.

Called by the loop with what the source gave. Sources repeat, warehouses do not ask: this is where an event that was
taken already is told by its sequence. Must not read a ledger: what is unverified waits for `settle.py`.
"""

import time
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

from consumers.errors import WarehouseFailed
from consumers.source import Batch, Part
from consumers.warehouse.protocol import Stored, Warehouse


@dataclass(slots=True)
class Taken:
    """What this process has done since its start; for `status` and metrics."""

    batches: int = 0
    events: int = 0
    unverified: int = 0
    duplicates: int = 0
    purged: int = 0  # of accounts that are no more
    repeated: int = 0  # came again by the source's at-least-once, and were not taken again
    missing: int = 0
    seconds: float = 0.0  # that the batches took in the warehouse


class Materialiser:
    """Knows how far each stream is, as the warehouse does; one loop calls it.

    shared: whether others write to the warehouse too, so that it may know more than was taken here.
    """

    def __init__(self, warehouse: Warehouse, *, shared: bool = False) -> None:
        self._warehouse = warehouse
        self._shared = shared
        self._highest: dict[str, int] | None = None
        self.taken = Taken()

    def take(self, batch: Batch) -> Stored:
        """Put into the warehouse what of the batch is not there yet, with its positions, in one transaction.

        Raises WarehouseFailed; then the same batch may be given again, whether or not it went in after all.
        """
        highest = self._known()
        began = time.perf_counter()
        parts = [part for part in (fresh(part, highest.get(part.stream, 0)) for part in batch.parts) if part]
        again = {event.id: event for event in batch.again}
        if not parts and not batch.missing and not again:
            self.taken.repeated += batch.events
            return Stored()
        try:
            stored = self._warehouse.append(parts, batch.missing, tuple(again.values()))
        except WarehouseFailed:
            self._highest = None  # a COMMIT that failed may have held: ask the warehouse before the next try
            raise
        highest.update({part.stream: part.highest for part in parts})
        self._count(batch, parts, len(again), stored)
        self.taken.seconds += time.perf_counter() - began
        return stored

    def covers(self, ends: Mapping[str, int]) -> bool:
        """Tell whether every stream has been taken at least up to its sequence in `ends`."""
        return not self.behind(ends)

    def behind(self, ends: Mapping[str, int]) -> list[str]:
        """Return the streams of `ends` that have not been taken up to there. Raises WarehouseFailed."""
        behind = _behind(ends, self._known())
        if behind and self._shared:  # others may have taken it meanwhile
            behind = _behind(ends, self.refreshed())
        return behind

    def owed(self, ends: Mapping[str, int]) -> int | None:
        """Return how many hits up to `ends` have not been taken; None while that is not known. Any thread may ask."""
        highest = self._highest
        return None if highest is None else sum(max(0, end - highest.get(stream, 0)) for stream, end in ends.items())

    def highest(self) -> Mapping[str, int]:
        """Return how far each stream has been taken. Raises WarehouseFailed."""
        return self._known()

    def refreshed(self) -> Mapping[str, int]:
        """Return how far each stream has been taken, by whomever, as the warehouse has it now. Raises as it does."""
        self._highest = None
        return self._known()

    def _known(self) -> dict[str, int]:
        if self._highest is None:
            self._highest = dict(self._warehouse.highest())
        return self._highest

    def _count(self, batch: Batch, parts: list[Part], again: int, stored: Stored) -> None:
        self.taken.batches += 1
        self.taken.events += stored.events
        self.taken.unverified += stored.unverified
        self.taken.duplicates += stored.duplicates
        self.taken.purged += stored.purged
        given = sum(len(part.events) for part in parts) + again
        stored_or_told = stored.events + stored.unverified + stored.duplicates + stored.purged
        known = given - stored_or_told  # the warehouse looked those up by id
        self.taken.repeated += batch.events - given + known
        self.taken.missing += sum(gap.last - gap.first + 1 for gap in batch.missing)


def fresh(part: Part, highest: int) -> Part | None:
    """Return what of the part lies above `highest`; None where nothing does."""
    if part.highest <= highest:
        return None
    if not part.sequences or part.sequences[0] > highest:  # the likely case: nothing was repeated
        return part
    first = bisect_right(part.sequences, highest)
    return Part(part.stream, part.highest, part.events[first:], part.sequences[first:])


def _behind(ends: Mapping[str, int], highest: Mapping[str, int]) -> list[str]:
    return [stream for stream, end in ends.items() if highest.get(stream, 0) < end]
