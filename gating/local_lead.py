"""LocalLead: the one gating service of a host answers its workers' reports, by Unix datagrams.

The caller holds the role `gating` on the data directory, so no other process leads there. Who can hold a lease is known
from the locks in the feed directory, so one that takes over waits for the workers that live and for no others.
"""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from gating.clock import Clock, boot_ns
from gating.datagram import Announcement, Mailbox, Report, living
from gating.feed import StatusChange
from gating.fence import Fence
from gating.lead import Granting
from gating.ledger_feed import LEADER


class LocalLead:
    """Answers reports, announces changes, and tells from when on a version is enforced by all (`lead.Lead`).

    directory: the feed directory. may_grant: whether the term in the ledger is still this service's.
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
        self._directory = directory
        # A worker holds its lock before its first report: who can hold a lease of an earlier leader stands here.
        fence = Fence(boot_ns(), [name for name in living(directory) if name != LEADER])
        self._mailbox = Mailbox(directory, LEADER)
        self._granting = Granting(
            fence, epoch=epoch, head=head, clock=clock, may_grant=may_grant, dead=self._dead, boot_ns=boot_ns
        )

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
        return self._granting.head

    def workers(self) -> list[str]:
        return self._granting.workers()

    def announce(self, changes: list[StatusChange]) -> None:
        """Move the head past the changes, and send them to every worker.

        A datagram that is lost is made up for by the next answer, whose head shows the worker the gap.
        """
        for change in changes:
            # Versions follow each other without a gap, so the predecessor is known even if its commit was not.
            message = Announcement(self._granting.epoch, change.version - 1, change)
            self.advance(change.version)
            for worker in self.workers():
                self._mailbox.send(worker, message)

    def advance(self, version: int) -> None:
        self._granting.advance(version)

    async def enforced(self, version: int, timeout_seconds: float) -> int:
        return await self._granting.enforced(version, timeout_seconds)

    def _dead(self, workers: Iterable[str]) -> Iterable[str]:
        """Those whose lock nobody holds."""
        return set(workers).difference(living(self._directory))

    def _read_mailbox(self) -> None:
        while (message := self._mailbox.receive()) is not None:
            if isinstance(message, Report) and (answer := self._granting.answer(message)) is not None:
                self._mailbox.send(message.worker, answer)
