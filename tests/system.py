"""The whole of Pixelgate on a directory of its own: `pixelgate run` as a process, and its command line."""

import contextlib
import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.eventually import eventually
from tests.processes import ROOT, accepts, environment, free_port

PIXELGATE = ROOT / ".venv" / "bin" / "pixelgate"


class System:
    """Started and stopped as an operator would; `port` is the collector's."""

    def __init__(self, folder: Path, workers: int = 2, **settings: object) -> None:
        self.data, self.log, self.settings = folder / "data", folder / "run.log", settings
        self.port, self.admin_port, self.workers = free_port(), free_port(), workers
        self.process: subprocess.Popen[bytes] | None = None
        self._begun = 0  # where in the log this start began

    def cli(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """A command that must end with this exit code."""
        done = subprocess.run(
            [PIXELGATE, "--data", self.data, *arguments], capture_output=True, text=True, timeout=120, check=False,
            env=environment(self.data, **self.settings),
        )  # fmt: skip
        assert done.returncode == code, (arguments, done.returncode, done.stdout, done.stderr)
        return done

    def json(self, *arguments: str) -> Any:
        """A command's one JSON document."""
        return json.loads(self.cli(*arguments, "--json").stdout)

    def start(self, role: str = "run") -> None:
        """`pixelgate run`, or `collector`; returns when the collector accepts."""
        ports = ["--host", "127.0.0.1", "--port", str(self.port)]
        if role == "run":
            ports += ["--admin-port", str(self.admin_port)]
        with self.log.open("ab") as output:
            self._begun = output.tell()
            self.process = subprocess.Popen(
                [PIXELGATE, "--data", self.data, role, "--workers", str(self.workers), *ports],
                stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=environment(self.data, **self.settings),
            )  # fmt: skip
        eventually(lambda: self.must_live() and accepts(self.port), 60)

    def await_whole(self) -> None:
        """`run` says so once every role has answered: before that, a role that fails ends all of it."""
        eventually(lambda: self.must_live() and b"Ctrl-C stops it" in self.log.read_bytes()[self._begun :], 60)

    def must_live(self) -> bool:
        """True; fails with what it printed where it has exited."""
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        return True

    def stop(self) -> None:
        """Ctrl-C: exit 0, and the ports are free."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(60) == 0, self.log.read_text()
        assert not accepts(self.port)

    def kill(self) -> None:
        """SIGKILL; its children end by themselves."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        eventually(lambda: not accepts(self.port), 20)

    @contextlib.contextmanager
    def running(self, role: str = "run") -> Iterator[None]:
        """Started, and stopped at the end."""
        self.start(role)
        try:
            yield
            self.stop()
        except BaseException:
            print(self.log.read_text(errors="replace")[-4000:])  # shown where the test failed
            raise
        finally:
            self.kill()

    def roles(self) -> dict[int, str]:
        """The role processes that live now: pid -> `collector`, `gating` or `consumers`."""
        assert self.process is not None
        found = {}
        for child in _descendants(self.process.pid):
            with contextlib.suppress(OSError):
                words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
                role = next((word.decode() for word in words if word in (b"collector", b"gating", b"consumers")), None)
                if role is not None:
                    found[child] = role
        return found


def _descendants(pid: int) -> list[int]:
    found = []
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            found += [int(child), *_descendants(int(child))]
    return found
