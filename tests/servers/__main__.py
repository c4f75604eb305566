"""`make servers`: one Redis, one PostgreSQL, one Kafka and a place for chDB, until Ctrl-C; prints the four URLs."""

import contextlib
import signal
import sys
import tempfile
from pathlib import Path

from tests.servers import KafkaCluster, PostgresServer, RedisServer, ServerMissing


def main() -> int:
    """Exit code: 0 stopped, 3 where a server cannot be had."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    with tempfile.TemporaryDirectory(prefix="pixelgate-servers-") as name, contextlib.ExitStack() as running:
        folder = Path(name)
        try:
            redis, kafka = RedisServer(folder / "redis"), KafkaCluster(folder / "kafka")
            postgres = PostgresServer(folder / "postgres", fsync="on")
        except ServerMissing as missing:
            print(f"pixelgate: {missing}", file=sys.stderr)
            return 3
        for server in (redis, postgres, kafka):
            running.callback(server.stop)
            server.start()
        print(f"export REDIS_URL={redis.url}")
        print(f"export KAFKA_BOOTSTRAP={kafka.bootstrap}")
        print(f"export DATABASE_URL={postgres.database()}")
        print(f"export CLICKHOUSE_URL=chdb://{folder / 'clickhouse'}")
        print("Ctrl-C stops them and removes what they hold.", flush=True)
        signal.pause()
    return 0


if __name__ == "__main__":
    sys.exit(main())
