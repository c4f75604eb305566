"""A worker's stand-in, run as a process of its own: appends to a new journal until it is told to stop or killed.

    python -m tests.collector.journal.child JOURNALS SEGMENT_BYTES COUNT [disk]

Prints the journal's id, then the highest sequence that append (and sync) had returned for, a line a group: what a
client was answered for. COUNT 0 goes on for ever. `disk` syncs each group before it is printed.
"""

import os
import sys
from pathlib import Path

from collector.errors import JournalSyncFailed
from collector.journal import Durability, Journal
from tests.collector.journal.kit import append

SYNC_FAILED_EXIT = 7


def main() -> None:
    directory, segment_bytes, count, *durability = sys.argv[1:]
    disk = durability == ["disk"]
    journal = Journal.create(
        Path(directory), Durability.DISK if disk else Durability.PROCESS, segment_bytes=int(segment_bytes)
    )
    answered = 0
    tell(journal.id)
    while int(count) == 0 or answered < int(count):
        try:
            answered = append(journal, hits=answered % 5 + 1) + answered % 5
            if disk:
                journal.sync()
        except JournalSyncFailed:
            sys.exit(SYNC_FAILED_EXIT)
        tell(str(answered))


def tell(line: str) -> None:
    os.write(1, f"{line}\n".encode())


if __name__ == "__main__":
    main()
