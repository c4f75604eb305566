"""Counter files as workers leave them, and a fold that dies at a point: `counter_files.py DATA POINT`."""

import os
import signal
import sys
from pathlib import Path

from collector import totals
from collector.metrics import CounterFile, Counters
from collector.outcome import Outcome
from gating.worker_counters import TOTAL

POINTS = {
    "before the total is written": (totals, "_write", True, 1),
    "before the total takes its name": (Path, "rename", True, 1),
    "after the total took its name": (Path, "rename", False, 1),
    "before the first file goes": (Path, "unlink", True, 1),
    "after the first file went": (Path, "unlink", False, 1),
    "between two files": (Path, "unlink", False, 3),
    "after all": (totals, "_remove", False, 2),
}


def journal_id(number: int) -> str:
    return f"{number:032x}"


def leave(directory: Path, number: int, *, clean: bool = True, **outcomes: int) -> str:
    """One worker's file; returns its journal's id."""
    counters = Counters()
    for name, hits in outcomes.items():
        counters.outcomes[Outcome[name.upper()]] = hits
    counters.connections_refused = number
    file = CounterFile(directory, journal=journal_id(number), worker=number)
    file.publish(counters, connections=0, version=1, leased=True, clean=clean)
    return journal_id(number)


def arm(point: str) -> None:
    """Have this process die by SIGKILL at the point."""
    owner, name, before, number = POINTS[point]
    original = getattr(owner, name)
    passed = 0

    def dying(*arguments, **named):
        nonlocal passed
        passed += 1
        result = None if before and passed == number else original(*arguments, **named)
        if passed == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, dying)


def kept(directory: Path) -> dict[str, int]:
    """What each file says was accepted: as if all had been taken over."""
    return {p.journal: p.kept for p in totals._read(directory, [f.stem for f in directory.glob("*.json")])}


if __name__ == "__main__":
    root = Path(sys.argv[1])
    last = {journal: hits for journal, hits in kept(root / "counters").items() if journal != TOTAL}
    arm(sys.argv[2])
    totals.fold(root / "counters", root / "journals", lambda: last)
