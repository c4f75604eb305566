"""The relay on a real ledger and a real Redis: without a gap, harmless twice, rebuilt whenever it must be."""

import asyncio
import os
import signal
import subprocess
import sys

import pytest
import redis

from gating import redis_keys
from gating.feed import StatusChange
from gating.ledger import CHANGE, Head, Ledger, OutboxRow, sqlite_url
from gating.rebuild import PAGE_ACCOUNTS, reason_to_rebuild
from gating.redis_client import open_redis
from gating.redis_line import Line
from gating.relay import BATCH_CHANGES
from gating.relay_script import Outpaced, RebuildNeeded, RelayScript, Standing
from tests.eventually import aeventually
from tests.feeds import RedisHouse
from tests.gating.ledger.desk import Desk
from tests.processes import ROOT


@pytest.fixture
def ledger(tmp_path):
    with Ledger.open(sqlite_url(tmp_path / "ledger.sqlite")) as ledger:
        yield ledger


@pytest.fixture
def server(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
async def house(ledger, redis_url):
    async with RedisHouse(ledger, redis_url) as house:
        yield house


@pytest.fixture
async def script(redis_url):
    line = Line(open_redis(redis_url))
    await line.connect()
    yield RelayScript(line, stream_changes_max=1000)
    await line.close()


def in_redis(server):
    """(epoch, head, account -> change, versions in the stream), as a worker would find it."""
    epoch = server.hget(redis_keys.POINTER, "epoch").decode()
    state = {
        name.decode(): StatusChange.decode(body) for name, body in server.hgetall(redis_keys.state_of(epoch)).items()
    }
    versions = [redis_keys.version_of(entry) for entry, _ in server.xrange(redis_keys.stream_of(epoch))]
    return epoch, int(server.get(redis_keys.head_of(epoch))), state, versions


def in_ledger(ledger):
    head = ledger.head()
    return head.epoch, head.version, {change.account: change for change in ledger.changes_since(0, 10_000)}


def rows(*versions, account="shop"):
    return [OutboxRow(v * 256, v, account, 0, CHANGE, b"change-%d" % v) for v in versions]


async def built(script, epoch="e", term=1, version=0):
    await script.claim(epoch, term)
    await script.finish(epoch, term, version)


# ---- one change ------------------------------------------------------------------------------------------------------


async def test_every_change_reaches_redis_in_order_and_without_a_gap(house, server, ledger):
    house.announce(house.desk.open("shop"))
    await house.settled()
    for n in range(5):
        house.announce(house.desk.open(f"more-{n}"), house.desk.do("pause"), house.desk.do("resume"))
    await house.settled()
    assert in_redis(server)[:3] == in_ledger(ledger)
    assert in_redis(server)[3] == list(range(2, 17))


async def test_the_leader_hears_of_a_change_before_redis_does(house, server):
    """I5: from then on no lease is granted for an older head."""
    house.announce(house.desk.open("shop"))
    await house.settled()
    seen = []
    advance = house.leader.advance
    house.leader.advance = lambda version: (seen.append((version, in_redis(server)[1])), advance(version))
    made = house.desk.do("pause")
    house.relay.wake()
    await house.settled()
    assert (made.version, made.version - 1) in seen


async def test_a_change_that_is_there_changes_nothing_a_second_time(script, server):
    await built(script)
    assert await script.changes("e", 1, rows(1, 2)) == 2
    before = in_raw(server)
    assert await script.changes("e", 1, rows(1)) == 2
    assert await script.changes("e", 1, rows(2)) == 2
    assert in_raw(server) == before


def in_raw(server):
    return {key: server.dump(key) for key in server.scan_iter()}


async def test_a_change_that_does_not_follow_is_refused_and_told(script, server):
    await built(script)
    await script.changes("e", 1, rows(1))
    before = in_raw(server)
    with pytest.raises(RebuildNeeded, match="version 1,"):
        await script.changes("e", 1, rows(3))
    assert in_raw(server) == before


async def test_a_leader_of_an_older_term_is_refused(script, server):
    await built(script)
    await script.changes("e", 2, rows(1))
    before = in_raw(server)
    with pytest.raises(Outpaced):
        await script.changes("e", 1, rows(2))
    with pytest.raises(Outpaced):
        await script.claim("other", 1)
    assert in_raw(server) == before


@pytest.mark.parametrize(
    "harm",
    [
        lambda server: server.hset(redis_keys.POINTER, "epoch", "other"),
        lambda server: server.delete(redis_keys.head_of("e")),
        lambda server: server.flushall(),
        lambda server: (server.delete(redis_keys.POINTER), server.set(redis_keys.POINTER, "text")),
        lambda server: (server.delete(redis_keys.stream_of("e")), server.set(redis_keys.stream_of("e"), "text")),
        lambda server: server.xadd(redis_keys.stream_of("e"), {"c": "x"}, id="99-0"),
    ],
    ids=["epoch", "head", "flushed", "pointer's type", "stream's type", "foreign entry"],
)
async def test_nothing_is_written_onto_what_somebody_else_has_changed(script, server, harm):
    await built(script)
    await script.changes("e", 1, rows(1))
    harm(server)
    before = in_raw(server)
    with pytest.raises(RebuildNeeded):
        await script.changes("e", 1, rows(2))
    assert in_raw(server) == before


async def test_redis_is_told_the_script_again_when_it_has_forgotten_it(script, server):
    await built(script)
    server.script_flush()
    assert await script.changes("e", 1, rows(1, 2, 3)) == 3


async def test_the_stream_is_trimmed_by_length(script, server):
    await built(script)
    script._stream_changes_max = 100
    for n in range(1, 1001, 200):
        await script.changes("e", 1, rows(*range(n, n + 200)))
    assert server.xlen(redis_keys.stream_of("e")) <= 200  # Redis drops whole nodes of a hundred


async def test_what_was_just_committed_is_carried_without_reading_the_outbox(house, server, ledger, monkeypatch):
    house.announce(house.desk.open("shop"))
    await house.settled()
    monkeypatch.setattr("gating.relay.POLL_SECONDS", 600)
    await aeventually(lambda: house.relay._woken and not house.relay._must_look and not house.relay._must_read)
    read = []
    owed = house.relay._owed
    monkeypatch.setattr(house.relay, "_owed", lambda: read.append(1) or owed())
    house.announce(house.desk.do("pause"), house.desk.do("resume"))
    await house.settled()
    assert not read
    assert in_redis(server)[:3] == in_ledger(ledger)


async def test_a_change_told_of_that_is_not_the_next_one_waits_for_those_before_it(house, server, ledger):
    """Another service committed in between."""
    house.announce(house.desk.open("shop"))
    await house.settled()
    house.desk.do("pause")
    house.announce(house.desk.do("resume"))
    await house.settled()
    assert in_redis(server)[:3] == in_ledger(ledger)
    assert in_redis(server)[3] == [2, 3]


async def test_more_news_than_a_batch_comes_from_the_outbox(house, server, ledger):
    house.announce(house.desk.open("shop"))
    await house.settled()
    for _ in range(BATCH_CHANGES):
        house.announce(house.desk.do("pause"))
        house.announce(house.desk.do("resume"))
    await house.settled()
    assert in_redis(server)[:3] == in_ledger(ledger)
    assert in_redis(server)[3] == list(range(2, 2 * BATCH_CHANGES + 2))


async def test_the_lag_shows_while_redis_is_away(house, server):
    house.announce(house.desk.open("shop"))
    await house.settled()
    server.execute_command("CLIENT", "PAUSE", 60_000, "WRITE")
    try:
        house.announce(house.desk.do("pause"), house.desk.do("resume"))
        await aeventually(lambda: house.relay.status().lag == 2 and house.relay.status().trouble)
    finally:
        server.execute_command("CLIENT", "UNPAUSE")
    await house.settled()
    await aeventually(lambda: (house.relay.status().lag, house.relay.status().trouble) == (0, None))


# ---- when to rebuild -------------------------------------------------------------------------------------------------

LEDGER = Head("e", 7)


@pytest.mark.parametrize(
    ("stands", "rebuilds"),
    [
        (Standing("e", 1, 7, True, None), False),
        (Standing("e", 1, 3, True, None), False),
        (Standing("e", 1, 0, False, None), False),
        (Standing("", 0, None, False, None), True),
        (Standing("other", 1, None, False, None), True),
        (Standing("e", 1, None, True, None), True),
        (Standing("e", 1, 8, True, None), True),
        (Standing("e", 1, 7, False, None), True),
    ],
)
def test_redis_is_rebuilt_when_it_cannot_be_gone_on_from_and_only_then(stands, rebuilds):
    assert (reason_to_rebuild(stands, LEDGER) is not None) is rebuilds


async def test_a_flushed_redis_is_rebuilt_under_a_new_epoch(house, server, ledger):
    """I6"""
    house.announce(house.desk.open("shop"), house.desk.do("pause"))
    await house.settled()
    before = ledger.head().epoch
    server.flushall()
    await aeventually(lambda: server.exists(redis_keys.POINTER))
    await house.settled()
    assert in_redis(server)[:3] == in_ledger(ledger)
    assert ledger.head().epoch != before
    assert house.leader.epoch == ledger.head().epoch


@pytest.mark.parametrize("key", ["pointer", "state", "stream", "head"])
async def test_a_key_of_another_type_is_rebuilt_away(house, server, ledger, key):
    house.announce(house.desk.open("shop"))
    await house.settled()
    epoch = ledger.head().epoch
    name = {"pointer": redis_keys.POINTER, "state": redis_keys.state_of(epoch), "stream": redis_keys.stream_of(epoch),
            "head": redis_keys.head_of(epoch)}[key]  # fmt: skip
    server.delete(name)
    server.lpush(name, "somebody's")
    house.announce(house.desk.do("pause"))
    await aeventually(lambda: ledger.head().epoch != epoch)
    await house.settled()
    assert in_redis(server)[:3] == in_ledger(ledger)


async def test_a_rebuild_leaves_nothing_of_older_epochs(house, server, ledger):
    house.announce(house.desk.open("shop"), house.desk.do("pause"))
    for _ in range(3):
        await house.begin_anew()
        house.announce(house.desk.open(f"a-{_}"))
        await house.settled()
    epoch = ledger.head().epoch
    kept = {redis_keys.POINTER, redis_keys.state_of(epoch), redis_keys.head_of(epoch), redis_keys.stream_of(epoch)}
    assert {key.decode() for key in server.scan_iter()} == kept


async def test_redis_beyond_the_ledger_is_rebuilt(house, server, ledger):
    """DESIGN 6: the ledger went back; its next versions will mean other changes."""
    house.announce(house.desk.open("shop"))
    await house.settled()
    epoch = ledger.head().epoch
    server.set(redis_keys.head_of(epoch), 50)
    await aeventually(lambda: ledger.head().epoch != epoch)
    await house.settled()
    assert in_redis(server)[:3] == in_ledger(ledger)


async def test_a_ledger_that_went_back_and_on_again_shows_by_its_newest_change(ledger, redis_url, server):
    """The versions agree; the changes do not."""
    async with RedisHouse(ledger, redis_url) as house:
        house.announce(house.desk.open("shop"))
        await house.settled()
        house.announce(house.desk.do("pause"))
        await house.settled()
    epoch, head, *_ = in_redis(server)
    stream = redis_keys.stream_of(epoch)
    server.delete(stream)
    server.xadd(stream, {"c": b"what a lost ledger had said"}, id=f"{head}-0")
    async with RedisHouse(ledger, redis_url) as house:
        await aeventually(lambda: house.relay.status().rebuilds == 1)
        await house.settled()
        assert in_redis(server)[:3] == in_ledger(ledger)


async def test_a_redis_that_fell_back_is_replayed_under_the_same_epoch(house, server, ledger):
    house.announce(house.desk.open("shop"))
    await house.settled()
    epoch = ledger.head().epoch
    names = redis_keys.state_of(epoch), redis_keys.head_of(epoch), redis_keys.stream_of(epoch)
    older = {name: server.dump(name) for name in names if server.exists(name)}
    for _ in range(3):
        house.announce(house.desk.do("pause"), house.desk.do("resume"))
    await house.settled()
    server.delete(*names)
    for name, dump in older.items():
        server.restore(name, 0, dump)
    await aeventually(lambda: in_redis(server)[1] == ledger.head().version)
    assert in_redis(server)[:3] == in_ledger(ledger)
    assert in_redis(server)[3] == list(range(2, 8))
    assert ledger.head().epoch == epoch


async def test_a_redis_that_fell_back_further_than_the_outbox_reaches_is_rebuilt(house, server, ledger):
    house.announce(house.desk.open("shop"))
    await house.settled()
    for _ in range(3):
        house.announce(house.desk.do("pause"), house.desk.do("resume"))
    await house.settled()
    epoch = ledger.head().epoch
    ledger.delivered(CHANGE, 4 * 256)
    server.set(redis_keys.head_of(epoch), 2)
    server.delete(redis_keys.stream_of(epoch))
    await aeventually(lambda: ledger.head().epoch != epoch)
    await house.settled()
    assert in_redis(server)[:3] == in_ledger(ledger)


# ---- who may write ---------------------------------------------------------------------------------------------------


async def test_of_two_relays_the_one_with_the_newer_term_writes(ledger, redis_url, server):
    async with RedisHouse(ledger, redis_url) as old:
        old.announce(old.desk.open("shop"))
        await old.settled()
        ledger.release_term(old.leader.term)
        async with RedisHouse(ledger, redis_url) as new:
            assert new.leader.term > old.leader.term
            new.announce(new.desk.do("pause"))
            await new.settled()
            server.flushall()
            await aeventually(lambda: server.exists(redis_keys.POINTER))
            await new.settled()
            for _ in range(10):
                new.announce(new.desk.do("resume"), new.desk.do("pause"))
                old.relay.wake()
            await new.settled()
            await aeventually(lambda: old.relay.status().trouble)
            assert in_redis(server)[:3] == in_ledger(ledger)
            assert int(server.hget(redis_keys.POINTER, "term")) == new.leader.term
            assert new.leader.epoch == ledger.head().epoch
            assert old.relay.status().rebuilds == 1  # its first, and none against the newer leader


async def test_a_relay_that_does_not_lead_touches_nothing(ledger, redis_url, server):
    async with RedisHouse(ledger, redis_url) as house:
        house.announce(house.desk.open("shop"))
        await house.settled()
        house.leader.term, term = 0, house.leader.term
        before = in_raw(server)
        made = house.desk.do("pause")
        house.relay.wake()
        await aeventually(lambda: not house.relay._due.is_set())
        assert in_raw(server) == before
        house.leader.term = term
        await aeventually(lambda: in_redis(server)[1] == made.version)


async def test_a_newer_term_that_the_ledger_does_not_know_holds_nobody_up_for_ever(ledger, redis_url, server):
    """The ledger was put back to before that term."""
    async with RedisHouse(ledger, redis_url) as house:
        house.announce(house.desk.open("shop"))
        await house.settled()
        server.hset(redis_keys.POINTER, "term", 1000)
        house.announce(house.desk.do("pause"))
        await aeventually(lambda: int(server.hget(redis_keys.POINTER, "term")) == house.leader.term)
        await house.settled()
        assert in_redis(server)[:3] == in_ledger(ledger)


# ---- killed anywhere -------------------------------------------------------------------------------------------------


LOOK, CLAIM, FIRST_PAGE, LAST_PAGE, FINISH = 1, 2, 3, 5, 6


@pytest.mark.parametrize(
    ("when", "step"),
    [
        ("before", CLAIM), ("after", CLAIM), ("after", FIRST_PAGE), ("before", LAST_PAGE), ("before", FINISH),
        ("after", FINISH),
    ],
)  # fmt: skip
async def test_a_rebuild_that_is_killed_is_begun_anew_and_ends_whole(ledger, redis_url, server, when, step):
    """I6"""
    accounts = 2 * PAGE_ACCOUNTS + 1
    desk = Desk(ledger)
    with ledger.begin() as transaction:
        for n in range(accounts):
            desk.open_in(transaction, f"a{n}")
    before = ledger.head().epoch
    command = [sys.executable, "tests/gating/children/relaying.py", str(ledger._store.path), redis_url, when, str(step)]
    killed = await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=60, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert ledger.head().epoch != before  # it had begun
    async with RedisHouse(ledger, redis_url) as house:
        await house.settled()
        await aeventually(lambda: house.relay.status().lag == 0 and house.relay.status().relayed == accounts)
        assert house.relay.status().rebuilds == (0 if (when, step) == ("after", FINISH) else 1)
    assert in_redis(server)[:3] == in_ledger(ledger)
    assert len(in_redis(server)[2]) == accounts
    assert {key.decode().rpartition(":")[0] for key in server.scan_iter()} == {
        "{pixelgate}", "{pixelgate}:" + ledger.head().epoch,
    }  # fmt: skip


# ---- the outbox ------------------------------------------------------------------------------------------------------


async def test_the_outbox_keeps_what_a_fallen_back_redis_may_need_and_no_more(ledger, redis_url):
    async with RedisHouse(ledger, redis_url, changes_retained=10) as house:
        house.announce(house.desk.open("shop"))
        for _ in range(20):
            house.announce(house.desk.do("pause"), house.desk.do("resume"))
        await house.settled()
        await house.relay.forget()
        kept = [row.version for row in ledger.outbox(kind=CHANGE)]
        assert kept == list(range(32, 42))


async def test_nothing_is_forgotten_that_redis_has_not_got(ledger, redis_url):
    async with RedisHouse(ledger, redis_url, changes_retained=0) as house:
        house.announce(house.desk.open("shop"))
        await house.settled()
        house.leader.term = 0
        house.relay.wake()
        for _ in range(5):
            house.desk.do("pause"), house.desk.do("resume")
        await house.relay.forget()
        assert [row.version for row in ledger.outbox(kind=CHANGE)] == list(range(2, 12))
