"""The data directory: where each thing lies, who holds which role in it, and which version wrote it.

Every process on a host opens the same directory through this class. It knows names and locks, never contents.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from gating.errors import DataDirectoryInUse, DataDirectoryUnknown, Unreachable

FORMAT_VERSION: Final = 1
"""Raised when an older release could no longer read what a newer one writes; checked before anything is opened."""

HOLD_SECONDS: Final = 0.5
"""How long a role that is taken is asked for again: `is_held` takes its lock for an instant to find out."""

_TEMPORARY_VERSION: Final = "VERSION.new"  # and a process id: two may make it at once
CLAIM_SUFFIX: Final = ".next"
CLAIM_SECONDS: Final = 5.0
"""How long a role is waited for that a command line holds for the moment of one command."""


class DataDirectory:
    """Paths and role locks below one root. `open()` makes the directory and checks the version that wrote it."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.version_file = self.root / "VERSION"
        self.ledger = self.root / "ledger.sqlite"
        self.warehouse = self.root / "warehouse.duckdb"
        self.journals = self.root / "journals"  # one directory a collector worker's start
        self.quarantine = self.root / "quarantine"  # copies of what recovery found corrupt
        self.counters = self.root / "counters"  # one file a collector worker's start
        self.feed = self.root / "feed"  # the Unix datagram sockets of workers and gating
        self.maps = self.root / "maps"  # one file a worker slot: its map of accounts, for a start without the feed
        self.dead_letters = self.root / "dead-letters"  # what no reader can make an event of
        self.locks = self.root / "locks"
        self.gating_socket = self.root / "gating.sock"  # HTTP, for the command line on this host
        self.consumer_socket = self.root / "consumer.sock"  # HTTP, reports and exports

    @classmethod
    def open(cls, root: Path) -> "DataDirectory":
        """Make what is missing and return the directory.

        Raises DataDirectoryUnknown for one that a newer version wrote or that holds foreign files, Unreachable where
        the file system says no.
        """
        self = cls(root)
        try:
            self._check_version()
            for directory in (self.journals, self.quarantine, self.counters, self.feed, self.maps, self.locks):
                directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            if not self.version_file.exists():
                self._write_version()
        except OSError as error:
            raise Unreachable(
                f"data directory {self.root} cannot be used: {error.strerror}; give another by --data or PIXELGATE_DATA"
            ) from error
        return self

    def _check_version(self) -> None:
        if self.root.exists() and not self.root.is_dir():
            raise DataDirectoryUnknown(f"{self.root} is a file, not a data directory; give another by --data")
        if not self.version_file.exists():
            foreign = self._foreign()
            if not self.version_file.exists():  # else it was made meanwhile, by another that starts here now
                if foreign:
                    raise DataDirectoryUnknown(
                        f"{self.root} is not empty and is no Pixelgate data directory (it holds {foreign[0]!r}); "
                        "give an empty one by --data"
                    )
                return
        text = self.version_file.read_text(encoding="ascii", errors="replace").strip()
        if not text.isdigit() or int(text) > FORMAT_VERSION:
            raise DataDirectoryUnknown(
                f"data directory {self.root} has format {text[:20]!r}, this release reads up to {FORMAT_VERSION}: "
                "use the newer release that wrote it"
            )

    def _foreign(self) -> list[str]:
        """What lies in the directory and is none of what `open` makes before VERSION, sorted.

        A directory that holds such things and no VERSION is somebody else's: nothing is written into it.
        """
        made = {"locks", "feed", "maps", "counters", "quarantine", "journals"}
        names = (path.name for path in self.root.iterdir()) if self.root.exists() else ()
        return sorted(name for name in names if name not in made and not name.startswith(_TEMPORARY_VERSION))

    def _write_version(self) -> None:
        temporary = self.root / f"{_TEMPORARY_VERSION}{os.getpid()}"
        temporary.write_text(f"{FORMAT_VERSION}\n", encoding="ascii")
        temporary.rename(self.version_file)

    @contextmanager
    def claim(self, role: str, wait_seconds: float = CLAIM_SECONDS) -> Iterator[None]:
        """Hold a role for long, ahead of those who want it for a moment only: they ask `is_claimed` first.

        Without that, a command line that leads for one command after the other could keep a process from ever starting.
        Raises DataDirectoryInUse when somebody holds it for longer than `wait_seconds`.
        """
        with ExitStack() as holding:
            with self.hold(role + CLAIM_SUFFIX, wait_seconds):
                holding.enter_context(self.hold(role, wait_seconds))
            yield

    def is_claimed(self, role: str) -> bool:
        """Tell whether somebody waits for the role to hold it for long."""
        return self.is_held(role + CLAIM_SUFFIX)

    @contextmanager
    def hold(self, role: str, wait_seconds: float = HOLD_SECONDS) -> Iterator[None]:
        """Hold a role (`run`, `gating`, `consumer`) for as long as the block runs; the kernel frees it at any death.

        Raises DataDirectoryInUse, naming the holder's process id, when another process holds it.
        """
        descriptor = os.open(self.locks / role, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if not _lock_within(descriptor, wait_seconds):
                holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
                raise DataDirectoryInUse(
                    f"data directory {self.root} is in use: process {holder} holds the role "
                    f"{role.removesuffix(CLAIM_SUFFIX)!r}; stop it, or give another directory by --data"
                )
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode("ascii"), 0)
            yield
        finally:
            os.close(descriptor)

    def is_held(self, role: str) -> bool:
        """Tell whether a live process holds the role now."""
        try:
            descriptor = os.open(self.locks / role, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False


def _lock_within(descriptor: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        else:
            return True
