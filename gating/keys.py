"""Keys found in the wild: whose a write key is, in a text that holds one, and what it does now.

Called by `keys_api.py`. Reads alone. Whoever may ask may see all accounts: a key names its account to nobody else.
"""

import re
from typing import Any, Final
from urllib.parse import unquote

from gating.clock import Clock
from gating.errors import InputInvalid, NotFound
from gating.ledger import KeyRow, Ledger
from gating.shelf import Shelf
from gating.times import rfc3339
from gating.views import account_line

Document = dict[str, Any]

TEXT_CHARACTERS_MAX: Final = 64 * 1024
"""A page's head, a request, a piece of a log."""
PREFIX_CHARACTERS_MIN: Final = 8
"""47 of a drawn key's 130 bits: among a million keys, two begin so once in 200 ledgers."""
WORDS_MAX: Final = 2_000
"""Words of a text that are looked up."""
SHOWN_MAX: Final = 10
"""Keys that begin as asked, when there are several."""

_WORD: Final = re.compile(rf"[A-Za-z0-9_-]{{{PREFIX_CHARACTERS_MIN},64}}")
_SHORTENED: Final = re.compile(r"([A-Za-z0-9_-]+)(?:\.{2,3}|\u2026)?")


class Finder:
    """Over one ledger."""

    def __init__(self, ledger: Ledger, shelf: Shelf, clock: Clock) -> None:
        self._ledger, self._shelf, self._clock = ledger, shelf, clock

    def find(self, text: str) -> list[Document]:
        """Each key that the text is, begins or holds, in the text's order; at least one.

        Raises InputInvalid for a text that cannot name one, or that begins several; NotFound where it names none.
        """
        if len(text) > TEXT_CHARACTERS_MAX:
            raise InputInvalid(f"the text has {len(text)} characters, {TEXT_CHARACTERS_MAX} are the most")
        text = text.strip()
        alone = _SHORTENED.fullmatch(text)
        rows = self._beginning(alone[1], whole=alone[1] == text) if alone else self._within(text)
        return [self._found(row) for row in rows]

    def _beginning(self, word: str, *, whole: bool) -> list[KeyRow]:
        if whole and (rows := self._ledger.key_rows.among([word])):
            return rows
        if len(word) < PREFIX_CHARACTERS_MIN:
            raise InputInvalid(f"{len(word)} characters name no write key: give {PREFIX_CHARACTERS_MIN} at the least")
        rows = self._ledger.key_rows.beginning(word, SHOWN_MAX)
        if len(rows) > 1:
            more = "or more " if len(rows) == SHOWN_MAX else ""
            raise InputInvalid(f"{len(rows)} {more}write keys begin so: give more of its characters")
        if not rows:
            raise NotFound("no account has or had a write key that is or begins so: hits on it are dropped as unknown")
        return rows

    def _within(self, text: str) -> list[KeyRow]:
        words = list(dict.fromkeys([*_WORD.findall(text), *_WORD.findall(unquote(text))]))
        if len(words) > WORDS_MAX:
            raise InputInvalid(f"the text has {len(words)} words that may be keys, {WORDS_MAX} are the most")
        known = {row.write_key: row for row in self._ledger.key_rows.among(words)}
        if not known:
            raise NotFound("the text holds no write key that any account has or had")
        return [known[word] for word in words if word in known]

    def _found(self, row: KeyRow) -> Document:
        now_us = self._clock.now_us()
        account = self._ledger.account(row.account)
        known_us = self._ledger.activity.known_us(now_us)
        line = account_line(self._shelf.of(account.account), account, now_us, known_us)
        return {
            "write_key": row.write_key,
            "account": row.account,
            "source": row.source,
            "state": key_state(row, now_us),
            "created_at": rfc3339(row.created_at_us),
            "revoked_at": None if row.revoked_at_us is None else rfc3339(row.revoked_at_us),
            "status": line["status"],
            "verdict": line["verdict"] if key_state(row, now_us) != "revoked" else "DROP",
        }


def key_state(row: KeyRow, now_us: int) -> str:
    """`living`, `grace` (it stops at `revoked_at`) or `revoked`."""
    if row.revoked_at_us is None:
        return "living"
    return "grace" if now_us < row.revoked_at_us else "revoked"
