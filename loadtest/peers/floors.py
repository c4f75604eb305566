"""The floors: a C epoll loop and a uvloop Protocol that answer fixed bytes and do nothing else."""

import sys
from pathlib import Path
from typing import Final

from loadtest.bench.cpu import Cores
from loadtest.peers.server import Place, Running, Server, await_answer, free_port, launch, run, tool
from loadtest.peers.wire import answer

SOURCE: Final = Path(__file__).with_name("epoll_floor.c")


class EpollFloor(Server):
    """C, compiled by `cc -O2` once a run."""

    name = "c-epoll"
    job = "C epoll loop: fixed answer to each chunk, parses nothing, keeps nothing (the kernel's own cost)"

    def missing(self) -> str | None:
        """It needs a C compiler."""
        return tool("cc")

    def prepare(self, folder: Path, cores: Cores) -> None:
        """Compile it."""
        self._program = folder / "epoll_floor"
        run(["cc", "-O2", "-o", self._program, SOURCE], cores.load)

    def version(self) -> str:
        """The compiler's own line."""
        return run(["cc", "--version"]).splitlines()[0]

    def start(self, place: Place) -> Running:
        """Run it with its answer in a file; it cannot read what a client asks, so it is told how to end."""
        response, words, port = place.folder / "answer", place.folder / "words", free_port()
        response.write_bytes(answer(close=place.scenario.close))
        argv = [str(self._program), str(port), str(response), str(int(place.scenario.close))]
        running = Running(launch(argv, words, place.cores.server), port, words)
        await_answer(running)
        return running


class UvloopFloor(Server):
    """Python's loop by itself."""

    name = "uvloop"
    job = "uvloop Protocol: fixed answer to each chunk, parses nothing, keeps nothing (the loop's own cost)"

    def version(self) -> str:
        """The loop's version stands in the machine's description."""
        return "uvloop as installed"

    def start(self, place: Place) -> Running:
        """Run the module in this interpreter."""
        words, port = place.folder / "words", free_port()
        argv = [sys.executable, "-m", "loadtest.peers.uvloop_floor", str(port), str(int(place.scenario.close))]
        running = Running(launch(argv, words, place.cores.server), port, words)
        await_answer(running)
        return running
