"""pace, the open-model load: compiles `pace.c`, runs it at a rate, reads what it saw, and says what makes that void."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from loadtest.bench.cpu import pinned
from loadtest.peers.server import run

SOURCE: Final = Path(__file__).with_name("pace.c")
GRACE_SECONDS: Final = 30.0
"""pace waits 10 s for its last answers; this much past its time it is stuck."""
LATE_US_MAX: Final = {"99": 500.0, "99.9": 2500.0}
"""How late the loader may be by its own fault; beyond it, its figures tell of itself. Seen on a quiet virtual
machine: 20 and 60 alone on its core, up to 400 and 1,700 with a gating service there, which takes 1 to 2 % of it."""
SUSTAINED: Final = 0.99
"""Of the rate asked for; a server that answers less is overloaded, which is a finding and no fault."""


class PaceFailed(Exception):
    """pace could not run or said nothing that can be read; the message holds its own words."""


@dataclass(frozen=True, slots=True)
class Paced:
    """What pace saw between warm-up and end. Latency counts from when a hit was due.

    due, sent: hits whose time came, and those that left (warm-up apart; `*_in_all` have it). waited: those that came
    due while their connection was still open for the one before. latency_us, late_us: by percentile; late is its
    own fault, the loader's. busy: share of its time in which it had something to do. over: hits above a latency.
    curve: (percentile, latency in us), eight points for each nine.
    """

    rate: float
    seconds: float
    warmup: float
    connections: int
    poisson: bool
    due: int
    sent: int
    answered: int
    bytes: int
    errors: int
    wrong: int
    waited: int
    sent_in_all: int
    answered_in_all: int
    achieved: float
    busy: float
    resolution: float
    latency_us: Mapping[str, float]
    late_us: Mapping[str, float]
    over: Mapping[str, int]
    curve: Sequence[tuple[float, float]]

    @property
    def is_overload(self) -> bool:
        """Tell whether the server answered fewer hits a second than came."""
        return self.achieved < SUSTAINED * self.rate


@dataclass(frozen=True, slots=True)
class Pace:
    """The compiled loader on its core; over how many connections, and what its random gaps start from."""

    program: Path
    core: int | None
    connections: int
    seed: int = 1

    def run(
        self, port: int, heads: Path, rate: float, seconds: float, warmup: float, *, poisson: bool = False
    ) -> Paced:
        """Load the server and wait for the end. Raises PaceFailed."""
        argv = [str(self.program), f"--port={port}", f"--file={heads}", f"--rate={rate}", f"--seconds={seconds}"]
        argv += [f"--warmup={warmup}", f"--connections={self.connections}", f"--seed={self.seed}"]
        if poisson:
            argv.append("--poisson")
        limit = seconds + warmup + GRACE_SECONDS
        if self.core is None:
            return _finish(argv, limit)
        with pinned(self.core):
            return _finish(argv, limit)


def compile_pace(folder: Path, core: int | None = None) -> Path:
    """Compile the loader into a folder. Raises ServerFailed with the compiler's words."""
    program = folder / "pace"
    run(["cc", "-O2", "-o", program, SOURCE, "-lm"], core)
    return program


def parse(output: str) -> Paced:
    """Read pace's line. Raises PaceFailed where it does not read."""
    try:
        told: dict[str, Any] = json.loads(output)
        return Paced(**{**told, "curve": [(float(percent), float(us)) for percent, us in told["curve"]]})
    except (ValueError, TypeError, KeyError) as error:
        raise PaceFailed(f"pace's result does not read: {output[:300]!r}") from error


def faults_of(paced: Paced, answer_bytes: int) -> list[str]:
    """Say why a round is void: errors, wrong or missing answers, or a loader that was late by itself."""
    faults = [f"{paced.errors} connections failed"] if paced.errors else []
    if paced.wrong:
        faults.append(f"{paced.wrong} answers were no 200 with the GIF")
    if not paced.answered or paced.answered != paced.due:
        faults.append(f"{paced.answered} of {paced.due} hits that were due were answered")
    if paced.bytes != paced.answered * answer_bytes:
        faults.append(f"answers are not all {answer_bytes} bytes: {paced.bytes} bytes in {paced.answered} answers")
    for percent, most in LATE_US_MAX.items():
        if paced.late_us[percent] > most:
            faults.append(f"the loader itself was late: p{percent} {paced.late_us[percent]:,.0f} us (at most {most:g})")
    return faults


def _finish(argv: Sequence[str], limit: float) -> Paced:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=limit)
    except subprocess.TimeoutExpired as error:
        raise PaceFailed(f"pace did not end {GRACE_SECONDS:.0f} s after its time") from error
    if done.returncode != 0:
        raise PaceFailed(f"pace exited {done.returncode}: {done.stderr.strip()[-300:]}")
    return parse(done.stdout)
