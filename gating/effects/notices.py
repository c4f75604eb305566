"""Notices: whom one goes to, and what it says. Words are data: texts/COMMAND.WHOM.toml, else the default's."""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Final

from gating.effects.senders import is_address, one_line
from gating.ledger.effects import Cause

PEOPLE_MAX: Final = 100
"""Mails of one notice."""
_WORD: Final = re.compile(r"[a-z_]+")
_NAMES: Final = {"owners": "owner", "admins": "admin", "members": "member"}


def people_of(details: Mapping[str, str], whom: str) -> list[str]:
    """The addresses kept beside an account for `owners`, `admins` or `members`: details named owner, owner_2 ...

    Admins and members fall back to nobody; the asker is who the change was made on behalf of.
    """
    if whom == "asker":
        found = [details.get("on_behalf", "")]
    else:
        word = _NAMES.get(whom, "")
        found = [text for name, text in details.items() if word and re.fullmatch(rf"{word}(_\w+)?", name)]
    return list(dict.fromkeys(filter(is_address, found)))[:PEOPLE_MAX]


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
