"""Write keys: how they are made, which of them travel with a change, and what a rotation does. Pure but for `secrets`.

A write key stands in web pages: it names a source and proves nothing. It is unguessable all the same, so that nobody
fills another's account by trying.
"""

import secrets
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from gating.errors import InputInvalid, NotFound, Refused
from gating.feed import KEYS_PER_ACCOUNT_MAX, KeyState, StatusChange
from gating.ledger.given_key import is_written_as_words
from gating.ledger.rows import KeyRow
from gating.status import DAY_US, Command

KEY_CHARACTERS: Final = 22
_ALPHABET: Final = string.ascii_letters + string.digits
_KEYS: Final = len(_ALPHABET) ** KEY_CHARACTERS
"""22 of 62 characters are 130 random bits. No `-` or `_`: a key can stand behind a command's option, and a double
click marks the whole of it."""

SOURCE_CHARACTERS_MAX: Final = 200
"""A site's or an app's name; a longer text is none."""

REVOKED_CARRIED_US: Final = 30 * DAY_US
"""How long a revoked key goes on travelling with its account's changes.

After that it is left out, or an account that rotates for years would hit KEYS_PER_ACCOUNT_MAX. Leaving it out brings
no key back: a gate takes a change's keys as the account's complete list, and drops unknown keys while it holds a
lease; without one it keeps such a hit unverified, and settlement reads `keys`, which forgets none, and drops it.
"""


CREATE_KEY: Final = Command("create_key")
ROTATE_KEY: Final = Command("rotate_key")
REVOKE_KEY: Final = Command("revoke_key")
NAME_KEY: Final = Command("name_key")


def new_write_key() -> str:
    """A fresh write key of 130 random bits. One that chance has written as words are is drawn again, so that any key of
    ours may be given to another ledger."""
    while is_written_as_words(key := _drawn()):
        pass
    return key


def _drawn() -> str:
    number = secrets.randbelow(_KEYS)  # at once: a draw a character was a third of creating an account
    characters = []
    for _ in range(KEY_CHARACTERS):
        number, digit = divmod(number, len(_ALPHABET))
        characters.append(_ALPHABET[digit])
    return "".join(characters)


@dataclass(frozen=True, slots=True)
class KeyEdit:
    """What a change does to its account's keys. add: (write key, source). revoke: write key -> from when on.
    name: write key -> source."""

    add: tuple[tuple[str, str | None], ...] = ()
    revoke: Mapping[str, int] = field(default_factory=dict)
    name: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.add or self.revoke or self.name)

    @property
    def touched(self) -> set[str]:
        """The write keys that it is about."""
        return {*self.revoke, *self.name, *(write_key for write_key, _ in self.add)}

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources that it gives."""
        return (*(source for _, source in self.add if source is not None), *self.name.values())


NO_EDIT: Final = KeyEdit()


@dataclass(frozen=True, slots=True)
class Rotation:
    """A rotation that was recorded. revoked: the keys that `write_key` replaces."""

    write_key: str
    revoked: tuple[str, ...]
    change: StatusChange


def edited(rows: Iterable[KeyRow], edit: KeyEdit, account: str, at_us: int, version: int) -> list[KeyRow]:
    """The account's keys after an edit at `at_us` under `version`; oldest first, new ones last.

    Raises NotFound for a key that is not the account's, Refused where more than KEYS_PER_ACCOUNT_MAX would have to
    travel.
    """
    after = {row.write_key: row for row in rows}
    for write_key in (*edit.revoke, *edit.name):
        row = after.get(write_key)
        if row is None:
            raise NotFound(f"account {account!r} has no such write key; `pixelgate key list` shows those it has")
        revoked_at_us = edit.revoke.get(write_key, row.revoked_at_us)
        after[write_key] = replace(row, revoked_at_us=revoked_at_us, source=edit.name.get(write_key, row.source))
    for write_key, source in edit.add:
        after[write_key] = KeyRow(write_key, account, source, at_us, version, None)
    if edit.add and len(travelling(after.values(), at_us)) > KEYS_PER_ACCOUNT_MAX:
        raise Refused(
            f"account {account!r} would have more than {KEYS_PER_ACCOUNT_MAX} write keys (those revoked in the last "
            f"{REVOKED_CARRIED_US // DAY_US} days count): revoke some, or wait until revoked ones no longer count",
            rule="keys_max",
        )
    return list(after.values())


def check_source(source: str) -> None:
    """Raises InputInvalid for a source that is no name on one line."""
    if not 1 <= len(source) <= SOURCE_CHARACTERS_MAX or not source.isprintable() or source != source.strip():
        raise InputInvalid(
            f"a source is a name of 1 to {SOURCE_CHARACTERS_MAX} printable characters, no space at either end"
        )


def naming(rows: Iterable[KeyRow], which: str | None, source: str | None, to: str) -> KeyEdit:
    """Name one key (`which`), or every key of a source, `to`; those that are named so already stay out of it.

    Raises InputInvalid unless one of the two is given, and for a source that does not read; NotFound for an unknown
    key or source.
    """
    check_source(to)
    if (which is None) == (source is None):
        raise InputInvalid("say which key to name, or which source to name anew; one of the two")
    meant = [row for row in rows if row.write_key == which or (source is not None and row.source == source)]
    if not meant:
        raise NotFound("the account has no such write key or source; `pixelgate key list` shows those it has")
    return KeyEdit(name={row.write_key: to for row in meant if row.source != to})


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
