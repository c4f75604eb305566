"""Go's fasthttp and franz-go: what people build who want a gated pixel in Kafka and care for its cost."""

import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from loadtest.bench.cpu import Cores
from loadtest.peers.delivery import Delivery, delivering_to
from loadtest.peers.engines import Engines, missing_engines
from loadtest.peers.server import ROOT, Place, Server, await_answer, free_port, launch, run, tool

SOURCES: Final = Path(__file__).with_name("franz")
BUILT: Final = ROOT / "build" / "peers"
LINGER: Final = "50ms"
GARBAGE_PERCENT: Final = 100


class FranzGo(Server):
    """One process, its runtime on one core."""

    name = "fasthttp-franz"

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
        return tool("go") or missing_engines(redis=False)

    def prepare(self, _folder: Path, cores: Cores) -> None:
        """Compile it, unless an earlier run has compiled the same sources."""
        sources = b"".join(path.read_bytes() for path in sorted(SOURCES.iterdir()))
        self._program = BUILT / f"franz-{zlib.crc32(sources):08x}"
        if not self._program.exists():
            BUILT.mkdir(parents=True, exist_ok=True)
            run(["go", "build", "-C", SOURCES, "-trimpath", "-buildvcs=false", "-o", self._program, "."], cores.load)

    def version(self) -> str:
        """Go's and the two libraries' versions."""
        required = (SOURCES / "go.mod").read_text().split()
        named = [
            f"{name.rpartition('/')[2]} {required[required.index(name) + 1]}"
            for name in ("github.com/valyala/fasthttp", "github.com/twmb/franz-go")
        ]
        return f"{run(['go', 'version']).split()[2]}, {', '.join(named)}"

    def start(self, place: Place) -> Delivery:
        """Run it on the server's core. Raises ServerFailed."""
        with delivering_to(self._engines, place, redis=False) as (engines, own):
            before, words, port = engines.written(), place.folder / "words", free_port()
            gate = place.folder / "keys"
            gate.write_text("".join(f"{key} account-{at} ACCEPT\n" for at, key in enumerate(self.keys)))
            argv = ["env", "GOMAXPROCS=1", f"GOGC={self._garbage_percent}", str(self._program), "-port", str(port)]
            argv += ["-keys", str(gate), "-bootstrap", engines.bootstrap, "-linger", self._linger]
            running = Delivery(launch(argv, words, place.cores.server), port, words, own=own)
            running.kept = lambda: engines.written() - before
            await_answer(running)
        return running
