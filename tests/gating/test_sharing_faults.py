"""I5 over Redis when it counts: split in two, a leader frozen, a worker that starts in the middle of a flip."""

import asyncio
import contextlib
import secrets
import signal

import pytest
import redis.asyncio

from collector.gate import Gate
from collector.outcome import Outcome
from gating.datadir import DataDirectory
from gating.gateway import Gateway
from gating.ledger import Ledger
from gating.redis_feed import RedisFeed
from tests.eventually import aeventually
from tests.gating.test_sharing import OPERATOR, Hosts, cancelled, command, outcome
from tests.processes import Process, answers
from tests.servers import RedisServer

FLIPS = 12


class Switch:
    """A way to Redis that a test can lay to another server: whoever is connected is cut off and comes again there."""

    def __init__(self, port):
        self.target = port
        self._open = set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.url = f"redis://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/0"
        return self

    async def __aexit__(self, *_):
        self._server.close()
        self.lay(self.target)

    def lay(self, port):
        self.target = port
        for writer in self._open:
            writer.transport.abort()

    async def _carry(self, reader, writer):
        with contextlib.suppress(OSError):
            there, out = await asyncio.open_connection("127.0.0.1", self.target)
            ends = {writer, out}
            self._open |= ends
            try:
                await asyncio.gather(_copy(reader, out), _copy(there, writer))
            finally:
                self._open -= ends
                for one in ends:
                    one.close()


async def _copy(reader, writer):
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@pytest.fixture
def two_halves(tmp_path, redis_server):  # redis_server: skips where Redis cannot be had
    """A master and its replica, which nobody has told of a failover yet."""
    master = RedisServer(tmp_path / "master")
    master.start()
    replica = RedisServer(tmp_path / "replica", "--replicaof", "127.0.0.1", str(master.port), name="replica")
    replica.start()
    yield master, replica
    replica.stop()
    master.stop()


async def a_worker(stack, url):
    gate = Gate()
    feed = RedisFeed(gate, url=url, worker=f"worker-{secrets.token_hex(16)}")
    await feed.load()
    stack.push_async_callback(cancelled, asyncio.create_task(feed.run()))
    return gate


def must_not_enforce_what_was_replaced(gates, key, expected):
    """I5: leased, a worker goes by the new status; without a lease it verifies nothing."""
    for gate in gates:
        seen = outcome(gate, key)
        assert seen in (expected, Outcome.UNVERIFIED), (seen, expected, gate.leased)


async def test_a_redis_split_in_two_verifies_nothing_on_the_half_that_no_leader_reaches(
    tmp_path, postgres_url, two_halves
):
    """Both halves take writes, the leader is on one, a worker on each: nothing enforced is claimed that is not."""
    master, replica = two_halves
    hosts = Hosts(tmp_path, postgres_url, master.url)
    async with Switch(master.port) as way, contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(hosts.close)
        leader = await hosts.service()
        here, there = await a_worker(stack, master.url), await a_worker(stack, way.url)
        made = await leader.service.create_account("shop", rulebook="default", who=OPERATOR)
        key = made["write_key"]
        await aeventually(lambda: here.leased and there.leased)

        async with _client(replica) as client:
            await client.replicaof("NO", "ONE")
        way.lay(replica.port)
        for verb, expected in (("pause", Outcome.HIDDEN), ("resume", Outcome.ACCEPTED), ("pause", Outcome.HIDDEN)):
            flipped = await leader.service.do("shop", command(verb))
            assert flipped["enforced"]
            must_not_enforce_what_was_replaced((here, there), key, expected)
        assert here.leased
        assert not there.leased

        way.lay(master.port)  # the split is healed
        await aeventually(lambda: there.leased and outcome(there, key) == Outcome.HIDDEN, 20)


async def test_a_worker_that_starts_in_the_middle_of_a_flip_never_enforces_what_was_replaced(
    tmp_path, postgres_url, redis_url
):
    hosts = Hosts(tmp_path, postgres_url, redis_url)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(hosts.close)
        leader = await hosts.service()
        made = await leader.service.create_account("shop", rulebook="default", who=OPERATOR)
        gates = []
        for n in range(FLIPS):
            starting = asyncio.create_task(a_worker(stack, redis_url))
            verb, expected = (("pause", Outcome.HIDDEN), ("resume", Outcome.ACCEPTED))[n % 2]
            flipped = await leader.service.do("shop", command(verb))
            assert flipped["enforced"]
            must_not_enforce_what_was_replaced(gates, made["write_key"], expected)
            gates.append(await starting)
            must_not_enforce_what_was_replaced(gates, made["write_key"], expected)
        await aeventually(lambda: all(gate.leased for gate in gates))


async def test_a_leader_that_was_frozen_and_wakes_after_another_took_over_claims_nothing(
    tmp_path, postgres_url, redis_url
):
    """Two gating processes; the frozen one goes on in the middle of whatever it did."""
    engines = {"database_url": postgres_url, "redis_url": redis_url, "admin_port": 0}
    folders = [tmp_path / "one", tmp_path / "two"]
    async with contextlib.AsyncExitStack() as stack:
        first = await _gating(stack, folders[0], engines)
        await aeventually(lambda: _term(postgres_url) == 1, 20)
        second = await _gating(stack, folders[1], engines)
        gate = await a_worker(stack, redis_url)
        made = await asyncio.to_thread(_via(folders[0]).create_account, "shop", rulebook="default")
        key = made["write_key"]
        await aeventually(lambda: gate.leased)

        first.signal(signal.SIGSTOP)
        await aeventually(lambda: _term(postgres_url) == 2, 30)
        flipped = await asyncio.to_thread(_via(folders[1]).do, "shop", "pause", timeout_seconds=20)
        assert flipped["enforced"]
        must_not_enforce_what_was_replaced([gate], key, Outcome.HIDDEN)
        await aeventually(lambda: gate.leased, 20)

        first.signal(signal.SIGCONT)
        for n in range(6):  # by either, while the one that woke finds out
            verb, expected = (("resume", Outcome.ACCEPTED), ("pause", Outcome.HIDDEN))[n % 2]
            flipped = await asyncio.to_thread(_via(folders[n % 2]).do, "shop", verb, timeout_seconds=20)
            assert flipped["enforced"]
            must_not_enforce_what_was_replaced([gate], key, expected)
        assert first.must_live()
        assert second.must_live()
        assert _term(postgres_url) == 2


async def _gating(stack, folder, engines):
    process = Process(["-m", "gating"], folder, folder.parent / f"{folder.name}.log", **engines)
    stack.callback(process.kill)
    await aeventually(lambda: process.must_live() and answers(folder / "gating.sock"), 30)
    return process


def _via(folder):
    return Gateway.open(DataDirectory.open(folder))


def _term(url):
    with Ledger.open_reading(url) as ledger:
        return ledger.lead().term


def _client(server):
    return redis.asyncio.Redis(port=server.port)
