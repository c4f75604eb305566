"""Election: which of several gating services leads, by terms in the ledger they share. No two hosts' clocks compared.

The holder renews its term each second; every renewal moves the row's beat. A challenger takes over once the beat has
stood still for longer than a term by its own CLOCK_BOOTTIME, measured from after it read the beat; the holder counts
its term from before it wrote it. So by the time another can lead, the holder has stopped by its own clock, frozen or
not. A candidate blocks on the ledger: it runs in the thread that writes there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from gating.clock import Reading, boot_ns
from gating.ledger import LeadRow, Ledger

TERM_NS: Final = 5_000_000_000
"""How long a holder leads by one renewal. A takeover costs this, and then a whole lease that flips wait for: together
less than the 10 s that a command line waits by default."""
TERM_SURELY_OVER_NS: Final = TERM_NS * 105 // 100
"""The same by a challenger's clock: 5 % for two clocks that run at different rates."""
BEAT_SECONDS: Final = 1.0
"""A term outlives four renewals that fail; each is one commit."""
WATCH_SECONDS: Final = 0.25
"""Between two looks of a challenger; a holder that stopped cleanly is succeeded within this."""


@dataclass(frozen=True, slots=True)
class _Seen:
    term: int
    beat: int
    since_ns: int


class Candidate:
    """One gating service that leads or would. `step` is called again and again, by one thread at a time.

    holder: a name that no other service has, nor this one at another start. alone: nobody else can open this ledger
    (it is a file, and the role on its directory is held), so a term that a dead process left is taken over at once.
    reading: this service's clocks, for the heartbeat that each renewal writes; None for one that writes none.
    """

    def __init__(
        self,
        ledger: Ledger,
        holder: str,
        *,
        alone: bool = False,
        boot_ns: Callable[[], int] = boot_ns,
        reading: Callable[[], Reading] | None = None,
    ) -> None:
        self._ledger = ledger
        self._holder = holder
        self._alone = alone
        self._boot_ns = boot_ns
        self._reading = reading
        self._seen: _Seen | None = None
        self._until_ns = 0
        self.term = 0  # the number of this service's own term; 0 while it has none

    def holds(self) -> bool:
        """Tell whether nobody else can lead now. Any thread may ask, as often as it likes."""
        return self.term != 0 and self._boot_ns() < self._until_ns

    def step(self) -> None:
        """Renew the term, or watch the holder's and take over when it is surely over. Raises Unreachable."""
        if self.term:
            self._renew()
        else:
            self._watch()

    def retire(self) -> None:
        """End the term, so that the next leader need not wait for it. Raises Unreachable."""
        term, self.term, self._until_ns = self.term, 0, 0
        if term:
            self._ledger.release_term(term)

    def _renew(self) -> None:
        until_ns = self._boot_ns() + TERM_NS
        if self._ledger.renew_term(self.term, 0, self._reading() if self._reading else None):
            self._until_ns = until_ns
        else:
            self.term, self._until_ns, self._seen = 0, 0, None

    def _watch(self) -> None:
        row = self._ledger.lead()
        now_ns = self._boot_ns()  # after the row was read: its beat was written before
        if self._seen is None or (row.term, row.beat) != (self._seen.term, self._seen.beat):
            self._seen = _Seen(row.term, row.beat, now_ns)
        if self._alone or not row.holder or now_ns - self._seen.since_ns >= TERM_SURELY_OVER_NS:
            self._succeed(row)

    def _succeed(self, row: LeadRow) -> None:
        until_ns = self._boot_ns() + TERM_NS
        term = self._ledger.succeed(row, self._holder)
        if term is not None:
            self.term, self._until_ns = term, until_ns
        self._seen = None
