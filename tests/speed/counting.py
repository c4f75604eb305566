"""Instructions a hit, by cachegrind: the replay with more ticks of one scenario, less the replay without them.

Instructions of the user side alone; they repeat to some thousandths on any machine, busy or not. They are no times.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from loadtest.heads import heads
from tests.processes import ROOT
from tests.speed.replay import KEYS, TICK_HITS

SEED = 1
HEADS = 8192
SCENARIOS = ("keep-alive", "many-browsers", "dropped", "new-connection", "published", "yardstick")
TICKS = 320
"""Further ticks of each scenario: 5,120 hits, whole shares of them for `published`."""
COUNT_SECONDS = 300


class NotCounted(Exception):
    """Instructions cannot be counted here, or the replay failed; the message holds the last words."""


@dataclass(frozen=True)
class Counted:
    """Instructions a hit by scenario, and the interpreter that executed them."""

    interpreter: str
    instructions: dict[str, float]

    @property
    def ratios(self) -> dict[str, float]:
        """The same in yardsticks, which says something of another interpreter too."""
        yardstick = self.instructions["yardstick"]
        return {name: count / yardstick for name, count in self.instructions.items() if name != "yardstick"}


def missing() -> str | None:
    """Say what is not here, or None."""
    return None if shutil.which("valgrind") else "valgrind is not installed (Debian: apt-get install valgrind)"


def interpreter() -> str:
    """What instruction counts hang on besides our code."""
    from importlib.metadata import version

    libraries = " ".join(f"{name} {version(name)}" for name in ("httptools", "isal", "uvicorn"))
    return f"{sys.implementation.name} {' '.join(sys.version.split())}; {libraries}"


def count(folder: Path) -> Counted:
    """Count every scenario. Raises NotCounted."""
    file = folder / "heads"
    file.write_bytes(b"".join(heads(SEED, HEADS, KEYS)))
    _replay(file)  # by which everything is compiled: a run that is counted must not
    runs = [(), *((f"{name}={TICKS}",) for name in SCENARIOS)]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        start, *totals = pool.map(lambda more: _instructions(file, more), runs)
    hits = TICKS * TICK_HITS
    return Counted(interpreter(), {name: (total - start) / hits for name, total in zip(SCENARIOS, totals, strict=True)})


def _instructions(file: Path, more: tuple[str, ...]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        grind = ("valgrind", "--tool=cachegrind", "--cache-sim=no", f"--cachegrind-out-file={folder}/out")
        told = _replay(file, *more, under=grind)
    if (found := re.search(r"I +refs: +([\d,]+)", told)) is None:
        raise NotCounted(f"cachegrind counted nothing: {told[-500:]}")
    return int(found[1].replace(",", ""))


def _replay(file: Path, *more: str, under: tuple[str, ...] = ()) -> str:
    done = subprocess.run(
        [*under, sys.executable, "-m", "tests.speed.replay", str(file), *more], cwd=ROOT, timeout=COUNT_SECONDS,
        env={**os.environ, "PYTHONHASHSEED": "0"}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise NotCounted(f"the replay exited {done.returncode}: {done.stderr[-500:]}")
    return done.stderr
