"""Purge: nothing of a deleted account stays anywhere, and a receipt says so (I8, I12).

Run beside the loop of `consumer materialise`, and alone by `consumer purge`. What is owed and how far it is stands in
the ledger, store by store, so that whoever is killed is gone on for. A pass does what can be done, and never waits:

    seen        the ledger owes a purge: the change to DELETED is durable
    fenced      every lease granted before it has run out: whatever is kept from now on was refused or is unverified
    warehouse   tombstones in, so that nothing of the account is taken any more; rows deleted, their bytes gone
    journals    of each place: where they ended at the fence is behind every cursor, and those segments are unlinked
    letters     of each place: dead letters that are the account's; copies of damaged segments, which nobody can sort
    kafka       the log begins behind where it ended once all journals were past
    receipt     every store counted once more; then words erased and receipt given, in one transaction

Must not decide what is deleted: the ledger's row says so. Must not be run by two at once on one data directory.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Protocol, TypeVar

from consumers import dead_letters as poison
from consumers.errors import WarehouseFailed
from consumers.purge_places import Files
from consumers.purge_receipt import backups_due_us, receipt_document
from consumers.warehouse.protocol import Tombstone, Warehouse
from gating.clock import boot_ns
from gating.errors import ClockInDoubt, PixelgateError
from gating.fence import LEASE_SURELY_OVER_NS
from gating.ledger import Ledger, Noted, Owed
from gating.shelf import Shelf

FENCE_NS: Final = LEASE_SURELY_OVER_NS + 1_000_000_000
"""A lease, surely over, and a second for what is being written."""

WAITING_SECONDS: Final = 0.5
IDLE_SECONDS: Final = 2.0
"""Between two looks at what is owed: one small read of the ledger."""

ACCOUNTS_MAX: Final = 200
"""Purged together: a warehouse file is written anew once for all of them."""

PLACE_NS: Final = 60_000_000_000
STEADY_NS: Final = 24 * 3600 * 1_000_000_000
"""Payments whose term has ended are erased once this process has known it for a day by a clock that nobody sets: a
wrong date must not destroy seven years of books."""

REST_FACTOR: Final = 10
"""A warehouse's rewriting is followed by ten times as long without one: it takes a tenth of the time at most."""

WAREHOUSE: Final = "warehouse"
KAFKA: Final = "kafka"
LOG: Final = logging.getLogger("pixelgate.consumers")
T = TypeVar("T")


class Log(Protocol):
    """What is asked of Kafka."""

    async def ends(self) -> dict[str, Any]:
        """Where each partition ends now."""

    async def is_past(self, ends: dict[str, Any]) -> bool:
        """Whether every partition begins behind there, its older files removed."""

    def gone_by_us(self, ends: dict[str, Any]) -> int | None:
        """By when that is the case at the latest; None where nobody can tell."""


OnWorker = Callable[..., Awaitable[Any]]


class Purger:
    """One place's purges. on_worker: runs a call on the one thread that may touch the warehouse.

    name: of this place, among all that hold files. log: None where events do not go through Kafka.
    """

    def __init__(
        self,
        open_ledger: Callable[[], Ledger],
        warehouse: Warehouse,
        files: Files,
        on_worker: OnWorker,
        now_us: Callable[[], int],
        *,
        log: Log | None = None,
        boot_ns: Callable[[], int] = boot_ns,
        fence_ns: int = FENCE_NS,
    ) -> None:
        self._open_ledger = open_ledger
        self._ledger: Ledger | None = None
        self._shelf: Shelf | None = None
        self._warehouse = warehouse
        self._files = files
        self._on_worker = on_worker
        self._now_us = now_us
        self._log = log
        self._boot_ns = boot_ns
        self._fence_ns = fence_ns
        self._seen_ns: dict[str, int] = {}  # when an account's purge was first met here
        self._place_noted_ns: int | None = None
        self._payments_ended_ns: int | None = None
        self._rest_until_ns = 0
        self._replayed = False  # whether the warehouse is known to have the tombstones of all receipts
        self.receipts = 0
        self.waiting = 0  # accounts that had no receipt yet at the last pass
        self.trouble = ""  # why the last pass could not go on; empty when it could

    async def run(self, until: Callable[[], bool] = lambda: False) -> None:
        """Go on until cancelled, or until that is true between two passes."""
        await asyncio.sleep(IDLE_SECONDS)  # where all roles start together the ledger is only just being made
        while not until():
            self.waiting = await self.step()
            await asyncio.sleep(WAITING_SECONDS if self.waiting else IDLE_SECONDS)

    async def step(self) -> int:
        """One pass over everything owed; how many accounts still have no receipt. Raises nothing that can pass."""
        try:
            if not self._replayed:
                self._replayed = await self._on_worker(self._replay)
            owed = await self._on_ledger(self._begin)
            for one in owed:
                self._seen_ns.setdefault(one.account, self._boot_ns())
            fenced = [one for one in owed if self._boot_ns() - self._seen_ns[one.account] >= self._fence_ns]
            if fenced:
                await self._clear_warehouse(fenced)
            for one in fenced:
                await self._clear_place(one)
            waiting = [one for one in fenced if not await self._finish(one)]
            self.trouble = ""
            return len(owed) - len(fenced) + len(waiting)
        except (PixelgateError, OSError) as error:
            if self.trouble != str(error):
                LOG.warning("purges of deleted accounts wait: %s", error)
            self.trouble = str(error)
            return len(self._seen_ns)

    def close(self) -> None:
        """Let go of the ledger. Idempotent."""
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = self._shelf = None

    # ---- the ledger's side ------------------------------------------------------------------------------------------

    async def _on_ledger(self, work: Callable[..., T], *arguments: Any) -> T:
        return await self._on_worker(work, *arguments)  # type: ignore[no-any-return]

    def _opened(self) -> Ledger:
        if self._ledger is None:
            self._ledger = self._open_ledger()
        return self._ledger

    def _begin(self) -> list[Owed]:
        purges = self._opened().purges
        now_ns = self._boot_ns()
        if self._place_noted_ns is None or now_ns - self._place_noted_ns >= PLACE_NS:
            purges.note_place(self._files.place, self._now_us())
            self._place_noted_ns = now_ns
            self._erase_payments(now_ns)
        beat = self._opened().beat.read()
        if beat is not None and beat.doubt is not None:
            raise ClockInDoubt(f"held, since {beat.doubt.in_words()}: see `pixelgate clock show`")
        return purges.owed(ACCOUNTS_MAX)

    def _erase_payments(self, now_ns: int) -> None:
        """Erase billing records whose term ended a steady day ago."""
        purges = self._opened().purges
        if not purges.payments_ended(self._now_us()):
            self._payments_ended_ns = None
        elif self._payments_ended_ns is None:
            self._payments_ended_ns = now_ns
        elif now_ns - self._payments_ended_ns >= STEADY_NS:
            erased = purges.erase_payments(self._now_us())
            self._payments_ended_ns = None
            LOG.info("%d billing records were erased: their term has ended", erased)

    def _tombstone(self, account: str) -> Tombstone:
        return Tombstone(account, tuple(key.write_key for key in self._opened().keys(account)))

    def _replay(self) -> bool:
        """A warehouse that was restored from a backup may hold again what had its receipt: purge it anew (I8).

        True once it knows every tombstone, and nothing of them is left.
        """
        purges, known, after = self._opened().purges, self._warehouse.tombstones(), ""
        stones: list[Tombstone] = []
        while page := purges.receipted(after, ACCOUNTS_MAX):
            stones += [self._tombstone(account) for account in page if account not in known]
            after = page[-1]
        if stones:
            LOG.info("the warehouse lacks %d tombstones of deleted accounts: they are purged anew", len(stones))
        return not stones or self._warehouse.purge(stones)

    # ---- the warehouse ----------------------------------------------------------------------------------------------

    async def _clear_warehouse(self, owed: Sequence[Owed]) -> None:
        if self._boot_ns() < self._rest_until_ns:
            return
        await self._on_worker(self._clear_warehouse_now, owed)

    def _clear_warehouse_now(self, owed: Sequence[Owed]) -> None:
        purges = self._opened().purges
        waiting = [one.account for one in owed if purges.stores(one.account).get(WAREHOUSE, Noted()).done_at_us is None]
        if not waiting:
            return
        stones = [self._tombstone(account) for account in waiting]
        for account, remains in self._warehouse.remains(stones).items():
            purges.note(account, WAREHOUSE, remains.total)  # before it goes: a death must not lose the count
        began_ns = self._boot_ns()
        gone = self._warehouse.purge(stones)
        self._rest_until_ns = self._boot_ns() + REST_FACTOR * (self._boot_ns() - began_ns)
        if not gone:
            return
        for account, remains in self._warehouse.remains(stones).items():
            purges.note(account, WAREHOUSE, 0, done_at_us=None if remains.total else self._now_us())

    # ---- this place's files -----------------------------------------------------------------------------------------

    async def _clear_place(self, one: Owed) -> None:
        await self._on_worker(self._clear_place_now, one)

    def _clear_place_now(self, one: Owed) -> None:
        purges, files = self._opened().purges, self._files
        stores = purges.stores(one.account)
        journals = stores.get(files.store("journals"))
        if journals is None:
            purges.note(one.account, files.store("journals"), 0, files.ends())
            return
        if journals.done_at_us is None:
            if not files.is_past(journals.note or {}):
                return
            purges.note(one.account, files.store("journals"), 0, done_at_us=self._now_us())
        if stores.get(files.store("letters"), Noted()).done_at_us is None:
            self._clear_letters(one)

    def _clear_letters(self, one: Owed) -> None:
        """All of it is counted before the first of it goes, or a death in between would lose the count; the ids of
        unsent letters are written off once, by their ids."""
        purges, files, stone = self._opened().purges, self._files, self._tombstone(one.account)
        waiting = files.letters_of(stone)
        found = len(waiting) + poison.count(files.dead_letters, stone.account, stone.keys) + files.quarantined()
        purges.note(one.account, files.store("letters"), found)
        self._warehouse.write_off(waiting)
        files.purge_letters(stone)
        poison.purge(files.dead_letters, stone.account, stone.keys)
        files.purge_quarantine()
        purges.note(one.account, files.store("letters"), found, done_at_us=self._now_us())

    # ---- the end ----------------------------------------------------------------------------------------------------

    async def _finish(self, one: Owed) -> bool:
        """Go on with the rest; True once the receipt is given."""
        if not await self._on_ledger(self._places_done, one.account):
            return False
        if self._log is not None and not await self._is_past_in_kafka(one.account, self._log):
            return False
        return bool(await self._on_worker(self._give_receipt, one))

    def _places_done(self, account: str) -> bool:
        """Whether the warehouse and each place are done with the account."""
        purges = self._opened().purges
        stores = purges.stores(account)
        needed = [WAREHOUSE, *(f"{what} {place}" for place in purges.places() for what in ("journals", "letters"))]
        return all(stores.get(store, Noted()).done_at_us is not None for store in needed)

    async def _is_past_in_kafka(self, account: str, log: Log) -> bool:
        purges = self._opened().purges
        noted = (await self._on_ledger(purges.stores, account)).get(KAFKA)
        if noted is None:
            ends = await log.ends()
            await self._on_ledger(purges.note, account, KAFKA, 0, {**ends, "gone_by_us": log.gone_by_us(ends)})
            return False
        if noted.done_at_us is None:
            if not await log.is_past(dict(noted.note or {})):
                return False
            await self._on_ledger(purges.note, account, KAFKA, 0, None, self._now_us())
        return True

    def _give_receipt(self, one: Owed) -> bool:
        ledger = self._opened()
        if ledger.purges.effects_owed(one.account):
            return False
        left = self._warehouse.remains([self._tombstone(one.account)])[one.account].total
        if left:
            raise WarehouseFailed("purging", RuntimeError(f"{left} events of a purged account are there again"))
        now_us = self._now_us()
        stores = ledger.purges.stores(one.account)
        if self._shelf is None:
            self._shelf = Shelf(ledger)
        account = ledger.account(one.account).account
        backups_us = backups_due_us(self._shelf.of(account), account, one.at_us)

        def made(erased: int, payments: int, until_us: int | None) -> dict[str, Any]:
            return receipt_document(
                one, stores, now_us, words=erased, payments=payments, payments_until_us=until_us,
                backups_due_us=backups_us, postgres=ledger.purges.is_postgres,
            )  # fmt: skip

        given = ledger.change(
            lambda transaction: transaction.give_receipt(one.account, made, one.keep_billing_years, now_us)
        )
        self.receipts += given
        self._seen_ns.pop(one.account, None)
        return True
