"""Lease: a worker's side of the lease - numbered reports, the answers to them, and until when hits may be verified.

Shared by both forms of the feed; pure, apart from the follower it moves and the clock that comes in. A lease counts
from when its report was sent and only once the map stands at the head the answer named: a worker that froze in between
wakes to a lease that is over.
"""

from collections.abc import Callable
from typing import Final

from gating.clock import boot_ns
from gating.datagram import Answer, Report
from gating.feed import Follower
from gating.fence import LEASE_NS

REPORT_SECONDS: Final = 1.0
UNLEASED_REPORT_SECONDS: Final = 0.1
"""A worker without a lease keeps every hit unverified, so it asks more often."""
ANSWER_NS_MAX: Final = 500_000_000
"""An answer later than this says too little about the leader's clock (it is off by up to this much) to be used."""
REPORTS_KEPT_MAX: Final = 64


class Lease:
    """One worker's, from one start to its end. `worker`: its name, unique to this start."""

    def __init__(self, follower: Follower, worker: str, boot_ns: Callable[[], int] = boot_ns) -> None:
        self._follower, self._worker, self._boot_ns = follower, worker, boot_ns
        self._sent: dict[int, tuple[int, int]] = {}  # report number -> (CLOCK_BOOTTIME when sent, version told)
        self._number = 0
        self._promised: tuple[int, int] = (0, 0)  # (head the map must reach, lease end) of the best answer so far
        self._until_ns = 0
        self.restarts = 0  # how often the map began anew: whoever reads a map meanwhile begins anew too

    @property
    def held(self) -> bool:
        """Whether hits may be verified now."""
        return self._boot_ns() < self._until_ns

    @property
    def report_seconds(self) -> float:
        """How long to wait before the next report."""
        return REPORT_SECONDS if self.held else UNLEASED_REPORT_SECONDS

    def report(self) -> Report:
        """Where the map stands, to be sent at once: it asks for a lease that runs from now."""
        self._number += 1
        follower = self._follower
        self._sent[self._number] = self._boot_ns(), follower.version
        while len(self._sent) > REPORTS_KEPT_MAX:
            del self._sent[next(iter(self._sent))]
        return Report(self._worker, self._number, follower.epoch, follower.version)

    def take(self, answer: Answer) -> bool:
        """Use an answer; False for one that is too late, or answers nothing that was asked.

        The follower forgets its map where the answer is of another ledger, or of an older copy put back.
        """
        sent_ns, told = self._sent.pop(answer.number, (0, 0))
        received_ns = self._boot_ns()
        if received_ns - sent_ns > ANSWER_NS_MAX:
            return False
        follower = self._follower
        if answer.epoch != follower.epoch or answer.head < told:
            follower.restart(answer.epoch)
            self.lost()
        # The leader read its clock somewhere between the two; the middle halves the error.
        follower.set_clock(answer.now_us, (sent_ns + received_ns) // 2)
        self._promised = (answer.head, sent_ns + LEASE_NS)
        self.redeem()
        return True

    def redeem(self) -> None:
        """A promised lease counts once the map stands at the head it was promised for."""
        head, until_ns = self._promised
        if until_ns > self._until_ns and self._follower.epoch and self._follower.version >= head:
            self._until_ns = until_ns
            self._follower.lease(until_ns)

    def lost(self) -> None:
        """The map began anew: neither the lease nor a promise made for another epoch's versions counts any more."""
        self._until_ns = 0
        self._promised = (0, 0)
        self.restarts += 1
