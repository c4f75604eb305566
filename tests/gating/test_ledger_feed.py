"""A worker's feed and the leader, on real sockets and a real ledger file: flips arrive, leases hold, gaps are read."""

import asyncio
import contextlib

import pytest
from sqlalchemy import create_engine, insert, update

from collector.gate import Gate
from collector.outcome import Outcome
from gating.clock import Clock
from gating.datagram import Announcement, Answer, Mailbox, Report, decode, encode, living
from gating.errors import NotEnforcedInTime
from gating.feed import KeyState, StatusChange
from gating.ledger.tables import accounts, gate, meta, metadata
from gating.ledger_feed import PAGE_BYTES, PAGE_ROWS, LedgerFeed
from gating.local_lead import LocalLead
from gating.status import Status, Verdict
from tests.eventually import aeventually


def a_change(version, account="shop", verdict=Verdict.ACCEPT, keys=None):
    states = tuple(KeyState(key) for key in (keys or [f"key-{account}"]))
    return StatusChange(version, account, 0, Status.ACTIVE, verdict, None, None, False, states)


class File:
    """A ledger file with the two tables a worker reads, written as the ledger writes them."""

    def __init__(self, path):
        self.path = path
        self.engine = create_engine(f"sqlite:///{path}")
        metadata.create_all(self.engine)
        with self.engine.begin() as sql:
            sql.execute(insert(meta).values(id=1, epoch="epoch", head=0, chain=b""))

    def write(self, *changes):
        with self.engine.begin() as sql:
            for change in changes:
                if not sql.execute(
                    update(gate)
                    .where(gate.c.account == change.account)
                    .values(version=change.version, change=change.encode())
                ).rowcount:
                    sql.execute(
                        insert(accounts).values(
                            id=change.account,
                            rulebook="default",
                            status="ACTIVE",
                            verdict=1,
                            access="FULL",
                            state="{}",
                            version=change.version,
                            revealed_version=0,
                            created_at_us=0,
                        )
                    )
                    sql.execute(
                        insert(gate).values(account=change.account, version=change.version, change=change.encode())
                    )
            sql.execute(update(meta).values(head=changes[-1].version))


@pytest.fixture
def ledger(tmp_path):
    return File(tmp_path / "ledger.sqlite")


@pytest.fixture
def directory(tmp_path):
    # A path far beyond the 107 bytes of a Unix address: data directories may lie deep.
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    return deep


@contextlib.asynccontextmanager
async def a_worker(ledger, directory, name="w1", boot_ns=None):
    follower = Gate()
    options = {} if boot_ns is None else {"boot_ns": boot_ns}
    feed = LedgerFeed(follower, ledger=ledger.path, directory=directory, worker=name, **options)
    await feed.load()
    running = asyncio.create_task(feed.run())
    try:
        yield follower, feed
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


def a_lead(directory, head, **more):
    return LocalLead(directory, epoch="epoch", head=head, clock=Clock(), may_grant=lambda: True, **more)


async def test_a_worker_reads_the_whole_map_and_is_leased_by_the_leader(ledger, directory):
    ledger.write(*(a_change(n, f"a{n}") for n in range(1, 2 * PAGE_ROWS + 10)))
    with a_lead(directory, head=2 * PAGE_ROWS + 9):
        async with a_worker(ledger, directory) as (follower, feed):
            await aeventually(lambda: follower.leased)
            assert (len(follower), follower.version, feed.reads) == (2 * PAGE_ROWS + 9, 2 * PAGE_ROWS + 9, 1)


class Pages(Gate):
    """A gate that notes each page it is handed, and what has run since the one before."""

    def __init__(self):
        super().__init__()
        self.pages, self.turns, self.starved = [], 0, 0

    async def others(self):
        while True:
            self.turns += 1
            await asyncio.sleep(0)

    def apply_page(self, changes):
        self.starved += self.turns == 0
        self.turns = 0
        self.pages.append(list(map(len, changes)))
        super().apply_page(changes)


async def test_a_load_comes_in_pages_that_are_small_in_bytes_too_and_lets_others_run_between(ledger, directory):
    """A cold load never stalls answers, be the accounts ever so large."""
    large = [f"{n:0100d}" for n in range(300)]
    ledger.write(*(a_change(n, f"a{n}", keys=[f"{n}-{key}" for key in large]) for n in range(1, 8)))
    ledger.write(*(a_change(n, f"a{n}") for n in range(8, 2 * PAGE_ROWS)))
    follower = Pages()
    feed = LedgerFeed(follower, ledger=ledger.path, directory=directory, worker="w1")
    others = asyncio.create_task(follower.others())
    await asyncio.sleep(0)
    await feed.load()
    others.cancel()
    assert (len(follower), follower.version) == (7 * 300 + 2 * PAGE_ROWS - 8, 2 * PAGE_ROWS - 1)
    assert max(map(len, follower.pages)) <= PAGE_ROWS
    assert max(sum(page[:-1]) for page in follower.pages) < PAGE_BYTES
    assert (len(follower.pages) > 4, follower.starved) == (True, 0)


async def test_a_row_that_is_no_change_keeps_hits_unverified_and_the_worker_up(ledger, directory, caplog):
    ledger.write(a_change(1), a_change(2, "other"))
    with ledger.engine.begin() as sql:
        sql.execute(update(gate).where(gate.c.version == 2).values(change=b"{}"))
    async with a_worker(ledger, directory) as (follower, _):
        assert not follower.loaded
        assert follower.decide(b"key-shop", *follower.tick())[0] == Outcome.UNVERIFIED
    assert "no change" in caplog.text


async def test_a_flip_reaches_every_worker_without_a_read_of_the_ledger_and_is_enforced_when_it_says_so(
    ledger, directory
):
    """I5"""
    ledger.write(a_change(1))
    with a_lead(directory, head=1) as lead:
        async with a_worker(ledger, directory, "w1") as (one, feed1), a_worker(ledger, directory, "w2") as (two, feed2):
            await aeventually(lambda: one.leased and two.leased)
            hide = a_change(2, verdict=Verdict.HIDE)
            ledger.write(hide)
            lead.announce([hide])
            assert await lead.enforced(2, 10) == 2
            for follower in (one, two):
                assert follower.decide(b"key-shop", *follower.tick())[0] == Outcome.HIDDEN
            assert (feed1.reads, feed2.reads) == (1, 1)


async def test_a_worker_that_missed_a_change_reads_it_before_its_lease_counts(ledger, directory):
    """I5, DESIGN 6: a gap in predecessors never lets a worker go on from the old map."""
    ledger.write(a_change(1))
    with a_lead(directory, head=1) as lead:
        async with a_worker(ledger, directory) as (follower, feed):
            await aeventually(lambda: follower.leased)
            missed, seen = a_change(2, verdict=Verdict.DROP), a_change(3, "other")
            ledger.write(missed, seen)
            lead._head = 2
            lead.announce([seen])
            await lead.enforced(3, 10)
            assert follower.decide(b"key-shop", *follower.tick())[0] == Outcome.DROPPED_STATUS
            assert feed.reads == 2


async def test_without_a_leader_hits_stay_unverified(ledger, directory):
    ledger.write(a_change(1))
    async with a_worker(ledger, directory) as (follower, _):
        assert follower.decide(b"key-shop", *follower.tick()) == (Outcome.UNVERIFIED, b"shop")


async def test_without_a_ledger_a_worker_serves_and_catches_up_when_there_is_one(tmp_path, directory):
    path = tmp_path / "later.sqlite"

    class Nowhere:
        pass

    Nowhere.path = path
    async with a_worker(Nowhere, directory) as (follower, _):
        assert not follower.loaded
        ledger = File(path)
        ledger.write(a_change(1))
        with a_lead(directory, head=1):
            await aeventually(lambda: follower.leased)
            assert follower.decide(b"key-shop", *follower.tick())[0] == Outcome.ACCEPTED


async def test_a_leader_stops_granting_when_its_term_is_not_its_own_any_more(ledger, directory):
    ledger.write(a_change(1))
    with LocalLead(directory, epoch="epoch", head=1, clock=Clock(), may_grant=lambda: False) as lead:
        async with a_worker(ledger, directory) as (follower, _):
            reports = lead._granting.reported
            await asyncio.wait_for(reports.wait(), 10)
            assert not follower.leased
            assert lead.workers() == []


async def test_an_answer_for_another_epoch_makes_the_worker_begin_anew(ledger, directory):
    """DESIGN 6: the ledger was restored; its versions may mean other changes."""
    ledger.write(a_change(9))
    async with a_worker(ledger, directory) as (follower, _):
        assert follower.version == 9
        with ledger.engine.begin() as sql:
            sql.execute(update(meta).values(epoch="restored", head=1))
            sql.execute(update(gate).values(version=1, change=a_change(1, verdict=Verdict.DROP).encode()))
        with LocalLead(directory, epoch="restored", head=1, clock=Clock(), may_grant=lambda: True):
            await aeventually(lambda: follower.leased)
            assert (follower.epoch, follower.version) == ("restored", 1)
            assert follower.decide(b"key-shop", *follower.tick())[0] == Outcome.DROPPED_STATUS


async def test_an_older_copy_of_the_same_ledger_makes_the_worker_begin_anew(ledger, directory):
    ledger.write(a_change(1), a_change(2, "gone"))
    async with a_worker(ledger, directory) as (follower, _):
        with ledger.engine.begin() as sql:
            sql.execute(update(meta).values(head=1))
            sql.execute(gate.delete().where(gate.c.version == 2))
        with a_lead(directory, head=1):
            await aeventually(lambda: follower.leased)
            assert (follower.version, len(follower)) == (1, 1)


async def test_a_flip_does_not_wait_for_a_worker_that_is_dead(ledger, directory):
    ledger.write(a_change(1))
    with a_lead(directory, head=1) as lead:
        async with a_worker(ledger, directory) as (follower, _):
            await aeventually(lambda: follower.leased)
        assert await lead.enforced(2, 1) == 0


async def test_a_silent_worker_is_named_when_the_wait_times_out(ledger, directory):
    """CONTRACT: exit 4, the flip is committed, and the line says which worker is missing."""
    mailbox = Mailbox(directory, "silent")
    with a_lead(directory, head=1) as lead, contextlib.closing(mailbox):
        mailbox.send("gating", Report("silent", 1, "epoch", 1))
        await aeventually(lambda: lead.workers() == ["silent"])
        lead.announce([a_change(2)])
        with pytest.raises(NotEnforcedInTime, match="silent"):
            await lead.enforced(2, 0.05)


def test_only_mailboxes_of_living_processes_are_listed_and_the_others_are_removed(directory):
    with contextlib.closing(Mailbox(directory, "w1")):
        (directory / "w2.lock").touch()
        (directory / "w2").touch()
        assert living(directory) == ["w1"]
        assert not (directory / "w2").exists()
    assert living(directory) == []


@pytest.mark.parametrize(
    "message", [Report("w", 1, "e", 2), Answer(1, "e", 2, 3), Announcement("e", 1, a_change(2))], ids=str
)
def test_a_message_reads_back_as_it_was_written(message):
    assert decode(encode(message)) == message


@pytest.mark.parametrize("data", [b"", b"[]", b"[1]", b'["report"]', b'["change","e",1,{}]', b"\xff", b"{}"])
def test_a_foreign_datagram_is_a_value_error_and_nothing_else(data):
    with pytest.raises(ValueError, match="datagram"):
        decode(data)
