"""Both forms of the feed, whole: a real ledger, what leads it, and workers (a gate and its feed) that follow.

The embedded form is led by the service's own `LocalLead`; the scale-out form by a small granter that answers reports
over Redis as a leader does, with the relay beside it.
"""

import asyncio
import contextlib

import redis
from redis.exceptions import RedisError

from collector.gate import Gate
from gating import redis_keys
from gating.clock import Clock, boot_ns
from gating.datagram import Answer, Report, decode, encode
from gating.fence import Fence
from gating.ledger_feed import LedgerFeed
from gating.local_lead import LocalLead
from gating.redis_client import open_redis
from gating.redis_feed import RedisFeed
from gating.redis_line import Line
from gating.relay import Relay
from tests.eventually import aeventually
from tests.gating.ledger.desk import Desk

TERM_NS = 3600 * 10**9


class Granter:
    """Answers reports over Redis: the leader as far as the relay and the workers can see."""

    def __init__(self, url, ledger, *, clock=None, holder="tests"):
        self.redis = open_redis(url)
        self.ledger, self.clock = ledger, clock or Clock()
        self.term = ledger.take_term(holder, boot_ns(), TERM_NS, "boot").number
        self.epoch, self.head = ledger.head().epoch, ledger.head().version
        self.fence = Fence(boot_ns(), ())
        self.may_grant, self.advances = True, []

    def advance(self, version):
        self.head = max(self.head, version)
        self.advances.append(version)

    def restart(self, epoch):
        self.epoch = epoch
        self.fence.forget_versions()

    async def run(self):
        while True:
            hears, says = Line(self.redis), Line(self.redis)
            try:
                await hears.connect()
                await says.connect()
                await hears.call("SUBSCRIBE", redis_keys.REPORTS)
                while True:
                    message = await hears.receive(1)
                    if message is None:
                        await says.call("PING")
                    elif message[0] == b"message":
                        await self._answer(decode(message[2]), says)
            except RedisError:
                await asyncio.sleep(0.05)
            finally:
                await hears.close()
                await says.close()

    async def _answer(self, report, says):
        assert isinstance(report, Report)
        version = report.version if report.epoch == self.epoch else 0
        self.fence.report(report.worker, version, boot_ns())
        if self.may_grant:
            self.fence.granted(report.worker, self.head, boot_ns())
            answer = Answer(report.number, self.epoch, self.head, self.clock.now_us())
            await says.call("PUBLISH", redis_keys.answers_to(report.worker), encode(answer))

    async def enforced(self, version):
        await aeventually(lambda: not self.fence.missing(version, boot_ns()), 20)


async def in_turn(work):
    """What writes to the ledger runs where the test's own writes do."""
    return work()


class RedisHouse:
    """Scale-out: relay and granter over the Redis of `url`. Changed and re-made in place by the fault tests."""

    def __init__(self, ledger, url, *, client=None, **relay):
        """client: makes one that looks at the server, whatever `url` may do there."""
        self.ledger, self.url, self.desk = ledger, url, Desk(ledger)
        self.client = client or (lambda: redis.Redis.from_url(url))
        self._relay_options = relay
        self.clock = Clock()

    async def __aenter__(self):
        self.leader = Granter(self.url, self.ledger, clock=self.clock)
        self.relay = Relay(
            self.ledger, open_redis(self.url), self.leader, in_turn=in_turn, **self._relay_options
        )  # fmt: skip
        self._tasks = [asyncio.create_task(self.relay.run()), asyncio.create_task(self.leader.run())]
        return self

    async def __aexit__(self, *_):
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def announce(self, *changes):
        self.leader.advance(changes[-1].version)
        self.relay.wake(changes)

    async def settled(self):
        """Redis stands at the ledger's head, in its epoch."""
        with self.client() as server:

            def stands():
                head = self.ledger.head()
                return (
                    server.hget(redis_keys.POINTER, "epoch") == head.epoch.encode()
                    and server.get(redis_keys.head_of(head.epoch)) == b"%d" % head.version
                )

            await aeventually(stands, 20)

    async def enforced(self, version):
        await self.leader.enforced(version)

    def grant(self, may):
        self.leader.may_grant = may

    async def begin_anew(self):
        """Another epoch, with the same accounts."""
        with self.ledger.begin() as transaction:
            transaction.new_epoch()
        await self.settled()

    async def forget_announcements(self):
        """Whoever did not hear the last changes will not hear them any more."""
        await self.settled()
        with self.client() as server:
            server.xtrim(redis_keys.stream_of(self.ledger.head().epoch), 0, approximate=False)

    def feed(self, follower, name, **options):
        return RedisFeed(follower, url=self.url, worker=name, **options)


class EmbeddedHouse:
    """One host: the ledger's file and datagrams."""

    def __init__(self, ledger, path, directory):
        self.ledger, self.path, self.directory, self.desk = ledger, path, directory, Desk(ledger)
        self.clock, self.may_grant = Clock(), True

    async def __aenter__(self):
        head = self.ledger.head()
        self.lead = LocalLead(
            self.directory, epoch=head.epoch, head=head.version, clock=self.clock, may_grant=lambda: self.may_grant
        ).__enter__()
        return self

    async def __aexit__(self, *_):
        self.lead.__exit__(None, None, None)

    def announce(self, *changes):
        self.lead.announce(list(changes))

    async def settled(self):
        """Nothing stands between the ledger and a worker here."""

    async def enforced(self, version):
        await self.lead.enforced(version, 20)

    def grant(self, may):
        self.may_grant = may

    async def begin_anew(self):
        await self.__aexit__()
        with self.ledger.begin() as transaction:
            transaction.new_epoch()
        await self.__aenter__()

    async def forget_announcements(self):
        """A datagram is gone once it was sent."""

    def feed(self, follower, name, **options):
        return LedgerFeed(follower, ledger=self.path, directory=self.directory, worker=name, **options)


@contextlib.asynccontextmanager
async def a_worker(house, name="worker-1", follower=None, **options):
    """A gate that is fed for as long as the block runs."""
    follower = follower or Gate()
    feed = house.feed(follower, name, **options)
    await feed.load()
    running = asyncio.create_task(feed.run())
    try:
        yield follower, feed
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
