"""Go's fasthttp and franz-go: what people build who want a gated pixel in Kafka and care for its cost."""

from collections.abc import Sequence
from typing import Final

from loadtest.peers.compiled import GoProgram, pinned
from loadtest.peers.delivery import Delivery, delivering_to
from loadtest.peers.engines import Engines, missing_engines
from loadtest.peers.gated import write_table
from loadtest.peers.server import Place, await_answer, free_port, launch

LINGER: Final = "50ms"
GARBAGE_PERCENT: Final = 100


class FranzGo(GoProgram):
    """One process, its runtime on one core."""

    name, command = "fasthttp-franz", "kafka"

    def __init__(
        self,
        keys: Sequence[str],
        engines: Engines | None = None,
        linger: str = LINGER,
        garbage_percent: int = GARBAGE_PERCENT,
    ) -> None:
        """engines: shared ones; where there are none, each start has its own. linger, garbage_percent: as Go says."""
        super().__init__(keys)
        self._engines = engines
        self._linger, self._garbage_percent = linger, garbage_percent
        self.job = (
            f"Go fasthttp + franz-go: gate ({len(keys):,} keys in a map), an event of JSON a hit, acks=all, "
            f"idempotent, lz4, linger {linger}, answered before Kafka has it (what is in memory is lost with the "
            f"process); GOMAXPROCS=1, GOGC={garbage_percent}"
        )

    def missing(self) -> str | None:
        """It needs Go and Kafka."""
        return super().missing() or missing_engines(redis=False)

    def library(self) -> str:
        """Both libraries, as `go.mod` says."""
        return f"{super().library()}, franz-go {pinned(self.sources / 'go.mod', r'twmb/franz-go (v[^ ]+)')}"

    def start(self, place: Place) -> Delivery:
        """Run it on the server's core. Raises ServerFailed."""
        with delivering_to(self._engines, place, redis=False) as (engines, own):
            before, words, port = engines.written(), place.folder / "words", free_port()
            gate = write_table(place.folder / "keys", self.keys)
            argv = ["env", "GOMAXPROCS=1", f"GOGC={self._garbage_percent}", str(self.program), "-port", str(port)]
            argv += ["-keys", str(gate), "-bootstrap", engines.bootstrap, "-linger", self._linger]
            running = Delivery(launch(argv, words, place.cores.server), port, words, own=own)
            running.kept = lambda: engines.written() - before
            await_answer(running)
        return running
