"""A bare ASGI function under uvicorn, at uvicorn's fastest: httptools, uvloop, no access log, no lifespan."""

import sys
from importlib.metadata import version

from loadtest.peers.server import Place, Running, Server, await_answer, free_port, launch


class BareAsgi(Server):
    """What a Python server pays before it does anything."""

    name = "asgi"
    job = "bare ASGI function on uvicorn (httptools, uvloop): parses, answers the GIF, no gate, keeps nothing"

    def version(self) -> str:
        """Name uvicorn's and httptools' versions."""
        return f"uvicorn {version('uvicorn')}, httptools {version('httptools')}"

    def start(self, place: Place) -> Running:
        """Run one uvicorn process in this interpreter."""
        words, port = place.folder / "words", free_port()
        argv = [sys.executable, "-m", "uvicorn", "loadtest.peers.bare_asgi:app", "--port", str(port)]
        argv += ["--http=httptools", "--loop=uvloop", "--lifespan=off", "--no-access-log", "--log-level=warning"]
        argv += [
            "--timeout-keep-alive=75"
        ]  # nginx's and ours; its own 5 s would end connections that idle beside a round
        running = Running(launch(argv, words, place.cores.server), port, words)
        await_answer(running)
        return running
