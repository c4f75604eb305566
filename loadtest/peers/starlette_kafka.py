"""Starlette, redis and aiokafka under uvicorn: the row of what people write first (`starlette_route.py`)."""

import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Final

from redis import Redis

from loadtest.peers.delivery import Delivery, delivering_to
from loadtest.peers.engines import Engines, missing_engines
from loadtest.peers.server import Place, Server, await_answer, free_port, launch

LINGER_MS: Final = 20


class StarletteKafka(Server):
    """One uvicorn process; Redis and Kafka on the load's core are not counted."""

    name = "starlette-kafka"

    def __init__(self, keys: Sequence[str], engines: Engines | None = None, linger_ms: int = LINGER_MS) -> None:
        """engines: shared ones, with a Redis; where there are none, each start has its own."""
        super().__init__(keys)
        self._engines, self._linger_ms = engines, linger_ms
        self.job = (
            f"Starlette route on uvicorn (httptools, uvloop): gate by a Redis GET ({len(keys):,} keys), an event of "
            f"JSON a hit by aiokafka's send, acks=all, idempotent, lz4, linger {linger_ms} ms, answered before Kafka "
            "has it (what is in memory is lost with the process)"
        )

    def missing(self) -> str | None:
        """It needs Redis and Kafka."""
        return missing_engines(redis=True)

    def version(self) -> str:
        """The versions of what it is made of."""
        return ", ".join(f"{name} {version(name)}" for name in ("starlette", "uvicorn", "redis", "aiokafka"))

    def start(self, place: Place) -> Delivery:
        """Run one uvicorn process in this interpreter, its keys in Redis. Raises ServerFailed."""
        with delivering_to(self._engines, place, redis=True) as (engines, own):
            before, words, port = engines.written(), place.folder / "words", free_port()
            with Redis.from_url(engines.redis_url) as redis:
                redis.mset({key: f"account-{at} ACCEPT" for at, key in enumerate(self.keys)})
            argv = ["env", f"KAFKA_BOOTSTRAP={engines.bootstrap}", f"REDIS_URL={engines.redis_url}"]
            argv += [f"LINGER_MS={self._linger_ms}", sys.executable, "-m", "uvicorn"]
            argv += ["loadtest.peers.starlette_route:app", "--port", str(port), "--http=httptools", "--loop=uvloop"]
            argv += ["--lifespan=on", "--no-access-log", "--log-level=warning"]
            running = Delivery(launch(argv, words, place.cores.server), port, words, own=own)
            running.kept = lambda: engines.written() - before
            await_answer(running)
        return running
