"""What every feed promises, for both forms: flips arrive, gaps are closed, no lease outruns its map."""

import pytest

from collector.outcome import Outcome
from gating.clock import boot_ns
from gating.fence import LEASE_NS
from gating.ledger import Ledger, sqlite_url
from tests.eventually import aeventually
from tests.feeds import EmbeddedHouse, RedisHouse, a_worker

HOUR_US = 3600 * 10**6


@pytest.fixture(params=["embedded", "redis"])
async def house(request, tmp_path):
    path = tmp_path / "ledger.sqlite"
    with Ledger.open(sqlite_url(path)) as ledger:
        if request.param == "embedded":
            (tmp_path / "feed").mkdir()
            made = EmbeddedHouse(ledger, path, tmp_path / "feed")
        else:
            made = RedisHouse(ledger, request.getfixturevalue("redis_url"))
        async with made:
            yield made


async def open_shops(house, count=1):
    """That many accounts, of which one is `shop`; the key of that one."""
    for n in range(count - 1):
        house.desk.open(f"other-{n}")
    made = house.desk.open("shop")
    house.announce(made)
    await house.settled()
    return made.keys[0].write_key.encode()


def outcome(follower, key):
    return follower.decide(key, *follower.tick())[0]


class Boot:
    """CLOCK_BOOTTIME, which a test may let jump: a machine that slept."""

    def __init__(self):
        self.ahead_ns = 0

    def __call__(self):
        return boot_ns() + self.ahead_ns


async def test_a_worker_takes_the_whole_map_and_is_leased(house):
    key = await open_shops(house, 20)
    async with a_worker(house) as (follower, _):
        assert (len(follower), follower.version) == (20, 20)
        await aeventually(lambda: follower.leased)
        assert outcome(follower, key) == Outcome.ACCEPTED
        assert outcome(follower, b"nobody's") == Outcome.DROPPED_UNKNOWN_KEY


async def test_a_flip_arrives_at_every_worker_and_is_enforced_when_it_says_so(house):
    """I5"""
    key = await open_shops(house)
    async with a_worker(house, "one") as (one, _), a_worker(house, "two") as (two, _):
        await aeventually(lambda: one.leased and two.leased)
        for command, expected in (
            ("pause", Outcome.HIDDEN),
            ("resume", Outcome.ACCEPTED),
            ("suspend", Outcome.DROPPED_STATUS),
        ):
            made = house.desk.do(command)
            house.announce(made)
            await house.enforced(made.version)
            assert [outcome(follower, key) for follower in (one, two)] == [expected] * 2
            assert (one.version, two.version) == (made.version, made.version)


async def test_a_worker_that_missed_a_change_takes_a_snapshot_before_the_next_one_counts(house):
    """I5, DESIGN 6: a gap in predecessors never lets a worker go on from the old map."""
    key = await open_shops(house)
    async with a_worker(house) as (follower, _):
        await aeventually(lambda: follower.leased)
    house.announce(house.desk.do("pause"))
    await house.forget_announcements()
    async with a_worker(house, "again", follower):
        seen = house.desk.open("late")
        house.announce(seen)
        await aeventually(lambda: follower.leased and follower.version == seen.version)
        assert outcome(follower, key) == Outcome.HIDDEN


async def test_another_epoch_makes_the_worker_begin_anew(house):
    """DESIGN 6: the versions of another epoch may mean other changes."""
    key = await open_shops(house, 5)
    async with a_worker(house) as (follower, _):
        await aeventually(lambda: follower.leased)
        before = follower.epoch
        await house.begin_anew()
        await aeventually(lambda: follower.epoch not in ("", before) and follower.leased and follower.version == 5)
        assert outcome(follower, key) == Outcome.ACCEPTED
        made = house.desk.do("pause")
        house.announce(made)
        await aeventually(lambda: follower.version == made.version)
        assert outcome(follower, key) == Outcome.HIDDEN


async def test_without_a_leaders_answer_no_hit_is_verified(house):
    key = await open_shops(house)
    house.grant(False)
    async with a_worker(house) as (follower, _):
        assert outcome(follower, key) == Outcome.UNVERIFIED
        made = house.desk.do("pause")
        house.announce(made)
        await house.settled()
        assert outcome(follower, key) == Outcome.UNVERIFIED
        house.grant(True)
        await aeventually(lambda: follower.leased)
        assert outcome(follower, key) == Outcome.HIDDEN


async def test_a_lease_is_over_three_seconds_after_its_report_and_comes_again(house):
    """I5: a worker that froze wakes to a lease that is over."""
    key = await open_shops(house)
    boot = Boot()
    async with a_worker(house, boot_ns=boot) as (follower, _):
        follower._boot_ns = boot
        await aeventually(lambda: follower.leased)
        house.grant(False)
        boot.ahead_ns += LEASE_NS
        assert outcome(follower, key) == Outcome.UNVERIFIED
        house.grant(True)
        await aeventually(lambda: follower.leased)


async def test_no_lease_counts_before_the_map_stands_at_the_head_it_was_granted_for(house):
    """I5: a leader that knows of a change which this worker has not got must not have it verify hits."""
    await open_shops(house)
    async with a_worker(house) as (follower, _):
        await aeventually(lambda: follower.leased)
    (house.lead if hasattr(house, "lead") else house.leader).advance(7)
    late = type(follower)()
    async with a_worker(house, "late", late) as (_, feed):
        numbers = feed._lease
        await aeventually(lambda: numbers._promised[0] == 7)
        assert not late.leased


async def test_the_feeds_clock_is_the_leaders(house):
    """DESIGN 6: neither deadlines nor `received_at` hang on the worker's own clock."""
    await open_shops(house)
    house.clock._offset_ns += HOUR_US * 1000
    async with a_worker(house) as (follower, _):
        await aeventually(lambda: follower.leased)
        assert abs(follower.tick()[0] - house.clock.now_us()) < 1_000_000


async def test_a_worker_with_no_account_at_all_is_leased_too(house):
    await house.settled()
    async with a_worker(house) as (follower, _):
        await aeventually(lambda: follower.leased)
        assert outcome(follower, b"nobody's") == Outcome.DROPPED_UNKNOWN_KEY
