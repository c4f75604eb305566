"""Who is measured: Pixelgate as it is installed, with settings and workers to choose, and two peers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from loadtest.bench.cpu import PROC, tree
from loadtest.peers.floors import EpollFloor
from loadtest.peers.nginx import NginxLua
from loadtest.peers.pixelgate import Accounts, Pixelgate, await_ready, count_journals, program, start_gating
from loadtest.peers.server import Place, Running, await_answer, free_port, launch

OURS: Final = "pixelgate"
WORKER: Final = b"collector\0--worker"
"""In a worker's command line, and in no supervisor's."""


class Grown(Pixelgate):
    """Pixelgate's collector: so many workers, these settings in its environment, all of it on the server's core."""

    def __init__(
        self, accounts: Accounts, workers: int = 1, settings: Mapping[str, str] | None = None, name: str = OURS
    ) -> None:
        super().__init__(accounts, "process", name)
        self._workers = workers
        self._settings = dict(settings or {})

    def start(self, place: Place) -> Running:
        """As Pixelgate is started. Raises ServerFailed."""
        data = place.folder / "data"
        self._accounts.copy(data)
        gating = start_gating(data, place.folder / "gating.words", place.cores.load)
        return self.collect(data, place, gating)

    def collect(self, data: Path, place: Place, gating: Running, core: int | None = None) -> Running:
        """Start the collector alone on a data directory; wait until it is ready. core: the server's."""
        words, port = place.folder / "words", free_port()
        argv = ["env", *(f"{key}={value}" for key, value in self._settings.items()), str(program())]
        argv += ["--data", str(data), "collector", "--host", "127.0.0.1", "--port", str(port)]
        argv += ["--workers", str(self._workers)]
        running = Running(
            launch(argv, words, place.cores.server if core is None else core), port, words, beside=(gating.process,)
        )
        running.kept = lambda: count_journals(data)
        await_answer(running)
        await_ready(running)
        return running


def rss_mb(root: int) -> float:
    """Resident memory of the largest process of a tree but its root, in MB (2^20 bytes): of a worker, not of what
    supervises it. The root's own where it has no children."""
    members = tree(root)
    below = [pid for pid in members if pid != root] or [root]
    return max((status_mb(pid, "VmRSS") for pid in below), default=0.0)


def status_mb(pid: int, name: str) -> float:
    """A figure of /proc/<pid>/status in MB; 0 for a process that is gone."""
    try:
        lines = (PROC / str(pid) / "status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:")), 0.0)


__all__ = ["OURS", "EpollFloor", "Grown", "NginxLua", "rss_mb", "status_mb"]
