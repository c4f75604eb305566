"""The pacer: hits at a constant rate, by the open-model load that `pace.c` is.

The load shares its core with Kafka, so it is made to give way (nice): a broker that wakes up runs at once.
"""

import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from loadtest.bench.cpu import pinned

SOURCE: Final = Path(__file__).with_name("pace.c")
NICE: Final = 10
GRACE_SECONDS: Final = 30.0
"""It ends by itself; this much past its time it is stuck."""
COMPILE_SECONDS: Final = 60.0


class PacerFailed(Exception):
    """The load could not be compiled or run; the message holds its own words."""


@dataclass(frozen=True, slots=True)
class Paced:
    """What one run saw. Latencies count from when a hit was due; late: how late the load itself sent."""

    due: int
    answered: int
    errors: int
    wrong: int
    achieved: float
    p50_us: float
    p99_us: float
    late_p99_us: float

    def faults(self, pace: float, tolerance: float) -> list[str]:
        """Say why its figures do not count: hits unanswered or answered otherwise, another rate than asked for."""
        faults = [
            f"{count} {kind}" for kind, count in (("errors", self.errors), ("wrong answers", self.wrong)) if count
        ]
        if self.answered != self.due:
            faults.append(f"{self.answered:,} of {self.due:,} hits were answered")
        if abs(self.achieved / pace - 1) > tolerance:
            faults.append(f"{self.achieved:,.0f} hits/s, not {pace:,.0f}")
        return faults


def missing() -> str | None:
    """Say what this machine lacks to pace a load, or None."""
    return None if shutil.which("cc") else "cc is not installed"


class Pacer:
    """The compiled load."""

    def __init__(self, folder: Path) -> None:
        """Compile it into a folder. Raises PacerFailed."""
        self._program = folder / "pace"
        compile_ = ["cc", "-O2", "-o", str(self._program), str(SOURCE), "-lm"]
        done = subprocess.run(compile_, capture_output=True, text=True, check=False, timeout=COMPILE_SECONDS)
        if done.returncode != 0:
            raise PacerFailed(f"cc exited {done.returncode}: {done.stderr.strip()[-300:]}")

    def run(self, core: int, port: int, heads: Path, pace: float, seconds: float, connections: int) -> Paced:
        """Send `pace` Poisson-distributed hits a second and wait for their answers. Raises PacerFailed."""
        argv = ["nice", "-n", str(NICE), str(self._program), "--port", str(port), "--file", str(heads), "--poisson"]
        argv += ["--rate", f"{pace:g}", "--seconds", f"{seconds:g}", "--warmup", "0", "--connections", str(connections)]
        with pinned(core):
            process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            output, words = process.communicate(timeout=seconds + GRACE_SECONDS)
        except subprocess.TimeoutExpired as error:
            process.kill()
            process.communicate()
            raise PacerFailed(f"the load did not end {GRACE_SECONDS:.0f} s after its time") from error
        if process.returncode != 0:
            raise PacerFailed(f"the load exited {process.returncode}: {words.strip()[-300:]}")
        return parse(output)


def parse(output: str) -> Paced:
    """Read the load's line of JSON. Raises PacerFailed."""
    try:
        told: dict[str, Any] = json.loads(output)
        latency, late = told["latency_us"], told["late_us"]
        due, answered, errors, wrong = (int(told[name]) for name in ("due", "answered", "errors", "wrong"))
        return Paced(due, answered, errors, wrong, float(told["achieved"]), latency["50"], latency["99"], late["99"])
    except (ValueError, KeyError, TypeError) as error:
        raise PacerFailed(f"the load's result does not read: {output[:300]!r}") from error
