"""Files: what of a deleted account may lie in one data directory beside ledger and warehouse, and how each goes.

Called by `purge.py`, on its worker thread. Journals are read by others and are never rewritten: they are spools of
minutes, so it is waited until what they held is unlinked. Must not know what is owed.
"""

import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from collector.journal.directory import is_journal, segment_first
from collector.journal.spool import journal_ends
from collector.publisher import dead_letters as letters
from consumers.warehouse.protocol import Tombstone
from gating.datadir import DataDirectory

PLACE_FILE: Final = "place"


class Files:
    """One data directory. place: its name among all that share the ledger, kept over restarts."""

    def __init__(self, data: DataDirectory) -> None:
        self._data = data
        self.dead_letters = data.dead_letters
        self.place = _place_of(data)

    def store(self, what: str) -> str:
        """The name of one of this place's stores."""
        return f"{what} {self.place}"

    def ends(self) -> dict[str, int]:
        """Each journal's highest sequence now: whatever was answered before lies at or below it."""
        return journal_ends(self._data.journals)

    def is_past(self, ends: Mapping[str, int]) -> bool:
        """Whether no segment is left that may hold a record at or below these ends."""
        return not any(
            first <= end for journal, end in ends.items() for first in _firsts(self._data.journals / journal)
        )

    def letters_of(self, stone: Tombstone) -> list[str]:
        """The ids of the account's dead letters that were not sent again; nothing is changed."""
        return sorted(
            letter.id
            for _, letter in letters.find(self.dead_letters).unsent
            if (event := letter.decoded()).account == stone.account
            or (event.account == "" and event.write_key in stone.keys)
        )

    def purge_letters(self, stone: Tombstone) -> int:
        """Remove the account's dead letters; how many of them had not been sent again."""
        return len(letters.purge(self.dead_letters, stone.account, stone.keys))

    def purge_quarantine(self) -> int:
        """Remove all copies of damaged segments: what lies in a damaged part cannot be told apart. How many files."""
        found = self._copies()
        for path in found:
            path.unlink(missing_ok=True)
        return len(found)

    def quarantined(self) -> int:
        """How many copies there are."""
        return len(self._copies())

    def _copies(self) -> list[Path]:
        return [path for path in self._data.quarantine.iterdir() if path.is_file()]


def _firsts(journal: Path) -> list[int]:
    """The first sequences of a journal's segments that hold any; none where it is gone."""
    if not is_journal(journal):
        return []
    try:
        return [first for name in os.listdir(journal) if (first := segment_first(name)) is not None]
    except FileNotFoundError:
        return []


def _place_of(data: DataDirectory) -> str:
    """The host and a random part, drawn once a data directory: a host's name may be given again, or its disk moved."""
    file = data.locks / PLACE_FILE
    try:
        return file.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        name = f"{socket.gethostname()}-{os.urandom(4).hex()}"
    temporary = file.with_name(f"{PLACE_FILE}.new{os.getpid()}")
    temporary.write_text(f"{name}\n", encoding="ascii")
    temporary.rename(file)
    return name
