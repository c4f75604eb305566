"""Entry: one change on its way into the ledger, and the row and message it becomes. Pure.

Used by `transaction.py` alone. What must stay for ever (ids) and what may be erased (words, people) part here.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import orjson

from gating.account import Decision
from gating.errors import InputInvalid
from gating.feed import StatusChange
from gating.ledger.book import Loaded, settled_state
from gating.ledger.keys import NO_EDIT, KeyEdit, travelling
from gating.ledger.rows import Who
from gating.ledger.store import Unstorable, is_storable
from gating.status import Command, Role, Status

DETAIL_CHARACTERS_MAX: Final = 10_000
"""A person's note; a longer one is somebody's upload."""
_ID: Final = re.compile(r"[A-Za-z0-9._:-]{0,128}")
"""No `@` and no space: an address or a name would stay in the history for ever."""
_ACCOUNT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
"""It stands in paths, file names and journal records of at most 64 bytes."""
_ON_BEHALF: Final = re.compile(r"[A-Za-z0-9._:+-]{0,128}")
"""A role, or one with a permission: `member+billing`."""

Effects = tuple[tuple[str, bytes], ...]


def check_account_id(account: str) -> None:
    """Raise InputInvalid for an id that cannot stand in paths and records."""
    if not _ACCOUNT.fullmatch(account):
        raise InputInvalid(
            f"account id {account[:80]!r}: 1 to 64 characters of A-Z, a-z, 0-9, '.', '_' and '-', "
            "of which the first is a letter or digit"
        )


def effects_of(decision: Decision) -> Effects:
    """(name, arguments as JSON) of each effect, as the outbox holds them."""
    return tuple((effect.name, orjson.dumps(dict(effect.arguments))) for effect in decision.effects)


@dataclass(frozen=True, slots=True)
class Entry:
    """One change before it has a version. actor, on_behalf: ids. details: what is written beside it."""

    at_us: int
    command: Command
    actor: str
    role: Role
    on_behalf: str | None
    from_status: Status | None
    to_status: Status
    effects: Effects
    details: Mapping[str, str]
    keys: KeyEdit

    @classmethod
    def of(
        cls,
        at_us: int,
        command: Command,
        who: Who,
        from_status: Status | None,
        to_status: Status,
        *,
        effects: Effects = (),
        details: Mapping[str, str] | None = None,
        keys: KeyEdit = NO_EDIT,
    ) -> Self:
        """Part ids from people. Raises InputInvalid for an actor that is no id, and for a text that is too long or that
        no column can hold."""
        texts = dict(details or {})
        on_behalf, _, person = (who.on_behalf or "").partition(":")
        if person:
            texts["on_behalf"] = person
        if not _ID.fullmatch(who.id) or not _ON_BEHALF.fullmatch(on_behalf):
            raise InputInvalid(
                "who acts is recorded for ever, so it is given by an id: up to 128 letters, digits, '.', '_', ':', '-'"
            )
        for name, text in texts.items():
            if len(text) > DETAIL_CHARACTERS_MAX:
                raise InputInvalid(f"{name} has {len(text)} characters, at most {DETAIL_CHARACTERS_MAX} are kept")
        if not all(is_storable(text) for text in (*texts, *texts.values(), *keys.sources)):
            raise Unstorable
        return cls(at_us, command, who.id, who.role, on_behalf or None, from_status, to_status, effects, texts, keys)

    def change(self, loaded: Loaded) -> StatusChange:
        """The change as it travels, of an account that has just been moved to its version."""
        row, standing = loaded.row, loaded.standing
        return StatusChange(
            version=row.version,
            account=row.id,
            at_us=self.at_us,
            status=row.status,
            verdict=standing.verdict,
            until_us=standing.until_us,
            then=standing.then,
            final=standing.final,
            keys=travelling(loaded.keys, self.at_us),
        )

    def history(self, change: StatusChange, loaded: Loaded) -> dict[str, Any]:
        """The columns of the history row, but for the chain's."""
        touched = self.keys.touched
        keys = [[row.write_key, row.revoked_at_us] for row in loaded.keys if row.write_key in touched]
        return {
            "version": change.version,
            "account": change.account,
            "at_us": change.at_us,
            "command": self.command,
            "actor": self.actor,
            "role": self.role,
            "on_behalf": self.on_behalf,
            "from_status": self.from_status,
            "to_status": self.to_status,
            "status": change.status,
            "verdict": int(change.verdict),
            "access": loaded.row.access,
            "until_us": change.until_us,
            "then_verdict": None if change.then is None else int(change.then),
            "effects": orjson.dumps([name for name, _ in self.effects]).decode(),
            "keys": orjson.dumps(keys).decode(),
            "state_digest": hashlib.sha256(settled_state(loaded.row.account)).digest(),
        }
