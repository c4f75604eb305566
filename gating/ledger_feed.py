"""LedgerFeed: how a worker on the ledger's own host learns of flips (the embedded form of `Feed`).

Changes and leases come as Unix datagrams from the leading gating service. The ledger file itself is read at the start
and after a gap alone, in short pages, because a reader that freezes inside a read blocks every flip (SQLite's rollback
journal). Called from the worker's event loop; never waits on a hit's way.
"""

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gating.clock import boot_ns
from gating.datagram import Announcement, Answer, Mailbox
from gating.feed import Follower
from gating.lease import Lease

LEADER: Final = "gating"
"""The leader's mailbox in the feed directory."""
RETRY_SECONDS: Final = 0.002
RETRIES_MAX: Final = 20
"""After these 40 ms nobody reads there: the next report's turn will do."""
PAGE_ROWS: Final = 200
PAGE_BYTES: Final = 64 * 1024
"""A page ends at either: 200 accounts with a key each, or one with a thousand. That is 1 ms of reading and decoding:
what a page holds up the answers, and holds the ledger's read lock (docs/performance.md)."""
LOCKED_RETRY_SECONDS: Final = 0.02
LOCKED_TRIES_MAX: Final = 100
"""A writer that holds the file longer than these two seconds is stuck: a worker serves without it."""

_log = logging.getLogger("pixelgate.gating")


class LedgerFeed:
    """Keeps one follower at the ledger's head. `worker`: a name in the feed directory that is unique to this start."""

    def __init__(
        self,
        follower: Follower,
        *,
        ledger: Path,
        directory: Path,
        worker: str,
        boot_ns: Callable[[], int] = boot_ns,
    ) -> None:
        self._follower = follower
        self._ledger = ledger
        self._lease = Lease(follower, worker, boot_ns)
        self._mailbox = Mailbox(directory, worker)
        self._retries = 0
        self._reading: asyncio.Task[None] | None = None
        self.reads = 0  # how often the ledger file was read: once at the start, then once a gap

    # ---- Feed -------------------------------------------------------------------------------------------------------

    async def load(self) -> None:
        """Read the whole map from the ledger file, in pages.

        With no ledger yet, or one that cannot be read now, the map stays as it is and every hit unverified: the first
        answer of a leader has it read again.
        """
        await self._catch_up()

    async def run(self) -> None:
        """Report, apply, renew the lease; until cancelled."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._mailbox.socket, self._read_mailbox)
        try:
            while True:
                self.report()
                await asyncio.sleep(self._lease.report_seconds)
        finally:
            loop.remove_reader(self._mailbox.socket)
            if self._reading is not None:
                self._reading.cancel()
            self._mailbox.close()

    # ---- datagrams --------------------------------------------------------------------------------------------------

    def report(self) -> None:
        """Tell the leader where the map stands, and so ask for a lease."""
        if self._mailbox.send(LEADER, self._lease.report()):
            self._retries = 0
        elif self._retries < RETRIES_MAX:
            # The kernel queues a dozen datagrams for the leader (net.unix.max_dgram_qlen), and workers report at once.
            self._retries += 1
            asyncio.get_running_loop().call_later(RETRY_SECONDS, self.report)

    def _read_mailbox(self) -> None:
        applied = False
        while (message := self._mailbox.receive()) is not None:
            if isinstance(message, Announcement):
                applied |= self._take_change(message)
            elif isinstance(message, Answer):
                self._take_answer(message)
        if applied:
            self.report()

    def _take_change(self, message: Announcement) -> bool:
        follower = self._follower
        if message.epoch != follower.epoch or message.previous > follower.version:
            self._read_ledger_soon()  # something lies between the map and this change
            return False
        if message.change.version <= follower.version:
            return False
        follower.apply(message.change)
        follower.stand(message.change.version)
        self._lease.redeem()
        return True

    def _take_answer(self, answer: Answer) -> None:
        if self._lease.take(answer) and self._follower.version < answer.head:
            self._read_ledger_soon()

    # ---- the ledger file --------------------------------------------------------------------------------------------

    def _read_ledger_soon(self) -> None:
        if self._reading is None or self._reading.done():
            self._reading = asyncio.get_running_loop().create_task(self._catch_up_and_report())

    async def _catch_up_and_report(self) -> None:
        await self._catch_up()
        self._lease.redeem()
        self.report()

    async def _catch_up(self) -> None:
        """Read every account that changed after the map's version. Each page is a read of its own.

        A row that changes between two pages moves to a higher version and is met again later, so the pages together
        miss nothing; when one comes back short, the map stands at the head read in that same page's transaction.
        """
        self.reads += 1
        with contextlib.closing(_Pages(self._ledger)) as pages:
            version = self._follower.version
            tries, restarts = 0, self._lease.restarts
            while tries < LOCKED_TRIES_MAX:
                if self._lease.restarts != restarts:  # an answer had the map begun anew between two pages
                    version, restarts = 0, self._lease.restarts
                page = pages.after(version)
                if page is None:
                    tries += 1
                    await asyncio.sleep(LOCKED_RETRY_SECONDS)
                    continue
                if not page.epoch:
                    return
                follower = self._follower
                if page.epoch != follower.epoch:
                    follower.restart(page.epoch)
                    self._lease.lost()
                    if version:
                        continue
                    restarts = self._lease.restarts
                try:
                    follower.apply_page(page.changes)
                except ValueError as error:
                    _log.warning(
                        "the ledger %s holds what is no change: %s; hits are kept unverified", self._ledger, error
                    )
                    return
                if page.is_last:
                    follower.stand(page.head)
                    return
                version = page.last_version
                await asyncio.sleep(0)  # the answers of a page's time come between


@dataclass(frozen=True, slots=True)
class _Page:
    """What one read transaction found. epoch: empty where there is nothing that can be read."""

    epoch: str
    head: int = 0
    changes: Sequence[bytes] = ()
    last_version: int = 0
    is_last: bool = True


class _Pages:
    """The ledger file, read in pages, each in one short transaction; the connection lasts for one catching up."""

    def __init__(self, ledger: Path) -> None:
        self._ledger = ledger
        self._connection: sqlite3.Connection | None = None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def after(self, version: int) -> _Page | None:
        """The changes after this version; None while a writer commits."""
        try:
            if self._connection is None:
                self._connection = self._connect()
            return self._read(self._connection, version)
        except sqlite3.OperationalError as error:
            if _is_busy(error):
                return None
            return _Page("")  # no ledger yet, no tables yet, or a journal that only a writer can roll back
        except sqlite3.DatabaseError as error:
            _log.warning("the ledger %s cannot be read: %s; hits are kept unverified", self._ledger, error)
            return _Page("")

    def _connect(self) -> sqlite3.Connection:
        # Read-only: a worker never makes the file, its journal or a lock that outlives it.
        connection = sqlite3.connect(f"file:{_quoted(self._ledger)}?mode=ro", uri=True, timeout=0)
        connection.isolation_level = None
        return connection

    def _read(self, connection: sqlite3.Connection, version: int) -> _Page:
        connection.execute("BEGIN")
        try:
            found = connection.execute("SELECT epoch, head FROM meta").fetchone()
            rows = connection.execute(
                "SELECT version, change FROM gate WHERE version > ? ORDER BY version LIMIT ?", (version, PAGE_ROWS)
            )
            changes: list[bytes] = []
            last, room = version, PAGE_BYTES
            for last, change in rows:  # noqa: B007 (what the next page comes after)
                changes.append(change)
                room -= len(change)
                if room <= 0:
                    break
            rows.close()
        finally:
            connection.rollback()
        if found is None:
            return _Page("")
        return _Page(str(found[0]), int(found[1]), changes, last, is_last=len(changes) < PAGE_ROWS and room > 0)


def _is_busy(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _quoted(path: Path) -> str:
    """A path for a `file:` URI: SQLite takes `?` and `#` as the URI's own (sqlite.org/uri.html)."""
    return str(path).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
