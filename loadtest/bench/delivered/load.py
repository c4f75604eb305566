"""The pacer: `pace`, the open-model load, beside a broker on its own core.

It spins, and Kafka needs that core too; so it is made to give way (nice): a broker that wakes up runs at once, and a
hit that comes due meanwhile leaves late. How late is told; it moves latencies, and CPU a hit hardly.
"""

import shutil
from pathlib import Path
from shlex import quote
from typing import Final

from loadtest.bench.pace import Pace, Paced, compile_pace

NICE: Final = 10
SCRIPT: Final = '#!/bin/sh\nexec nice -n {nice} {program} "$@"\n'


def missing() -> str | None:
    """Say what this machine lacks to pace a load, or None."""
    return None if shutil.which("cc") else "cc is not installed"


def giving_way(folder: Path, core: int, connections: int, seed: int) -> Pace:
    """Compile the load into a folder and return it, nice. Raises ServerFailed with the compiler's words."""
    script = folder / "nice-pace"
    script.write_text(SCRIPT.format(nice=NICE, program=quote(str(compile_pace(folder, core)))))
    script.chmod(0o755)
    return Pace(script, core, connections, seed)


def faults_of(seen: Paced, tolerance: float) -> list[str]:
    """Say why its figures do not count: hits unanswered or answered otherwise, another rate than asked for."""
    faults = [f"{count} {kind}" for kind, count in (("errors", seen.errors), ("wrong answers", seen.wrong)) if count]
    if seen.answered != seen.due:
        faults.append(f"{seen.answered:,} of {seen.due:,} hits were answered")
    if abs(seen.achieved / seen.rate - 1) > tolerance:
        faults.append(f"{seen.achieved:,.0f} hits/s, not {seen.rate:,.0f}")
    return faults
