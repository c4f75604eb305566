"""Redis down, frozen, flushed, put back, trimmed, failed over, denying, read-only, full: DESIGN 6's promise each time.

Hits never wait; none is verified under a status that was replaced (I5); afterwards everything is current again (I6).
"""

import asyncio
import contextlib

import pytest
import redis

from collector.gate import Gate
from collector.outcome import Outcome
from gating import redis_keys
from gating.ledger import Ledger, sqlite_url
from gating.saved_map import SavedMap
from tests.eventually import aeventually
from tests.feeds import RedisHouse, a_worker
from tests.servers.process import ServerMissing
from tests.servers.redis import RedisServer, sentinel

SAMPLE_SECONDS = 0.002
USER, PASSWORD = "pixel", "a-secret"
USERS = ("--user", USER, "on", f">{PASSWORD}", "~*", "&*", "+@all")


class Witness:
    """Asks the gate for a verdict again and again, as hits would, and remembers what it must never hear any more."""

    def __init__(self, follower, key):
        self.follower, self.key = follower, key
        self.asked = 0
        self.replaced = None

    @property
    def outcome(self):
        self.asked += 1
        return self.follower.decide(self.key, *self.follower.tick())[0]

    async def __aenter__(self):
        self._task = asyncio.create_task(self._ask())
        return self

    async def __aexit__(self, *_):
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _ask(self):
        while True:
            assert self.outcome != self.replaced, "verified under a status that was replaced"
            await asyncio.sleep(SAMPLE_SECONDS)

    def check(self):
        if self._task.done():
            self._task.result()


class Place:
    """A Redis of the test's own. `admin` speaks to it past whatever the fault does to others."""

    def __init__(self, folder):
        self.server = RedisServer(folder, *USERS)
        self.url = f"redis://{USER}:{PASSWORD}@127.0.0.1:{self.server.port}/0"

    def client(self):
        return redis.Redis(port=self.server.port)

    def admin(self, *words):
        with self.client() as client:
            return client.execute_command(*words)


@pytest.fixture
def place(tmp_path):
    try:
        place = Place(tmp_path / "redis")
    except ServerMissing as missing:
        pytest.skip(str(missing))
    place.server.start()
    yield place
    place.server.stop()


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(sqlite_url(tmp_path / "ledger.sqlite")) as ledger:
        yield ledger


def down(place):
    place.server.kill()
    return place.server.start


def frozen(place):
    place.server.freeze()
    return place.server.thaw


def flushed(place):
    place.admin("FLUSHALL")


def flushed_again_and_again(place):
    async def flush():
        for _ in range(20):
            place.admin("FLUSHALL")
            await asyncio.sleep(SAMPLE_SECONDS * 25)

    flushing = asyncio.get_running_loop().create_task(flush())
    return flushing.done


def denying(place):
    place.admin("ACL", "SETUSER", USER, "-@all")
    place.admin("CLIENT", "KILL", "TYPE", "normal")
    return lambda: place.admin("ACL", "SETUSER", USER, "+@all")


def denying_writes(place):
    place.admin("ACL", "SETUSER", USER, "-evalsha")
    return lambda: place.admin("ACL", "SETUSER", USER, "+evalsha")


def denying_channels(place):
    place.admin("ACL", "SETUSER", USER, "resetchannels")
    return lambda: place.admin("ACL", "SETUSER", USER, "allchannels")


def password_changed(place):
    place.admin("ACL", "SETUSER", USER, "resetpass", ">another")
    place.admin("CLIENT", "KILL", "TYPE", "normal")
    return lambda: place.admin("ACL", "SETUSER", USER, f">{PASSWORD}")


def read_only(place):
    place.admin("REPLICAOF", "127.0.0.1", "1")
    return lambda: place.admin("REPLICAOF", "NO", "ONE")


def full(place):
    place.admin("CONFIG", "SET", "maxmemory", "1mb")
    return lambda: place.admin("CONFIG", "SET", "maxmemory", "0")


def pointer_of_another_type(place):
    place.admin("DEL", redis_keys.POINTER)
    place.admin("SET", redis_keys.POINTER, "somebody's")


def cut_off_and_trimmed(place):
    epoch = place.admin("HGET", redis_keys.POINTER, "epoch").decode()
    place.admin("CLIENT", "KILL", "TYPE", "normal")
    place.admin("XTRIM", redis_keys.stream_of(epoch), "MAXLEN", "0")


def older_dump(place):
    """What `before` saved, put back."""
    place.server.kill()
    return place.server.start


FAULTS = [
    down, frozen, flushed, flushed_again_and_again, denying, denying_writes, denying_channels, password_changed,
    read_only, full, pointer_of_another_type, cut_off_and_trimmed, older_dump,
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
async def test_no_fault_of_redis_has_a_hit_wait_or_verified_under_a_replaced_status(place, ledger, fault):
    """I3, I5, I6"""
    async with RedisHouse(ledger, place.url, client=place.client) as house:
        key = house.desk.open("shop").keys[0].write_key.encode()
        house.announce(house.desk.open("other"))
        await house.settled()
        async with a_worker(house) as (follower, _), Witness(follower, key) as witness:
            await aeventually(lambda: follower.leased)
            if fault is older_dump:
                place.admin("SAVE")
            for command in ("pause", "resume", "pause", "resume"):
                house.announce(made := house.desk.do(command))
            await house.enforced(made.version)

            repair = fault(place)
            asked = witness.asked
            made = house.desk.do("pause")
            house.announce(made)
            await house.enforced(made.version)
            witness.replaced = Outcome.ACCEPTED
            await aeventually(lambda: witness.asked > asked + 100)
            witness.check()
            if repair is not None:
                repair()
            await aeventually(lambda: follower.leased and follower.version == made.version, 30)
            assert witness.outcome == Outcome.HIDDEN

            witness.replaced = None
            made = house.desk.do("resume")
            house.announce(made)
            await house.enforced(made.version)
            await aeventually(lambda: follower.version == made.version)
            witness.replaced = Outcome.HIDDEN
            await aeventually(lambda: witness.outcome == Outcome.ACCEPTED)
            witness.check()
            await house.settled()
            assert house.relay.status().trouble is None


async def test_an_older_dump_put_back_is_replayed_and_no_worker_moves_backwards(place, ledger):
    """DESIGN 6: within an epoch a worker never moves backwards."""
    async with RedisHouse(ledger, place.url, client=place.client) as house:
        house.announce(house.desk.open("shop"))
        await house.settled()
        place.admin("SAVE")
        async with a_worker(house) as (follower, feed):
            await aeventually(lambda: follower.leased)
            for command in ("pause", "resume", "pause"):
                house.announce(made := house.desk.do(command))
            await aeventually(lambda: follower.version == made.version)
            versions, epoch = [follower.version], follower.epoch

            def look():
                versions.append(follower.version)
                return follower.version == made.version + 1

            place.server.kill()
            place.server.start()
            house.announce(house.desk.do("resume"))
            await aeventually(look)
            assert versions == sorted(versions)
            assert (follower.epoch, ledger.head().epoch) == (epoch, epoch)
            assert feed.snapshots == 1


async def test_a_full_redis_makes_room_for_a_rebuild_by_giving_the_old_state_up(place, ledger):
    async with RedisHouse(ledger, place.url, client=place.client) as house:
        with ledger.begin() as transaction:
            for n in range(4000):
                house.desk.open_in(transaction, f"account-{n}")
        await house.settled()
        used = int(place.admin("INFO", "memory")["used_memory"])
        place.admin("CONFIG", "SET", "maxmemory", str(used + 300_000))
        await house.begin_anew()
        assert place.admin("HLEN", redis_keys.state_of(ledger.head().epoch)) == 4000


async def test_a_worker_starts_with_redis_down_from_its_saved_map(place, ledger, tmp_path):
    """DESIGN 6: a cold start is unverified until a lease is granted; only a final DROP stays one."""
    saved = tmp_path / "saved"
    async with RedisHouse(ledger, place.url, client=place.client) as house:
        key = house.desk.open("shop").keys[0].write_key.encode()
        gone = house.desk.open("gone").keys[0].write_key
        house.announce(house.desk.revoke_key(gone, "gone"))
        await house.settled()
        async with a_worker(house, saved=SavedMap(saved)) as (follower, _):
            await aeventually(lambda: follower.leased)
            house.announce(made := house.desk.do("pause"))
            await aeventually(lambda: follower.version == made.version)
        place.server.kill()
        async with a_worker(house, "again", Gate(), saved=SavedMap(saved)) as (follower, _):
            assert (len(follower), follower.version) == (2, made.version)
            assert follower.decide(key, *follower.tick()) == (Outcome.UNVERIFIED, b"shop")
            assert follower.decide(gone.encode(), *follower.tick())[0] == Outcome.DROPPED_REVOKED_KEY
            place.server.start()
            house.announce(house.desk.do("resume"))
            await aeventually(lambda: follower.leased, 30)
            assert follower.decide(key, *follower.tick())[0] == Outcome.ACCEPTED


@pytest.mark.parametrize("fault", [down, frozen], ids=lambda fault: fault.__name__)
async def test_a_start_ends_though_redis_is_away(place, ledger, fault):
    async with RedisHouse(ledger, place.url, client=place.client) as house:
        house.announce(house.desk.open("shop"))
        await house.settled()
        repair = fault(place)
        async with a_worker(house) as (follower, feed):
            assert not follower.loaded
            assert feed.trouble
            repair()
            await aeventually(lambda: follower.leased and follower.loaded, 30)


# ---- failing over ----------------------------------------------------------------------------------------------------


class Pair:
    """A master, its replica, and a Sentinel that fails over."""

    def __init__(self, folder):
        self.one = RedisServer(folder / "one", name="one")
        self.two = RedisServer(folder / "two", "--replicaof", f"127.0.0.1 {self.one.port}", name="two")
        self.watch = sentinel(folder / "sentinel", "mymaster", self.one.port)
        self.url = f"redis+sentinel://127.0.0.1:{self.watch.port}/mymaster/0"

    @property
    def servers(self):
        return self.one, self.two, self.watch

    def client(self):
        return redis.Redis(port=(self.one if self.one.running else self.two).port)

    def info(self, server, section):
        with redis.Redis(port=server.port) as client:
            return client.info(section)


@pytest.fixture
async def pair(tmp_path):
    try:
        pair = Pair(tmp_path)
    except ServerMissing as missing:
        pytest.skip(str(missing))
    try:
        for server in pair.servers:
            server.start()
        with redis.Redis(port=pair.watch.port) as watch:
            await aeventually(lambda: len(watch.execute_command("SENTINEL", "REPLICAS", "mymaster")) == 1, 30)
        await aeventually(lambda: pair.info(pair.two, "replication")["master_link_status"] == "up", 30)
        yield pair
    finally:
        for server in reversed(pair.servers):
            server.stop()


@pytest.mark.parametrize("lost", [False, True], ids=["with every write", "without the last writes"])
async def test_a_failover_loses_no_flip(pair, ledger, lost):
    """I5, I6: what a promoted replica had not got yet is replayed, under the same epoch."""
    async with RedisHouse(ledger, pair.url, client=pair.client) as house:
        key = house.desk.open("shop").keys[0].write_key.encode()
        house.announce(house.desk.open("other"))
        async with a_worker(house) as (follower, _), Witness(follower, key) as witness:
            await aeventually(lambda: follower.leased, 30)
            epoch = follower.epoch
            behind = pair.info(pair.two, "replication")["slave_repl_offset"]
            await aeventually(lambda: pair.info(pair.two, "replication")["slave_repl_offset"] >= behind)
            if lost:
                pair.two.freeze()
            house.announce(made := house.desk.do("pause"))
            await house.enforced(made.version)
            await aeventually(lambda: follower.version == made.version)
            witness.replaced = Outcome.ACCEPTED
            pair.one.kill()
            if lost:
                pair.two.thaw()
            await aeventually(lambda: pair.info(pair.two, "replication")["role"] == "master", 60)
            await aeventually(lambda: follower.leased, 30)
            assert witness.outcome == Outcome.HIDDEN
            witness.replaced = None
            house.announce(made := house.desk.do("resume"))
            await aeventually(lambda: follower.version == made.version, 30)
            await house.enforced(made.version)
            witness.check()
            assert (follower.epoch, ledger.head().epoch) == (epoch, epoch)
            with redis.Redis(port=pair.two.port) as client:
                await aeventually(lambda: client.get(redis_keys.head_of(epoch)) == b"%d" % made.version)
                entries = [redis_keys.version_of(entry) for entry, _ in client.xrange(redis_keys.stream_of(epoch))]
            assert entries == list(range(entries[0], made.version + 1))
