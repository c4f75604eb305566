"""Stock: journals that a collector once wrote, and data directories in which some of them wait."""

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loadtest.bench.cpu import Cores
from loadtest.bench.growth.contenders import Grown
from loadtest.bench.wrk import Load, write_heads
from loadtest.heads import HEADS, heads
from loadtest.peers.pixelgate import Accounts
from loadtest.peers.server import KEEP_ALIVE, Place, ServerFailed

CONNECTIONS: Final = 64
LOAD_SECONDS: Final = 10.0
GB: Final = 10**9
MANY_HEADS: Final = HEADS * 128
SEGMENTS: Final = "*.segment"
FREE_TIMES: Final = 2.0
"""A disk must have that many times the stock free: near its end a collector answers 503."""


@dataclass(frozen=True, slots=True)
class Stock:
    """The journals of `accounts`, so many bytes of them, in a folder of the shelf."""

    accounts: Accounts
    size: int

    @property
    def place(self) -> Path:
        """Where they lie."""
        return self.accounts.shelf / f"journals-{self.size // 10**6}M"

    def make(self, cores: Cores, seed: int) -> None:
        """Have a collector write them, unless an earlier run has. Raises ServerFailed, WrkFailed."""
        self.accounts.make()
        if self.place.exists():
            return
        if shutil.disk_usage(self.accounts.shelf).free < FREE_TIMES * self.size:
            raise ServerFailed(f"{self.accounts.shelf} has no room for {self.size / GB:.1f} GB of journals, twice")
        with tempfile.TemporaryDirectory(prefix="making-", dir=self.accounts.shelf) as name:
            folder = Path(name)
            server = Grown(self.accounts)
            running = server.start(Place(folder, KEEP_ALIVE, cores))
            try:
                file = write_heads(folder / "heads", heads(seed, MANY_HEADS, self.accounts.keys))
                while _bytes(folder / "data" / "journals") < self.size:
                    Load(cores.load, CONNECTIONS, LOAD_SECONDS).run(running.port, file)
            finally:
                running.stop()
            (folder / "data" / "journals").rename(self.place)

    def lay(self, data: Path, size: int) -> list[Path]:
        """Have about `size` bytes of journals wait in a data directory, oldest first; returns the journals.

        The files are links to the stock's: whoever takes one over removes a name, and nobody writes to them.
        """
        laid: list[Path] = []
        left = size
        for journal in sorted(path for path in self.place.iterdir() if path.is_dir()):
            target = data / "journals" / journal.name
            for segment in sorted(journal.glob(SEGMENTS)):
                if left <= 0:
                    return laid
                if target not in laid:
                    target.mkdir(parents=True)
                    laid.append(target)
                os.link(segment, target / segment.name)
                left -= segment.stat().st_size
        if left > 0:
            raise ServerFailed(f"{self.place} holds {_bytes(self.place) / GB:.1f} GB, not {size / GB:.1f}")
        return laid


def _bytes(journals: Path) -> int:
    return sum(segment.stat().st_size for segment in journals.glob(f"*/{SEGMENTS}"))
