"""Write keys: how they are made, which of them travel with a change, and what a rotation does. Pure but for `secrets`.

A write key stands in web pages: it names a source and proves nothing. It is unguessable all the same, so that nobody
fills another's account by trying.
"""

import re
import secrets
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from gating.errors import InputInvalid, NotFound, Refused
from gating.feed import KEYS_PER_ACCOUNT_MAX, KeyState
from gating.ledger.rows import KeyRow
from gating.status import DAY_US

KEY_CHARACTERS: Final = 22
_ALPHABET: Final = string.ascii_letters + string.digits
_KEYS: Final = len(_ALPHABET) ** KEY_CHARACTERS
"""22 of 62 characters are 130 random bits. No `-` or `_`: a key can stand behind a command's option, and a double
click marks the whole of it."""
_WRITE_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")

REVOKED_CARRIED_US: Final = 30 * DAY_US
"""How long a revoked key goes on travelling with its account's changes.

After that it is left out, or an account that rotates for years would hit KEYS_PER_ACCOUNT_MAX. Leaving it out brings
no key back: a gate takes a change's keys as the account's complete list, and drops unknown keys while it holds a
lease; without one it keeps such a hit unverified, and settlement reads `keys`, which forgets none, and drops it.
"""


def new_write_key() -> str:
    """A fresh write key of 130 random bits."""
    number = secrets.randbelow(_KEYS)  # at once: a draw a character was a third of creating an account
    characters = []
    for _ in range(KEY_CHARACTERS):
        number, digit = divmod(number, len(_ALPHABET))
        characters.append(_ALPHABET[digit])
    return "".join(characters)


@dataclass(frozen=True, slots=True)
class KeyEdit:
    """What a change does to its account's keys. add: (write key, source). revoke: write key -> from when on."""

    add: tuple[tuple[str, str | None], ...] = ()
    revoke: Mapping[str, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.add or self.revoke)


NO_EDIT: Final = KeyEdit()


def edited(rows: Iterable[KeyRow], edit: KeyEdit, account: str, at_us: int, version: int) -> list[KeyRow]:
    """The account's keys after an edit at `at_us` under `version`; oldest first, new ones last.

    Raises NotFound for a key that is not the account's, InputInvalid for one that does not read, Refused where more
    than KEYS_PER_ACCOUNT_MAX would have to travel.
    """
    after = {row.write_key: row for row in rows}
    for write_key, instant in edit.revoke.items():
        row = after.get(write_key)
        if row is None:
            raise NotFound(f"account {account!r} has no such write key; `pixelgate key list` shows those it has")
        after[write_key] = replace(row, revoked_at_us=instant)
    for write_key, source in edit.add:
        if not _WRITE_KEY.fullmatch(write_key):
            raise InputInvalid("a write key is 1 to 64 characters of A-Z, a-z, 0-9, '_' and '-'")
        after[write_key] = KeyRow(write_key, account, source, at_us, version, None)
    if edit.add and len(travelling(after.values(), at_us)) > KEYS_PER_ACCOUNT_MAX:
        raise Refused(
            f"account {account!r} would have more than {KEYS_PER_ACCOUNT_MAX} write keys (those revoked in the last "
            f"{REVOKED_CARRIED_US // DAY_US} days count): revoke some, or wait until revoked ones no longer count"
        )
    return list(after.values())


def travelling(rows: Iterable[KeyRow], at_us: int) -> tuple[KeyState, ...]:
    """The keys that a change at `at_us` carries: the living, and those not long revoked."""
    since_us = at_us - REVOKED_CARRIED_US
    return tuple(row.state for row in rows if row.revoked_at_us is None or row.revoked_at_us > since_us)


def revocation(rows: Iterable[KeyRow], write_keys: Iterable[str], instant_us: int) -> dict[str, int]:
    """Which of `write_keys` stop at `instant_us`: those that do not stop earlier anyway. Unknown ones stay in it."""
    until = {row.write_key: row.revoked_at_us for row in rows}
    return {
        key: instant_us for key in write_keys if (revoked_at_us := until.get(key)) is None or revoked_at_us > instant_us
    }


def rotation(rows: Iterable[KeyRow], new_key: str, instant_us: int, which: str | None, source: str | None) -> KeyEdit:
    """Replace one key (`which`), or every key of a source, by `new_key`; the old ones stop at `instant_us`.

    Given neither, the account's only living key is meant. Raises InputInvalid where that is not one, NotFound for an
    unknown key or source.
    """
    rows = list(rows)
    living = [row for row in rows if row.revoked_at_us is None]
    if which is not None:
        old = [row for row in rows if row.write_key == which]
    elif source is not None:
        old = [row for row in rows if row.source == source]
    else:
        old = living
        if len(old) != 1:
            raise InputInvalid(f"the account has {len(old)} living write keys: say which by --key or --source")
    if not old:
        raise NotFound("the account has no such write key or source; `pixelgate key list` shows those it has")
    revoke = revocation(rows, [row.write_key for row in old], instant_us)
    return KeyEdit(add=((new_key, old[0].source),), revoke=revoke)
