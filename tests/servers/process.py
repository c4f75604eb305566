"""One server process. It never outlives the block that started it, and is only ever signalled by its own pid."""

import ctypes
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.eventually import eventually

READY_SECONDS = 60
STOP_SECONDS = 30
LOG_BYTES_SHOWN = 4_000
PR_SET_PDEATHSIG = 1
Command = list[str | Path]


class ServerMissing(Exception):
    """The server cannot be had on this machine; the message says what to install."""


class ServerProcess:
    """Started by `start`, which returns once `ready` holds; may be killed, frozen and started again."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        folder: Path,
        ready: Callable[[], bool],
        *,
        stop_signal: int = signal.SIGTERM,
        environment: Mapping[str, str] | None = None,
        user: str | None = None,
    ) -> None:
        self.name, self.folder, self.log_path = name, folder, folder / f"{name}.log"
        self._command = [str(word) for word in command]
        self._ready, self._stop_signal = ready, stop_signal
        self._environment, self._user = environment, user
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.name} was not started"
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        """The end of what it printed."""
        return self.log_path.read_bytes()[-LOG_BYTES_SHOWN:].decode(errors="replace")

    def start(self) -> None:
        """Start it and wait until it answers; fails with its log where it does not."""
        with self.log_path.open("ab") as output:
            self._process = subprocess.Popen(
                self._command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env={**os.environ, **(self._environment or {})}, user=self._user, group=self._user,
                extra_groups=[] if self._user else None,
                preexec_fn=_die_with_parent,  # noqa: PLW1509  no threads of ours hold a lock here
            )  # fmt: skip
        eventually(lambda: self.must_run() and self._ready(), READY_SECONDS)

    def must_run(self) -> bool:
        """True; fails with its log where it has exited."""
        assert self.running, f"{self.name} has exited:\n{self.log}"
        return True

    def signal(self, number: int) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def freeze(self) -> None:
        """SIGSTOP."""
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL; returns when it is gone. Harmless where it is."""
        if self._process is not None:
            if self.running:
                self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """Ask it to end, wait, and kill it where it does not. Harmless where it is gone."""
        if self._process is None or not self.running:
            return
        self.thaw()
        self.signal(self._stop_signal)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()


def _die_with_parent() -> None:
    """Linux: a test run that is killed leaves no server behind. Not inherited over a change of user, so see `stop`."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
