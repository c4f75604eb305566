"""Who listens hears of every commit, one made while nothing could be heard included."""

import asyncio
import contextlib

import psycopg
import pytest

from gating.errors import InputInvalid
from gating.ledger import Channel, Ledger, sqlite_url
from gating.ledger import wake as wake_module
from gating.ledger.wake import Wakeups
from tests.eventually import aeventually
from tests.gating.ledger.cutter import Wire, through
from tests.gating.ledger.desk import OPERATOR, Desk
from tests.servers import PostgresServer

BOTH = {Channel.CHANGES, Channel.ENFORCED}


@pytest.fixture
def url(postgres_server):
    return postgres_server.database()


class Heard:
    """What a listener was woken by, from the moment it was reached on."""

    def __init__(self):
        self.channels = []

    async def listen(self, wakeups):
        async for channel in wakeups:
            self.channels.append(channel)

    def take(self):
        taken, self.channels = set(self.channels), []
        return taken


@contextlib.asynccontextmanager
async def listening(url):
    heard = Heard()
    async with Wakeups(url) as wakeups:
        task = asyncio.create_task(heard.listen(wakeups))
        yield heard, wakeups
        task.cancel()


async def test_a_listener_is_woken_by_a_commit_and_by_nothing_less(url):
    with Ledger.open(url) as ledger:
        desk = Desk(ledger)
        async with listening(url) as (heard, _):
            await aeventually(lambda: set(heard.channels) == BOTH)
            heard.take()
            await asyncio.to_thread(desk.open)
            await aeventually(lambda: heard.channels)
            assert heard.take() == {Channel.CHANGES}
            with pytest.raises(LookupError):
                await asyncio.to_thread(fail, ledger, desk)
            ledger.take_term("a", 0, 10, "boot")
            assert not ledger.record_enforced(7, 1)
            assert ledger.record_enforced(1, 1)
            await aeventually(lambda: heard.channels)
            assert heard.take() == {Channel.ENFORCED}  # in the order of commits: the failed change's would stand before
            with ledger.begin() as transaction:
                transaction.new_epoch()
            await aeventually(lambda: heard.channels)
            assert heard.take() == {Channel.CHANGES}


def fail(ledger, desk):
    with ledger.begin() as transaction:
        transaction.add_key("shop", at_us=desk.now_us, who=OPERATOR)
        transaction.finish()
        raise LookupError


async def test_many_commits_wake_a_slow_listener_once_a_channel(url):
    """Bounded: nothing piles up before a listener that is busy."""
    with Ledger.open(url) as ledger, psycopg.connect(url, autocommit=True) as marker:
        desk = Desk(ledger)
        async with Wakeups(url) as wakeups:
            assert {await anext(wakeups), await anext(wakeups)} == BOTH
            desk.open()
            for _ in range(50):
                desk.add_key()
            marker.execute("SELECT pg_notify('pixelgate_enforced', '')")  # arrives after all of them
            await aeventually(lambda: len(wakeups._pending) == 2)
            assert [await anext(wakeups), await anext(wakeups)] == [Channel.CHANGES, Channel.ENFORCED]
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await anext(wakeups)


async def test_a_listener_is_woken_after_its_server_was_killed_and_started_again(postgres_server, tmp_path):
    server = PostgresServer(tmp_path / "postgres")
    server.start()
    try:
        url = server.database()
        with Ledger.open(url) as ledger:
            desk = Desk(ledger)
            async with listening(url) as (heard, wakeups):
                await aeventually(lambda: set(heard.channels) == BOTH)
                server.kill()
                await aeventually(lambda: wakeups.trouble)
                heard.take()
                await asyncio.to_thread(server.start)
                await aeventually(lambda: wakeups.connections == 2, 30)
                assert wakeups.trouble == ""
                await aeventually(lambda: set(heard.channels) == BOTH)  # something may have been missed
                heard.take()
                await asyncio.to_thread(desk.open)
                await aeventually(lambda: heard.channels)
                assert heard.take() == {Channel.CHANGES}
    finally:
        server.stop()


async def test_a_connection_that_was_lost_without_a_word_is_noticed(postgres_server, url, monkeypatch):
    """A wire that passes nothing on is found out by asking, after QUIET_SECONDS."""
    monkeypatch.setattr(wake_module, "QUIET_SECONDS", 0.05)
    monkeypatch.setattr(wake_module, "ANSWER_SECONDS", 0.05)
    wire = Wire(postgres_server.port)
    try:
        async with listening(through(wire, url)) as (heard, wakeups):
            await aeventually(lambda: set(heard.channels) == BOTH)
            wire.hold()
            await aeventually(lambda: wakeups.trouble)
            heard.take()
            wire.passing.set()
            await aeventually(lambda: set(heard.channels) == BOTH)
    finally:
        wire.close()


async def test_a_server_that_is_away_at_first_is_met_later(postgres_server, url):
    wire = Wire(postgres_server.port)
    wire.refuse = True
    try:
        async with listening(through(wire, url)) as (heard, wakeups):
            await aeventually(lambda: wakeups.trouble)
            assert heard.channels == []
            wire.refuse = False
            await aeventually(lambda: set(heard.channels) == BOTH)
    finally:
        wire.close()


async def test_for_a_file_nobody_is_woken(tmp_path):
    url = sqlite_url(tmp_path / "ledger.sqlite")
    with Ledger.open(url) as ledger:
        async with listening(url) as (heard, wakeups):
            Desk(ledger).open()
            ledger.take_term("a", 0, 10, "boot")
            ledger.record_enforced(1, 1)
            await asyncio.sleep(0)
            assert (heard.channels, wakeups.connections, wakeups.trouble) == ([], 0, "")


@pytest.mark.parametrize("url", ["mysql://h/d", "postgresql://h:port/d"])
def test_a_url_that_does_not_read_is_refused(url):
    with pytest.raises(InputInvalid):
        Wakeups(url)
