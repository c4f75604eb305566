"""Ruling: what the ledger and the rulebooks say of one write key at one time.

Called by explain.py. It reads: of the past what the history says, ahead of the newest change what the deadlines will do
by themselves. It never writes, and asks no worker.
"""

from dataclasses import dataclass, replace
from typing import Self

from collector.outcome import Outcome
from gating import lifecycle
from gating.datadir import DataDirectory
from gating.ledger import HistoryRow, KeyRow, Ledger, ledger_url
from gating.rulebook import Policy
from gating.shelf import Shelf
from gating.status import Status, Verdict

LAPSED = "by its deadline"


@dataclass(frozen=True, slots=True)
class Ruling:
    """What holds for a hit, and why.

    drop: the outcome where the verdict is DROP. rule: `file:line` of the rulebook's word on the status; None where no
    rulebook was asked, or where it changed since and the line is not to be had.
    """

    verdict: Verdict
    because: str
    drop: Outcome = Outcome.DROPPED_STATUS
    account: str = ""
    source: str | None = None
    rulebook: str | None = None
    status: str | None = None
    access: str | None = None
    version: int = 0
    rule: str | None = None


class Judge:
    """Rules on write keys from one open ledger."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._shelf = Shelf(ledger)

    @classmethod
    def open(cls, directory: DataDirectory, database_url: str | None) -> Self:
        """Open the ledger for reading. Raises Unreachable where there is none."""
        return cls(Ledger.open_reading(ledger_url(directory, database_url)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ledger.close()

    def rule(self, key: bytes, at_us: int) -> Ruling:
        """What holds for a hit with this key at this time. Raises Unreachable."""
        if not key:
            return Ruling(Verdict.DROP, "it carries no write key", Outcome.DROPPED_NO_KEY)
        text = key.decode("utf-8", "replace")
        account = self._ledger.account_of_key(text)
        if account is None:
            return Ruling(Verdict.DROP, "no account has this write key", Outcome.DROPPED_UNKNOWN_KEY)
        row = next(row for row in self._ledger.keys(account) if row.write_key == text)
        return self._of_account(row, at_us)

    def _of_account(self, key: KeyRow, at_us: int) -> Ruling:
        stored = self._ledger.account(key.account)
        known = Ruling(Verdict.DROP, "", account=key.account, source=key.source, rulebook=stored.account.rulebook)
        if at_us < key.created_at_us:
            unknown = "the write key did not exist yet"
            return replace(known, because=unknown, drop=Outcome.DROPPED_UNKNOWN_KEY)
        if key.revoked_at_us is not None and at_us >= key.revoked_at_us:
            revoked = "the write key was revoked or rotated away"
            return replace(known, because=revoked, drop=Outcome.DROPPED_REVOKED_KEY)
        book = self._shelf.of(stored.account)
        if at_us >= stored.account.changed_at_us:
            return self._ahead(known, book, key.account, at_us)
        return self._in_history(known, book, key.account, at_us)

    def _ahead(self, known: Ruling, book: Policy, account: str, at_us: int) -> Ruling:
        """From the newest change on, with every deadline that comes by itself until then."""
        stored = self._ledger.account(account)
        lapses = lifecycle.due(book, stored.account, at_us, lifecycle.SILENCE_UNKNOWN)
        then = lapses[-1].account if lapses else stored.account
        standing = lifecycle.standing(book, then)
        because = f"its status is {then.status}" + (f", {LAPSED}" if lapses else "")
        return replace(
            known,
            verdict=standing.verdict,
            because=because,
            status=str(then.status),
            access=str(standing.access),
            version=stored.version,
            rule=_line(book, then.status),
        )

    def _in_history(self, known: Ruling, book: Policy, account: str, at_us: int) -> Ruling:
        """As the history tells it; the present rulebook gives the line only where the account still lives under it."""
        rows = [row for row in self._ledger.history(account) if row.at_us <= at_us]
        if not rows:
            return replace(known, because="the account did not exist yet", drop=Outcome.DROPPED_UNKNOWN_KEY)
        row: HistoryRow = rows[-1]
        lapsed = row.until_us is not None and row.then is not None and at_us >= row.until_us
        verdict = row.then if lapsed and row.then is not None else row.verdict
        because = f"its status was {row.status}" + (f", {LAPSED}" if lapsed else "")
        rule = None if lapsed else _line(book, row.status)
        return replace(known, verdict=verdict, because=because, status=str(row.status), version=row.version, rule=rule)


def _line(book: Policy, status: Status) -> str:
    return str(book.statuses[status].place)
