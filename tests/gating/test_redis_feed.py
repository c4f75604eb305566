"""What only the feed over Redis does: pieces, the saved map, and what Redis may answer while a state is read."""

import asyncio
import contextlib

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from collector.gate import Gate
from gating import redis_keys
from gating.backoff import Backoff
from gating.feed import KeyState, StatusChange
from gating.ledger import Ledger, sqlite_url
from gating.redis_client import open_redis
from gating.redis_feed import RedisFeed
from gating.redis_line import Line
from gating.redis_state import SLICE_BYTES, SLICE_CHANGES, NotNow, RedisState, slices
from gating.saved_map import SavedMap
from gating.status import Status, Verdict
from tests.eventually import aeventually
from tests.feeds import RedisHouse, a_worker

EPOCH = "e"


def a_change(version, account, keys=1):
    states = tuple(KeyState(f"key-{account}-{n}") for n in range(keys))
    return StatusChange(version, account, 0, Status.ACTIVE, Verdict.ACCEPT, None, None, False, states)


@pytest.fixture
def server(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
async def state(redis_url):
    line = Line(open_redis(redis_url))
    await line.connect()
    yield RedisState(line)
    await line.close()


def put(server, changes, epoch=EPOCH, head=None):
    """A whole state, as the relay leaves it."""
    server.hset(redis_keys.state_of(epoch), mapping={change.account: change.encode() for change in changes})
    server.set(redis_keys.head_of(epoch), changes[-1].version if head is None else head)
    server.hset(redis_keys.POINTER, "epoch", epoch)


@given(st.lists(st.integers(0, SLICE_BYTES * 2), max_size=500))
def test_pieces_are_bounded_and_leave_nothing_out(sizes):
    changes = [bytes(size // 50) * 50 for size in sizes]
    pieces = list(slices(changes))
    assert [change for piece in pieces for change in piece] == changes
    for piece in pieces:
        assert 0 < len(piece) <= SLICE_CHANGES
        assert len(piece) == 1 or sum(map(len, piece)) <= SLICE_BYTES


async def test_a_state_of_many_accounts_comes_whole(state, server):
    changes = [a_change(n + 1, f"account-{n}", keys=1 + n % 40) for n in range(3000)]
    put(server, changes)
    epoch, head = await state.pointed()
    found = [change async for piece in state.pieces(epoch, head) for change in piece]
    assert {StatusChange.decode(change) for change in found} == set(changes)


@pytest.mark.parametrize(
    "harm",
    [
        lambda server: put(server, [a_change(9000, "other")], epoch="other"),
        lambda server: server.flushall(),
        lambda server: server.hdel(redis_keys.POINTER, "epoch"),
        lambda server: server.delete(redis_keys.head_of(EPOCH)),
        lambda server: server.set(redis_keys.head_of(EPOCH), 3),
    ],
    ids=["another epoch", "flushed", "no pointer", "no head", "an older copy"],
)
async def test_a_state_that_went_while_it_was_read_is_not_taken_for_whole(state, server, harm):
    put(server, [a_change(n + 1, f"account-{n}") for n in range(3000)])
    pieces = state.pieces(*await state.pointed())
    await anext(pieces)
    harm(server)
    with pytest.raises(NotNow):
        async for _ in pieces:
            pass


async def test_a_map_that_an_answer_began_anew_while_the_state_was_read_does_not_stand(redis_url, server, monkeypatch):
    """I5: what was applied before is gone from it."""
    put(server, [a_change(n + 1, f"account-{n}") for n in range(3000)])
    follower = Gate()
    feed = RedisFeed(follower, url=redis_url, worker="w")
    taken = 0
    apply_page = follower.apply_page

    def apply(page):
        nonlocal taken
        taken += len(page)
        if taken == 1000 or taken - len(page) < 1000 <= taken:
            follower.restart(EPOCH)
            feed._lease.lost()
        apply_page(page)

    monkeypatch.setattr(follower, "apply_page", apply)
    await feed.load()
    assert not follower.loaded
    assert "anew" in feed.trouble


async def test_a_saved_map_that_has_grown_is_written_anew_while_flips_arrive(tmp_path, redis_url, monkeypatch):
    monkeypatch.setattr("gating.redis_feed.COMPACT_LOOK_SECONDS", 0.01)
    monkeypatch.setattr("gating.saved_map.COMPACT_BYTES_MIN", 2_000)
    path = tmp_path / "saved"
    with Ledger.open(sqlite_url(tmp_path / "ledger.sqlite")) as ledger:
        async with RedisHouse(ledger, redis_url) as house:
            house.announce(house.desk.open("shop"))
            await house.settled()
            async with a_worker(house, saved=SavedMap(path)) as (follower, feed):
                await aeventually(lambda: follower.leased)
                bases = set()
                for _ in range(60):
                    made = house.desk.do("pause"), house.desk.do("resume")
                    house.announce(*made)
                    await aeventually(lambda version=made[-1].version: follower.version == version)
                    bases.add(path.stat().st_ino)
                await aeventually(lambda: not feed._saved.wants_compaction and feed._saved_stands)
                assert len(bases) > 1
                assert path.stat().st_size < 10_000
                assert feed.snapshots == 1
            again = Gate()
            assert await SavedMap(path).load(again)
            assert (again.version, again.epoch) == (follower.version, follower.epoch)
            assert len(again) == len(follower) == 1


async def test_a_foreign_entry_in_the_stream_does_not_move_the_map(redis_url, server):
    put(server, [a_change(1, "shop")])
    follower = Gate()
    feed = RedisFeed(follower, url=redis_url, worker="w")
    await feed.load()
    running = asyncio.create_task(feed.run())
    server.xadd(redis_keys.stream_of(EPOCH), {"c": b"not a change"}, id="2-0")
    await aeventually(lambda: feed.trouble)
    assert follower.version == 1
    server.delete(redis_keys.stream_of(EPOCH))
    server.xadd(redis_keys.stream_of(EPOCH), {"c": a_change(2, "shop").encode()}, id="2-0")
    await aeventually(lambda: follower.version == 2 and not feed.trouble)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def test_waits_grow_to_a_limit_and_are_drawn_from_nothing_up():
    """Full jitter: clients that lost the same server come back spread out."""
    drawn = []
    backoff = Backoff(0.1, 1.0, lambda low, high: drawn.append((low, high)) or high)
    waits = [backoff.next_seconds() for _ in range(100)]
    assert waits[:5] == [0.1, 0.2, 0.4, 0.8, 1.0]
    assert set(waits[4:]) == {1.0}
    assert {low for low, _ in drawn} == {0}
    backoff.reset()
    assert backoff.next_seconds() == 0.1


@contextlib.asynccontextmanager
async def following(redis_url):
    """A worker that follows with no leader about."""
    follower = Gate()
    feed = RedisFeed(follower, url=redis_url, worker="w")
    await feed.load()
    running = asyncio.create_task(feed.run())
    try:
        yield follower, feed
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def test_a_gap_in_the_stream_has_the_state_paged_before_anything_after_it_counts(redis_url, server):
    """I5, DESIGN 6"""
    put(server, [a_change(1, "shop")])
    async with following(redis_url) as (follower, feed):
        assert follower.version == 1
        with server.pipeline() as step:  # at once, as the relay's own steps are
            step.hset(redis_keys.state_of(EPOCH), "missed", a_change(2, "missed").encode())
            step.hset(redis_keys.state_of(EPOCH), "seen", a_change(3, "seen").encode())
            step.set(redis_keys.head_of(EPOCH), 3)
            step.xadd(redis_keys.stream_of(EPOCH), {"c": a_change(3, "seen").encode()}, id="3-0")
            step.execute()
        await aeventually(lambda: follower.version == 3)
        assert (len(follower), feed.snapshots) == (3, 2)


async def test_a_head_that_the_stream_never_told_of_is_paged(redis_url, server):
    """The stream was trimmed or removed while the worker was cut off."""
    put(server, [a_change(1, "shop")])
    async with following(redis_url) as (follower, feed):
        put(server, [a_change(2, "missed")])
        await aeventually(lambda: follower.version == 2)
        assert (len(follower), feed.snapshots) == (2, 2)


async def test_another_epoch_is_followed_though_no_leader_says_so(redis_url, server):
    put(server, [a_change(7, "shop")])
    async with following(redis_url) as (follower, _):
        put(server, [a_change(2, "other")], epoch="other")
        await aeventually(lambda: (follower.epoch, follower.version) == ("other", 2))
        assert len(follower) == 1


async def test_a_map_that_is_newer_than_the_state_stays(redis_url, server):
    """DESIGN 6: within an epoch a worker never moves backwards."""
    put(server, [a_change(5, "shop")])
    follower = Gate()
    await RedisFeed(follower, url=redis_url, worker="w").load()
    put(server, [a_change(3, "shop")])
    feed = RedisFeed(follower, url=redis_url, worker="again")
    await feed.load()
    assert (follower.version, feed.snapshots, feed._standing) == (5, 0, EPOCH)
