"""Lead: what a service asks of whoever grants the workers their leases, and the bookkeeping that every leader does.

`LocalLead` leads the workers of one host by datagrams, `SharedLead` those of many through Redis; both grant by a
`Granting`. It runs in the service's event loop and never touches the ledger there: the head it answers with is the one
that commits moved.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from gating.clock import Clock, boot_ns
from gating.datagram import Answer, Report
from gating.errors import NotEnforcedInTime
from gating.feed import StatusChange
from gating.fence import Fence

LOOK_SECONDS: Final = 0.1
"""How often a flip that waits looks for what no report tells it: a worker that died, a term that has passed on."""


class Lead(Protocol):
    """What a service needs of it."""

    @property
    def head(self) -> int:
        """The newest version that was committed and announced."""

    def workers(self) -> list[str]:
        """The workers that may be verifying hits now, as far as this process knows."""

    def announce(self, changes: list[StatusChange]) -> None:
        """These were just committed: from here on no lease is granted for less, and every worker is told."""

    def advance(self, version: int) -> None:
        """The ledger stands at `version`, however it came there."""

    async def enforced(self, version: int, timeout_seconds: float) -> int:
        """Wait until no worker can enforce anything older than `version`; returns how many workers enforce it.

        Raises NotEnforcedInTime, naming who is missing. The flip stands all the same.
        """


class Granting:
    """One leader's term over its workers: which head leases are granted for, to whom, and who enforces what.

    may_grant: whether the term is still this leader's; asked before each grant. dead: which of these workers are known
    to be dead, where the leader can know that. alone: nobody else commits, so a worker ahead of `head` follows a ledger
    that was put back; where others commit too, the head is only not known here yet.
    """

    def __init__(
        self,
        fence: Fence,
        *,
        epoch: str,
        head: int,
        clock: Clock,
        may_grant: Callable[[], bool],
        dead: Callable[[Iterable[str]], Iterable[str]] = lambda _: (),
        alone: bool = True,
        boot_ns: Callable[[], int] = boot_ns,
    ) -> None:
        self._fence = fence
        self.epoch = epoch
        self.head = head
        self._clock = clock
        self._may_grant = may_grant
        self._dead = dead
        self._alone = alone
        self._boot_ns = boot_ns
        self.reported = asyncio.Event()
        self.beyond = 0  # a version that a worker reported and this leader has not seen: its ledger may have gone back

    def answer(self, report: Report) -> Answer | None:
        """Take a report; the answer grants a lease. None where none may be granted now."""
        now_ns = self._boot_ns()
        version = report.version if report.epoch == self.epoch else 0
        if version > self.head:
            self.beyond, version = max(self.beyond, version), 0
        if not self._fence.report(report.worker, version, now_ns):
            return None
        self.reported.set()
        if (self.beyond > self.head and not self._alone) or not self._may_grant():
            return None
        self._fence.granted(report.worker, self.head, now_ns)
        return Answer(report.number, self.epoch, self.head, self._clock.now_us())

    def advance(self, version: int) -> None:
        """The ledger stands at `version`: leases are granted for no older head from here on."""
        self.head = max(self.head, version)
        if self.beyond <= self.head:
            self.beyond = 0

    def restart(self, epoch: str, head: int) -> None:
        """In the new epoch versions may mean other changes: what workers reported counts no more, their leases do."""
        self.epoch, self.head, self.beyond = epoch, head, 0
        self._fence.forget_versions()

    def workers(self) -> list[str]:
        """The workers that may be verifying hits now."""
        return self._fence.leased(self._boot_ns())

    def enforced_version(self) -> int:
        """Up to which version no worker can enforce anything older, as of now."""
        return self._fence.enforced(self.head, self._boot_ns())

    async def enforced(self, version: int, timeout_seconds: float) -> int:
        """As `Lead.enforced`."""
        deadline_ns = self._boot_ns() + int(timeout_seconds * 1e9)
        while True:
            self.reported.clear()
            now_ns = self._boot_ns()
            missing = self.missing(version, now_ns)
            if not missing:
                return len(self._fence.leased(now_ns))
            if now_ns >= deadline_ns:
                raise not_enforced(version, timeout_seconds, missing)
            expiry_ns = self._fence.next_expiry_ns(version, now_ns) or now_ns
            await look_again(self.reported, (min(expiry_ns, deadline_ns) - now_ns) / 1e9 + 0.001)

    def missing(self, version: int, now_ns: int) -> list[str]:
        """The workers that may still enforce something older; those known to be dead are waited for no more."""
        missing = self._fence.missing(version, now_ns)
        for worker in self._dead(missing) if missing else ():
            self._fence.gone(worker)
        return self._fence.missing(version, now_ns)


async def look_again(happened: asyncio.Event, seconds: float) -> None:
    """Wait for the event, at most `seconds` and at most until the next look is due."""
    try:
        async with asyncio.timeout(min(seconds, LOOK_SECONDS)):
            await happened.wait()
    except TimeoutError:
        return


def not_enforced(version: int, timeout_seconds: float, missing: Iterable[str]) -> NotEnforcedInTime:
    """What to tell whoever waited for long enough."""
    return NotEnforcedInTime(
        f"version {version} is committed, but after {timeout_seconds:g} s not yet enforced by: {', '.join(missing)}; "
        "it will be within 3.2 s of that worker's last lease"
    )
