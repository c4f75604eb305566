"""Quarantine: damaged segments are kept, so that somebody can look at them after the journal is gone.

Called by the reader and by recovery. A kept segment is a hard link, which takes no room on a full disk: nothing is
written to a segment its writer has left. On another file system it is a copy.
"""

import errno
import os
import shutil
from pathlib import Path

from collector.journal.walk import Corruption


class Quarantine:
    """Takes note of damage as it is met, and keeps each damaged segment once. Made where it is first needed."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.found: list[Corruption] = []
        self.kept: list[Path] = []
        self._unkept: list[Path] = []

    @property
    def corrupt_bytes(self) -> int:
        return sum(corruption.bytes for corruption in self.found)

    def note(self, corruption: Corruption) -> None:
        """Called by the walk; the segment is kept by the next `keep`, which comes before anything is unlinked."""
        self.found.append(corruption)
        if corruption.segment not in self._unkept:
            self._unkept.append(corruption.segment)

    def keep(self) -> None:
        """Keep every segment noted. Raises OSError, and the next call goes on where this one failed."""
        while self._unkept:
            kept = self.directory / f"{self._unkept[0].parent.name}-{self._unkept[0].name}"
            self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            _keep(self._unkept[0], kept)
            if kept not in self.kept:
                self.kept.append(kept)
            del self._unkept[0]


def _keep(segment: Path, kept: Path) -> None:
    try:
        os.link(segment, kept)
    except FileExistsError:
        return
    except OSError as error:
        if error.errno not in {errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK}:
            raise
        temporary = kept.with_name(f".{kept.name}")
        shutil.copyfile(segment, temporary)
        temporary.rename(kept)
