"""Write keys by what is known of them alone: for whoever found one and asks whose it is. Reads, never writes."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, select

from gating.ledger.rows import KeyRow
from gating.ledger.store import Store
from gating.ledger.tables import keys

LOOKED_UP: Final = 500
"""Keys in one statement, as accounts are loaded (`book.LOAD_ROWS`)."""
_BEHIND_ALL: Final = "~"
"""Sorts behind every character of a write key, by bytes."""


class KeyRows:
    """The keys of one ledger, revoked ones too. Threads may share it. Any method may raise Unreachable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def among(self, words: Sequence[str]) -> list[KeyRow]:
        """Those of the words that are keys. words: of a key's characters alone."""
        found: list[KeyRow] = []
        for start in range(0, len(words), LOOKED_UP):
            found += self._rows(keys.c.write_key.in_(words[start : start + LOOKED_UP]), LOOKED_UP)
        return found

    def beginning(self, word: str, limit: int) -> list[KeyRow]:
        """The keys that begin so, `limit` at the most."""
        return self._rows((keys.c.write_key >= word) & (keys.c.write_key < word + _BEHIND_ALL), limit)

    def _rows(self, which: ColumnElement[bool], limit: int) -> list[KeyRow]:
        wanted: Any = select(keys).where(which).order_by(keys.c.write_key).limit(limit)
        with self._store.reading() as connection:
            return [KeyRow.of(row) for row in connection.execute(wanted)]
