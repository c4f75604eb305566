"""Lead: the one gating service of a host that answers reports, and so grants leases (DESIGN: lease and fence).

Runs in the service's event loop and never touches the ledger there: the head it answers with is the one the service's
own commits moved. It knows which workers there are only from their reports, so one that takes over first lets every
lease of an earlier leader run out.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from gating.clock import Clock, boot_ns
from gating.datagram import Announcement, Answer, Mailbox, Report, living
from gating.errors import NotEnforcedInTime
from gating.feed import StatusChange
from gating.fence import Fence
from gating.ledger_feed import LEADER

BURY_SECONDS: Final = 0.1
"""How often a flip that waits looks whether the workers it waits for are still alive."""


class Lead:
    """Answers reports, announces changes, and tells from when on a version is enforced by all.

    directory: the feed directory. The caller holds the role `gating`, so no other process leads on this host.
    may_grant: whether the term in the ledger is still this service's; asked before each grant.
    """

    def __init__(
        self,
        directory: Path,
        *,
        epoch: str,
        head: int,
        clock: Clock,
        may_grant: Callable[[], bool],
        boot_ns: Callable[[], int] = boot_ns,
    ) -> None:
        self._boot_ns = boot_ns
        self._directory = directory
        # A worker holds its lock before its first report: who can hold a lease of an earlier leader stands here.
        self._fence = Fence(boot_ns(), [name for name in living(directory) if name != LEADER])
        self._mailbox = Mailbox(directory, LEADER)
        self._epoch = epoch
        self._clock = clock
        self._may_grant = may_grant
        self._head = head
        self._reported = asyncio.Event()

    def __enter__(self) -> Self:
        asyncio.get_running_loop().add_reader(self._mailbox.socket, self._read_mailbox)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.get_running_loop().remove_reader(self._mailbox.socket)
        self._mailbox.close()

    @property
    def head(self) -> int:
        """The newest version that was committed and announced."""
        return self._head

    def workers(self) -> list[str]:
        """The workers that may be verifying hits now."""
        return self._fence.leased(self._boot_ns())

    def announce(self, changes: list[StatusChange]) -> None:
        """Move the head past changes that were just committed, and send them to every worker.

        From here on a lease is granted only for the new head. A datagram that is lost is made up for by the next
        answer, whose head shows the worker the gap.
        """
        for change in changes:
            # Versions follow each other without a gap, so the predecessor is known even if its commit was not.
            message = Announcement(self._epoch, change.version - 1, change)
            self.advance(change.version)
            for worker in self.workers():
                self._mailbox.send(worker, message)

    def advance(self, version: int) -> None:
        """The ledger stands at `version`, however it came there: leases are granted for no older head from here on."""
        self._head = max(self._head, version)

    async def enforced(self, version: int, timeout_seconds: float) -> int:
        """Wait until no worker can enforce anything older than `version`; returns how many workers enforce it.

        Raises NotEnforcedInTime, naming who is missing. The flip stands all the same.
        """
        deadline_ns = self._boot_ns() + int(timeout_seconds * 1e9)
        while True:
            self._reported.clear()
            now_ns = self._boot_ns()
            self._bury(version, now_ns)
            expiry_ns = self._fence.next_expiry_ns(version, now_ns)
            if expiry_ns is None:
                return len(self._fence.leased(now_ns))
            if now_ns >= deadline_ns:
                late = ", ".join(self._fence.missing(version, now_ns))
                raise NotEnforcedInTime(
                    f"version {version} is committed, but after {timeout_seconds:g} s not yet enforced by: {late}; "
                    "it will be within 3.2 s of that worker's last lease"
                )
            wait_seconds = min((min(expiry_ns, deadline_ns) - now_ns) / 1e9 + 0.001, BURY_SECONDS)
            try:
                async with asyncio.timeout(wait_seconds):
                    await self._reported.wait()
            except TimeoutError:
                continue

    def _bury(self, version: int, now_ns: int) -> None:
        """Wait for no worker that is dead: its lock tells."""
        missing = self._fence.missing(version, now_ns)
        if missing:
            for worker in set(missing).difference(living(self._directory)):
                self._fence.gone(worker)

    def _read_mailbox(self) -> None:
        while (message := self._mailbox.receive()) is not None:
            if isinstance(message, Report):
                self._answer(message)

    def _answer(self, report: Report) -> None:
        now_ns = self._boot_ns()
        version = report.version if report.epoch == self._epoch else 0
        if not self._fence.report(report.worker, version, now_ns):
            return
        self._reported.set()
        if not self._may_grant():
            return
        self._fence.granted(report.worker, now_ns)
        answer = Answer(report.number, self._epoch, self._head, self._clock.now_us())
        self._mailbox.send(report.worker, answer)
