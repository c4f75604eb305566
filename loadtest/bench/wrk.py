"""wrk, the load: runs it over prebuilt request heads and reads what it saw."""

import json
import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loadtest.bench.cpu import pinned

SCRIPT: Final = Path(__file__).with_name("pixels.lua")
MARK: Final = "RESULT "
GRACE_SECONDS: Final = 20.0
"""wrk ends by itself; this much past its time it is stuck."""
ANSWER_TIMEOUT_SECONDS: Final = 10


class WrkFailed(Exception):
    """wrk could not run or said nothing that can be read; the message holds its own words."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What wrk saw of one run: answers it read whole, heads it sent, and its errors by kind."""

    answered: int
    sent: int
    bytes: int
    duration_us: int
    connect: int
    read: int
    write: int
    status: int
    timeout: int
    p50_us: int
    p99_us: int
    max_us: int

    @property
    def errors(self) -> dict[str, int]:
        """The kinds of error that happened, with their counts."""
        kinds = {"connect": self.connect, "read": self.read, "write": self.write, "status": self.status}
        return {kind: count for kind, count in {**kinds, "timeout": self.timeout}.items() if count}


@dataclass(frozen=True, slots=True)
class Load:
    """One way to load a server: from which core, over how many connections, for how long, how fast, by TLS or not."""

    core: int | None
    connections: int
    seconds: float
    delay_ms: int = 0
    tls: bool = False

    def command(self, port: int, heads: Path) -> list[str]:
        """Put wrk's command line together; it takes whole seconds."""
        options = ["-t1", f"-c{self.connections}", f"-d{max(1, round(self.seconds))}s"]
        options += [f"--timeout={ANSWER_TIMEOUT_SECONDS}s", "-s", str(SCRIPT)]
        scheme = "https" if self.tls else "http"
        return ["wrk", *options, f"{scheme}://127.0.0.1:{port}/", "--", str(heads), str(self.delay_ms)]

    def start(self, port: int, heads: Path) -> "subprocess.Popen[str]":
        """Start wrk; `finish` ends it."""
        if self.core is None:
            return self._start(port, heads)
        with pinned(self.core):
            return self._start(port, heads)

    def _start(self, port: int, heads: Path) -> "subprocess.Popen[str]":
        return subprocess.Popen(self.command(port, heads), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def finish(self, process: "subprocess.Popen[str]") -> Seen:
        """Wait until wrk ends and read its result. Raises WrkFailed."""
        try:
            output, _ = process.communicate(timeout=self.seconds + GRACE_SECONDS)
        except subprocess.TimeoutExpired as error:
            process.kill()
            process.communicate()
            raise WrkFailed(f"wrk did not end {GRACE_SECONDS:.0f} s after its time") from error
        if process.returncode != 0:
            raise WrkFailed(f"wrk exited {process.returncode}: {output.strip()[-300:]}")
        return parse(output)

    def cut_short(self, process: "subprocess.Popen[str]") -> Seen:
        """End wrk now and read what it has seen so far. Raises WrkFailed."""
        process.send_signal(signal.SIGINT)  # wrk's own way: it stops its threads and reports
        return self.finish(process)

    def run(self, port: int, heads: Path) -> Seen:
        """Load the server and wait for the end. Raises WrkFailed."""
        return self.finish(self.start(port, heads))


def installed() -> bool:
    """Tell whether wrk is there."""
    return shutil.which("wrk") is not None


def parse(output: str) -> Seen:
    """Find the script's line among wrk's own output. Raises WrkFailed where there is none."""
    for line in output.splitlines():
        if line.startswith(MARK):
            try:
                return Seen(**json.loads(line.removeprefix(MARK)))
            except (ValueError, TypeError) as error:
                raise WrkFailed(f"wrk's result does not read: {line[:300]!r}") from error
    raise WrkFailed(f"wrk gave no result: {output.strip()[-300:]!r}")


def write_heads(path: Path, heads: Sequence[bytes]) -> Path:
    """Write the file that the script reads."""
    path.write_bytes(b"".join(heads))
    return path
