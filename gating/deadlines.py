"""Deadlines: an account's deadlines that have come, recorded inside a write transaction, each dated at its moment.

Called by `service.py` around every command and by `sweeper.py`. It decides nothing of its own: lifecycle says what a
deadline comes to, `heartbeat.py` whether the clock that brought it is believed. The heartbeat is read only for an
account that has a deadline.
"""

from collections.abc import Callable

from gating.account import Account, Deadline, Decision
from gating.clock import Reading
from gating.errors import ClockInDoubt
from gating.feed import StatusChange
from gating.heartbeat import Doubt, doubt_of
from gating.ledger import SYSTEM, Transaction
from gating.lifecycle import active, due, has_come, standing
from gating.shelf import Shelf
from gating.times import rfc3339


class Deadlines:
    """Of all accounts of one ledger. reading: the service's clocks now."""

    def __init__(self, shelf: Shelf, reading: Callable[[], Reading]) -> None:
        self._shelf = shelf
        self._reading = reading

    def record(self, transaction: Transaction, account: str) -> list[StatusChange]:
        """Record what has come and is not held, in order. What is held stays for later, and so does what follows it.

        Raises NotFound.
        """
        found = self._come(transaction, account, self._reading().wall_us)
        doubt = self._doubt(transaction) if found else None
        changes = []
        for decision in found:
            if doubt is not None and doubt.holds(decision):
                break
            stands = standing(self._shelf.of(decision.account), decision.account)
            changes.append(transaction.record(decision, stands, SYSTEM))
        return changes

    def record_before(self, transaction: Transaction, account: str) -> list[StatusChange]:
        """The same ahead of a command: at its instant a deadline wins, so none may be passed by.

        Raises NotFound; ClockInDoubt where a deadline is held: the command would have to run before one that may have
        come, or make durable what a wrong clock may have brought. Both wait for the clock.
        """
        changes = self.record(transaction, account)
        now = transaction.account(account).account
        if now.deadline is None or not now.deadline.fixed:
            return changes
        doubt = self._doubt(transaction)
        if doubt is not None and now.deadline.at_us <= doubt.horizon_us:
            raise _in_doubt(now, now.deadline, doubt)
        return changes

    def known_us(self, transaction: Transaction, account: str, now_us: int) -> int | None:
        """Up to when the account's activity is known, for `lifecycle.decide`; None where no deadline hangs on it."""
        deadline = transaction.account(account).account.deadline
        if deadline is None or deadline.fixed:
            return None
        return transaction.activity(account, now_us).known_us

    def _doubt(self, transaction: Transaction) -> Doubt | None:
        beat = transaction.heartbeat()  # first: one that is stored meanwhile must not be later than the reading
        return doubt_of(beat, self._reading())

    def _come(self, transaction: Transaction, account: str, now_us: int) -> tuple[Decision, ...]:
        row = transaction.account(account)
        if not has_come(row.account, now_us):
            return ()
        policy, known_us = self._shelf.of(row.account), None
        if row.account.deadline is not None and not row.account.deadline.fixed:
            seen = transaction.activity(account, now_us)
            moved = active(policy, row.account, seen.at_us)
            if moved is not row.account:
                transaction.note_activity(moved)
                row = transaction.account(account)
            known_us = seen.known_us
        return due(policy, row.account, now_us, known_us)


def _in_doubt(account: Account, deadline: Deadline, doubt: Doubt) -> ClockInDoubt:
    return ClockInDoubt(
        f"account {account.id} becomes {deadline.then} at {rfc3339(deadline.at_us)}, and whether that has come cannot "
        f"be told: {doubt.in_words()}; nothing was changed. `pixelgate clock confirm` if the clock is right; else set "
        "it right and restart the gating service"
    )
