"""Accounts: what the consumers ask the ledger: what a reader may see, and what held when an unverified hit came.

The only place in the consumers that reads the ledger. It never changes an account: a deadline that has come counts here
even before the gating service has recorded it.
"""

import threading
from collections.abc import Callable
from dataclasses import replace

from consumers.warehouse.protocol import Audience, View
from gating.ledger import Ledger
from gating.ledger.rows import AccountRow
from gating.ledger.timeline import Change, Timeline
from gating.lifecycle import SILENCE_UNKNOWN, due, standing
from gating.shelf import Shelf
from gating.status import Access, Status


class Accounts:
    """Answers by the ledger, opened when first asked and kept open. Threads may share it."""

    def __init__(self, open_ledger: Callable[[], Ledger], now_us: Callable[[], int]) -> None:
        self._open_ledger = open_ledger
        self._now_us = now_us
        self._ledger: Ledger | None = None
        self._shelf: Shelf | None = None
        self._opening = threading.Lock()

    def view(self, account: str, audience: Audience) -> View:
        """Decide what `audience` may see of the account now. Raises NotFound, Unreachable."""
        ledger = self._opened()
        row = ledger.account(account)
        keys = tuple(key.write_key for key in ledger.keys(account))
        allowance = self._rulebooks().of(row.account).allowance(row.account.plan)
        return View(account, audience, self._access(row), row.revealed_version, keys, allowance)

    def await_writers(self) -> None:
        """Return when every change begun before the call is committed or gone. Raises Unreachable."""
        self._opened().await_writers()

    def timeline(self, write_key: str) -> Timeline | None:
        """Return a write key's whole life up to now, deadlines included that have come and nobody has recorded yet.

        None for a key that no account has. Raises Unreachable, and RulebookInvalid where the account's is lost.
        """
        ledger = self._opened()
        account = ledger.account_of_key(write_key)
        if account is None:
            return None
        row = ledger.account(account)  # first: what is recorded meanwhile is then met in the history
        timeline = ledger.timeline(write_key)
        if timeline is None or timeline.changes[-1].version > row.version:
            return timeline  # whoever recorded that has recorded the deadlines before it
        return replace(timeline, changes=(*timeline.changes, *self._passed(row)))

    def is_final(self, account: str) -> bool:
        """Tell whether the account is DELETED: its tombstone stays, its data does not (I8). Raises Unreachable."""
        return self._opened().account(account).status is Status.DELETED

    def close(self) -> None:
        """Let go of the ledger. Idempotent."""
        if self._ledger is not None:
            self._ledger.close()
            self._ledger = self._shelf = None

    def _passed(self, row: AccountRow) -> list[Change]:
        """Deadlines that have come and are not recorded. They go by the newest version: whatever is recorded or reveals
        hidden events later has a higher one."""
        deadline = row.account.deadline
        if deadline is None or deadline.at_us > self._now_us():
            return []
        policy = self._rulebooks().of(row.account)
        changes = []
        for decision in due(policy, row.account, self._now_us(), SILENCE_UNKNOWN):
            stands = standing(policy, decision.account)
            changes.append(Change(row.version, decision.at_us, stands.verdict, stands.until_us, stands.then))
        return changes

    def _access(self, row: AccountRow) -> Access:
        deadline = row.account.deadline
        if deadline is None or deadline.at_us > self._now_us():
            return row.access
        passed = due(self._rulebooks().of(row.account), row.account, self._now_us(), SILENCE_UNKNOWN)
        return passed[-1].access if passed else row.access

    def _opened(self) -> Ledger:
        with self._opening:
            if self._ledger is None:
                self._ledger = self._open_ledger()
            return self._ledger

    def _rulebooks(self) -> Shelf:
        ledger = self._opened()
        if self._shelf is None:
            self._shelf = Shelf(ledger)
        return self._shelf
