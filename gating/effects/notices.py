"""Notices: whom one goes to, and what it says. Words are data: texts/COMMAND.WHOM.toml, else the default's."""

import re
import tomllib
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import Final

from gating.effects.senders import is_address, one_line
from gating.ledger import PersonRow
from gating.ledger.effects import Cause

PEOPLE_MAX: Final = 100
"""Mails of one notice."""
_WORD: Final = re.compile(r"[a-z_]+")
_ROLES: Final = {"owners": "owner", "admins": "admin", "members": "member"}


def addresses(people: Sequence[PersonRow], whom: str, cause: Cause, named: str) -> list[str]:
    """Where a notice to `owners`, `admins`, `members` or the `asker` of an account goes; none where none is known.

    named: whom the change was recorded as made for, where that is an address. Else an asker is known by role alone, and
    all the account's people of that role are told.
    """
    if whom == "asker" and is_address(named):
        return [named]
    role = (cause.on_behalf or cause.role) if whom == "asker" else _ROLES.get(whom, "")
    found = [person.email for person in people if person.role == role and person.email and is_address(person.email)]
    return list(dict.fromkeys(found))[:PEOPLE_MAX]


def words_of(command: str, whom: str) -> tuple[str, str]:
    """(subject, body) with {account}, {command}, {before}, {after}, {note} to be filled in."""
    if _WORD.fullmatch(command) and _WORD.fullmatch(whom):
        for name in (f"{command}.{whom}", command, f"default.{whom}"):
            found = _text(name)
            if found is not None:
                return found
    return _text("default") or ("{account}", "{command}")


def filled(words: str, account: str, cause: Cause, note: str) -> str:
    """The words with what happened in them; what people wrote is put in last and read for nothing."""
    known = {"account": account, "command": cause.command, "before": cause.from_status or "-", "after": cause.to_status}
    known = {**known, "note": one_line(note)}
    return re.sub(r"\{(\w+)\}", lambda found: known.get(found[1], found[0]), words).lstrip("\n")


@cache
def _text(name: str) -> tuple[str, str] | None:
    file = resources.files("gating.effects").joinpath("texts", f"{name}.toml")
    if not file.is_file():
        return None
    document = tomllib.loads(file.read_text(encoding="utf-8"))
    return document["subject"], document["body"]
