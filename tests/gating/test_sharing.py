"""Two gating services on one PostgreSQL and one Redis, with real feeds: one leads, either flips, and a claim holds."""

import asyncio
import contextlib
import secrets

import pytest
import redis.asyncio

from collector.gate import Gate
from collector.outcome import Outcome
from gating.account import Request
from gating.commits import Waiting
from gating.config import LeadSettings
from gating.datadir import DataDirectory
from gating.errors import InputInvalid, NotEnforcedInTime
from gating.ledger import Who
from gating.redis_feed import RedisFeed
from gating.redis_keys import POINTER
from gating.sharing import Sharing
from gating.status import Role
from tests.eventually import aeventually

OPERATOR = Who("tests", Role.OPERATOR)


class Hosts:
    """Services and workers, each of a host of its own."""

    def __init__(self, folder, database_url, redis_url):
        self.folder, self.redis_url = folder, redis_url
        self.settings = LeadSettings(database_url=database_url, redis_url=redis_url)
        self._stack = contextlib.AsyncExitStack()

    async def service(self, *, contends=True):
        directory = DataDirectory.open(self.folder / secrets.token_hex(4))
        sharing = Sharing(directory, self.settings, contends=contends)
        await self._stack.enter_async_context(sharing)
        return sharing

    async def worker(self):
        gate = Gate()
        feed = RedisFeed(gate, url=self.redis_url, worker=f"worker-{secrets.token_hex(16)}")
        await feed.load()
        task = asyncio.create_task(feed.run())
        self._stack.push_async_callback(cancelled, task)
        return gate

    async def close(self):
        await self._stack.aclose()


async def cancelled(task):
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def hosts(tmp_path, postgres_url, redis_url):
    hosts = Hosts(tmp_path, postgres_url, redis_url)
    yield hosts
    await hosts.close()


def command(name):
    return Request(name, Role.OPERATOR, actor="tests")


def outcome(gate, key):
    return gate.decide(key.encode(), *gate.tick())[0]


async def test_one_of_two_services_leads_and_a_flip_by_either_is_enforced_by_every_worker(hosts):
    """I5, DESIGN 6: the one that does not lead waits for what the leader notes under its term."""
    first = await hosts.service()
    await aeventually(lambda: first.leads)
    second = await hosts.service()
    workers = [await hosts.worker() for _ in range(3)]
    made = await first.service.create_account("shop", rulebook="default", who=OPERATOR)
    await aeventually(lambda: all(gate.leased for gate in workers))
    for service, verb, expected in ((first, "pause", Outcome.HIDDEN), (second, "resume", Outcome.ACCEPTED)):
        flipped = await service.service.do("shop", command(verb))
        assert (flipped["enforced"], flipped["workers"]) == (True, 3)
        assert [outcome(gate, made["write_key"]) for gate in workers] == [expected] * 3
    assert (first.leads, second.leads) == (True, False)


async def test_a_service_that_never_leads_flips_too_and_needs_no_redis(hosts, postgres_url):
    """A command line on a host without a gating process."""
    leader = await hosts.service()
    gate = await hosts.worker()
    made = await leader.service.create_account("shop", rulebook="default", who=OPERATOR)
    await aeventually(lambda: gate.leased)
    hosts.settings = LeadSettings(database_url=postgres_url)
    line = await hosts.service(contends=False)
    flipped = await line.service.do("shop", command("cancel"))
    assert flipped["enforced"]
    assert outcome(gate, made["write_key"]) == Outcome.DROPPED_STATUS


async def test_with_nobody_leading_a_flip_is_committed_and_says_that_it_is_not_enforced(hosts):
    """CONTRACT: exit 4, the flip is committed."""
    line = await hosts.service(contends=False)
    with pytest.raises(NotEnforcedInTime, match=r"version 1 is committed.*leading gating service"):
        await line.service.create_account("shop", rulebook="default", who=OPERATOR, waiting=Waiting(True, 0.2))
    assert (await line.service.account("shop"))["version"] == 1


async def test_the_second_service_takes_over_from_one_that_stopped_and_lets_a_whole_lease_pass(hosts):
    first = await hosts.service()
    await aeventually(lambda: first.leads)
    second = await hosts.service()
    gate = await hosts.worker()
    made = await first.service.create_account("shop", rulebook="default", who=OPERATOR)
    await first.__aexit__(None, None, None)
    await aeventually(lambda: second.leads, 20)
    flipped = await second.service.do("shop", command("pause"))
    assert flipped["enforced"]
    assert outcome(gate, made["write_key"]) in (Outcome.HIDDEN, Outcome.UNVERIFIED)
    await aeventually(lambda: gate.leased)
    assert outcome(gate, made["write_key"]) == Outcome.HIDDEN


async def test_after_redis_was_flushed_a_new_epoch_begins_and_flips_are_enforced_again(hosts):
    """I6: the ledger alone is truth."""
    leader = await hosts.service()
    gate = await hosts.worker()
    made = await leader.service.create_account("shop", rulebook="default", who=OPERATOR)
    await aeventually(lambda: gate.leased)
    epoch = gate.epoch
    async with redis.asyncio.Redis.from_url(hosts.redis_url) as client:
        await client.flushall()
        await leader.service.do("shop", command("pause"))
        await aeventually(lambda: gate.leased and outcome(gate, made["write_key"]) == Outcome.HIDDEN, 20)
        assert gate.epoch != epoch
        assert (await client.hget(POINTER, "epoch")).decode() == gate.epoch


async def test_a_postgresql_ledger_is_not_led_without_redis(tmp_path, postgres_url):
    with pytest.raises(InputInvalid, match="REDIS_URL"):
        Sharing(DataDirectory.open(tmp_path / "data"), LeadSettings(database_url=postgres_url), contends=True)
