"""Starting our own processes for tests: each on its own data directory, stopped by pid, its output shown on failure."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.eventually import eventually

ROOT = Path(__file__).parent.parent


def free_port() -> int:
    """A port nobody holds now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


ENGINES = ("DATABASE_URL", "REDIS_URL", "KAFKA_BOOTSTRAP", "CLICKHOUSE_URL")


def environment(data: Path, **settings: object) -> dict[str, str]:
    """This process's environment without Pixelgate's settings, and with these: `redis_url` is REDIS_URL, and so on."""
    kept = {k: value for k, value in os.environ.items() if not k.startswith("PIXELGATE_") and k not in ENGINES}
    names = {name: name.upper() if name.upper() in ENGINES else f"PIXELGATE_{name.upper()}" for name in settings}
    given = {names[name]: str(value) for name, value in settings.items()}
    return {**kept, "PIXELGATE_DATA": str(data), "PYTHONUNBUFFERED": "1", **given}


class Process:
    """A role process; `log` is what it printed. variables: of its environment, beside settings."""

    def __init__(
        self,
        arguments: list[str],
        data: Path,
        log: Path,
        variables: Mapping[str, str] | None = None,
        **settings: object,
    ) -> None:
        self.log_path = log
        given = {**environment(data, **settings), **(variables or {})}
        with log.open("ab") as output:
            self.popen = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=ROOT, env=given, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def signal(self, number: int) -> None:
        self.popen.send_signal(number)

    def stop(self, seconds: float = 20) -> int:
        """SIGTERM, and its exit code; SIGKILL where it does not stop in time, which fails."""
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGCONT)
            self.popen.terminate()
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"process {self.pid} did not stop within {seconds} s:\n{self.log}") from None

    def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        if self.popen.poll() is None:
            self.popen.kill()
        self.popen.wait()

    def must_live(self) -> bool:
        """True; fails with what it printed where it is dead."""
        if (code := self.popen.poll()) is not None:
            raise AssertionError(f"process {self.pid} exited with {code}:\n{self.log}")
        return True


@contextlib.contextmanager
def gating(data: Path, log: Path, admin_port: int = 0) -> Iterator[Process]:
    """A gating process that answers."""
    process = Process(["-m", "gating"], data, log, admin_port=admin_port)
    try:
        eventually(lambda: process.must_live() and answers(data / "gating.sock"), 20)
        yield process
    finally:
        process.kill()


def answers(path: Path) -> bool:
    """Whether somebody accepts connections on a Unix socket."""
    if not path.exists():
        return False
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(f"/proc/self/fd/{directory}/{path.name}") == 0
    finally:
        os.close(directory)


@contextlib.contextmanager
def collector(data: Path, log: Path, port: int, **settings: object) -> Iterator[Process]:
    """A collector worker that accepts connections; several on one data directory have ports of their own here."""
    process = Process(["-m", "collector"], data, log, None, host="127.0.0.1", port=port, **settings)
    try:
        eventually(lambda: process.must_live() and accepts(port), 20)
        yield process
    finally:
        process.kill()


def accepts(port: int) -> bool:
    """Whether somebody accepts TCP connections on the port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
