"""The permissions that docs/redis.md names are enough, and a worker's let it change nothing."""

import re

import pytest
import redis
from redis.exceptions import NoPermissionError

from gating import redis_keys
from gating.ledger import Ledger, sqlite_url
from tests.eventually import aeventually
from tests.feeds import RedisHouse, a_worker
from tests.processes import ROOT
from tests.servers.process import ServerMissing
from tests.servers.redis import RedisServer

DOCUMENTED = re.findall(
    r"^ACL SETUSER (.+)$", (ROOT / "docs" / "redis.md").read_text(encoding="utf-8"), re.MULTILINE
)  # fmt: skip


@pytest.fixture
def server(tmp_path):
    try:
        server = RedisServer(tmp_path / "redis")
    except ServerMissing as missing:
        pytest.skip(str(missing))
    server.start()
    with redis.Redis(port=server.port) as admin:
        for words in DOCUMENTED:
            admin.execute_command("ACL", "SETUSER", *words.split())
    yield server
    server.stop()


async def test_the_documented_users_can_do_their_work_and_a_worker_nothing_else(server, tmp_path):
    """DESIGN 10"""
    assert [words.split()[0] for words in DOCUMENTED] == ["pixelgate-gating", "pixelgate-worker"]
    gating = f"redis://pixelgate-gating:SECRET@127.0.0.1:{server.port}/0"
    worker = f"redis://pixelgate-worker:SECRET@127.0.0.1:{server.port}/0"
    with Ledger.open(sqlite_url(tmp_path / "ledger.sqlite")) as ledger:
        async with RedisHouse(ledger, gating, client=lambda: redis.Redis(port=server.port)) as house:
            house.announce(house.desk.open("shop"))
            await house.settled()
            house.url = worker
            async with a_worker(house) as (follower, feed):
                await aeventually(lambda: follower.leased)
                house.announce(made := house.desk.do("pause"))
                await house.enforced(made.version)
                await house.begin_anew()
                await aeventually(lambda: follower.leased and follower.epoch == ledger.head().epoch)
                assert feed.trouble is None
            assert house.relay.status().trouble is None
    with redis.Redis.from_url(worker) as client:
        for words in (
            ("SET", redis_keys.head_of("e"), "1"), ("DEL", redis_keys.POINTER), ("FLUSHALL",), ("GET", "somebody's"),
            ("EVAL", "return 1", "0"), ("PUBLISH", redis_keys.answers_to("another"), "x"), ("CONFIG", "GET", "*"),
        ):  # fmt: skip
            with pytest.raises(NoPermissionError):
                client.execute_command(*words)
