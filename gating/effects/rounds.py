"""Rounds: goes through what is owed, oldest first, again and again, a bounded piece at a time.

Called by the runner. In one round an account has its oldest effect tried and no other: what comes after one that
failed and waits, waits too. One that waits for its own moment (`defer`: no tries) holds nothing up. A look reads a few
pages by the id, so however much waits (a receiver that is down for a day), no look keeps a flip from committing.
"""

from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import Row

from gating.ledger.effects import EffectRows, Owed, owed_of

PAGE_ROWS: Final = 64
LOOK_ROWS: Final = 2_000
"""Rows that one look reads at the most, page by page."""


class Rounds:
    """Of one ledger's effects, of these kinds. Not for two threads at once."""

    def __init__(self, rows: EffectRows, kinds: Collection[str]) -> None:
        self._rows = rows
        self._kinds = frozenset(kinds)
        self._after = 0
        self._met: set[str] = set()  # accounts that this round has come by: theirs is the effect it met first

    @property
    def is_over(self) -> bool:
        """Whether the last look came to the end: the next one begins anew."""
        return self._after == 0

    def look(self, now_us: int, *, without: Collection[str] = (), limit: int) -> list[Owed]:
        """The next effects that may be tried now, each of another account, oldest first; at most `limit`.

        without: accounts whose effects are under way. Raises Unreachable.
        """
        found: list[Owed] = []
        read = 0
        while read < LOOK_ROWS and len(found) < limit:
            page = self._rows.page(self._after, PAGE_ROWS)
            for row in page:
                if self._may_be_tried(row, now_us, without):
                    found.append(owed_of(row))
                self._after = row.id
                if len(found) == limit:
                    return found
            if len(page) < PAGE_ROWS:
                self._after = 0
                self._met.clear()
                return found
            read += len(page)
        return found

    def _may_be_tried(self, row: Row[Any], now_us: int, without: Collection[str]) -> bool:
        if row.kind not in self._kinds or row.account in self._met:
            return False
        waits = row.next_at_us is not None and row.next_at_us > now_us
        if waits and not row.tries:
            return False
        self._met.add(row.account)
        return not waits and row.account not in without
