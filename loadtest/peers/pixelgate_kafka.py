"""Pixelgate up to Kafka: a collector worker and the host's publisher, as an operator starts them."""

from importlib.metadata import version
from pathlib import Path

from loadtest.bench.cpu import Cores
from loadtest.peers.delivery import Delivery, delivering_to
from loadtest.peers.engines import Engines, missing_engines
from loadtest.peers.pixelgate import Accounts, await_ready, program, start_gating
from loadtest.peers.server import Place, Server, await_answer, free_port, launch


class PixelgateKafka(Server):
    """Collector and publisher, both counted with their supervisors; gating beside them is not."""

    name = "pixelgate"

    def __init__(self, accounts: Accounts, engines: Engines | None = None, linger_us: int = 0) -> None:
        """engines: shared ones; where there are none, each start has its own. linger_us: the setting of that name."""
        super().__init__()
        self._accounts, self._engines, self._linger_us = accounts, engines, linger_us
        self.job = (
            f"pixelgate collector (one worker, {accounts.count:,} keys in the gate, durability process: in the journal "
            "before the answer) and publisher (acks=all, idempotent, lz4), both as installed; their CPU and their "
            "supervisors' is summed, the gating service beside them does not count"
        )
        if linger_us:
            self.name = "pixelgate-linger"
            self.job = f"the same with PIXELGATE_LINGER_US={linger_us}: a worker with time to spare waits between ticks"

    def missing(self) -> str | None:
        """It needs its own command and Kafka."""
        no_command = None if program() else "no `pixelgate` command beside this Python or on the path"
        return no_command or missing_engines(redis=False)

    def prepare(self, _folder: Path, _cores: Cores) -> None:
        """Make its accounts."""
        self._accounts.make()
        self.keys = self._accounts.keys

    def version(self) -> str:
        """The installed distribution's version."""
        return f"pixelgate {version('pixelgate')}"

    def start(self, place: Place) -> Delivery:
        """Start gating, publisher and collector; return once hits are gated. Raises ServerFailed."""
        with delivering_to(self._engines, place, redis=False) as (engines, own):
            before, data, words, port = engines.written(), place.folder / "data", place.folder / "words", free_port()
            self._accounts.copy(data)
            gating = start_gating(data, place.folder / "gating.words", place.cores.load)
            settings = [f"KAFKA_BOOTSTRAP={engines.bootstrap}", f"PIXELGATE_LINGER_US={self._linger_us}"]
            argv = ["env", *settings, str(program()), "--data", str(data)]
            collecting = [*argv, "collector", "--workers", "1", "--host", "127.0.0.1", "--port", str(port)]
            publisher = launch([*argv, "publisher"], place.folder / "publisher.words", place.cores.server)
            collector = launch([*collecting, "--durability", "process"], words, place.cores.server)
            running = Delivery(
                collector, port, words, beside=(publisher, gating.process), counted=(publisher,), own=own
            )
            running.kept = lambda: engines.written() - before
            await_answer(running)
            await_ready(running)
        return running
