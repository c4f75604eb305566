"""A server that dies, comes back, freezes, or whose answer is lost: each test hurts a server or a wire of its own."""

import asyncio
import contextlib
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from gating.account import Request
from gating.commits import Waiting
from gating.datadir import DataDirectory
from gating.errors import Unreachable
from gating.ledger import Ledger, Who, postgres
from gating.status import Role
from tests.eventually import aeventually, eventually
from tests.gating.led import led
from tests.gating.ledger.cutter import Wire, through
from tests.gating.ledger.desk import OPERATOR, Desk
from tests.gating.ledger.test_ledger_processes import whole
from tests.servers import PostgresServer, ServerMissing

ROUNDS = 3
SPIN_MAX = 300_000


@pytest.fixture
def server(postgres_server, tmp_path):
    """A server to be hurt; asked for after the session's, which says loudly where there is none."""
    try:
        server = PostgresServer(tmp_path / "postgres")
    except ServerMissing as missing:
        pytest.skip(str(missing))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def wire(postgres_server):
    wire = Wire(postgres_server.port)
    yield wire
    wire.close()


@pytest.fixture
def url(postgres_server):
    return postgres_server.database()


class Writer:
    """Goes on changing one account of its own until told to stop; keeps the versions that were answered."""

    def __init__(self, ledger, name):
        self.desk, self.name = Desk(ledger), name
        self.answered, self.refused, self.stopped = [], 0, threading.Event()

    def run(self):
        while not self.stopped.is_set():
            try:
                if self.answered or self._is_open():
                    self.answered.append(self.desk.add_key(self.name).version)
                else:
                    self.answered.append(self.desk.open(self.name).version)
                if len(self.answered) % 20 == 0:
                    self.desk.do("pause", self.name)
                    self.desk.do("resume", self.name)
            except Unreachable:
                self.refused += 1

    def _is_open(self):
        return any(row.id == self.name for row in self.desk.ledger.accounts())


@pytest.mark.timeout(300)
def test_a_server_killed_amid_transactions_leaves_nothing_half_written_and_every_answered_change(server):
    """I6: what was answered is there, what was not is there whole or not at all; the next call works again."""
    url = server.database()
    randomness = random.Random(11)
    with Ledger.open(url) as ledger, Ledger.open(url) as other:
        for n in range(ROUNDS):
            writers = [Writer(ledger, f"a{n}"), Writer(other, f"b{n}")]
            with ThreadPoolExecutor(2) as threads:
                running = [threads.submit(writer.run) for writer in writers]
                eventually(lambda writers=writers: all(len(writer.answered) > 3 for writer in writers), 30)
                for _ in range(randomness.randrange(SPIN_MAX)):
                    pass
                server.kill()
                with pytest.raises(Unreachable):
                    ledger.head()
                eventually(lambda writers=writers: all(writer.refused for writer in writers), 30)
                server.start()
                before = [len(writer.answered) for writer in writers]
                eventually(
                    lambda writers=writers, before=before: all(
                        len(writer.answered) > count for writer, count in zip(writers, before, strict=True)
                    ),
                    30,
                )
                for writer in writers:
                    writer.stopped.set()
                for one in running:
                    one.result(30)
            recorded = {row.version: row.account for name in (f"a{n}", f"b{n}") for row in ledger.history(name)}
            for writer in writers:
                assert all(recorded[version] == writer.name for version in writer.answered)
            whole(ledger)


def test_idle_connections_that_a_restart_ended_are_met_by_nobody(server):
    url = server.database()
    with Ledger.open(url) as ledger:
        Desk(ledger).open()
        server.stop()
        server.start()
        assert ledger.head().version == 1
        server.stop()
        server.start()
        assert Desk(ledger).do("pause").version == 2


def test_a_standby_is_never_used(server):
    """I5: it lags, and nobody can wait there for the primary's writers, so settlement would judge by the past."""
    url = server.database()
    with Ledger.open(url) as ledger:
        Desk(ledger).open()
        server.stop()
        (server.data / "standby.signal").touch()
        server.start()
        with pytest.raises(Unreachable):
            ledger.await_writers()
        with pytest.raises(Unreachable):
            Ledger.open_reading(f"{url}?target_session_attrs=any")


def test_a_server_that_is_frozen_is_unreachable_and_the_next_call_works_once_it_runs(server, monkeypatch):
    monkeypatch.setattr(postgres._Connection, "answer_seconds", 0.2)
    with Ledger.open(server.database()) as ledger:
        Desk(ledger).open()
        server.freeze()
        try:
            with pytest.raises(Unreachable):
                ledger.head()
        finally:
            server.thaw()
        monkeypatch.undo()
        assert ledger.head().version == 1
        assert Desk(ledger).do("pause").version == 2


def test_a_wire_that_says_nothing_more_is_unreachable(wire, url, monkeypatch):
    monkeypatch.setattr(postgres._Connection, "answer_seconds", 0.2)
    with Ledger.open(through(wire, url)) as ledger:
        Desk(ledger).open()
        wire.hold()
        with pytest.raises(Unreachable):
            Desk(ledger).do("pause")
        wire.passing.set()
        monkeypatch.undo()
        assert Desk(ledger).add_key().version == ledger.head().version


def test_a_commit_whose_answer_was_lost_stands_once(wire, url):
    with Ledger.open(through(wire, url)) as ledger:
        Desk(ledger).open()
        wire.cut_commit = True
        with pytest.raises(Unreachable) as told:
            Desk(ledger).do("pause")
        assert "nothing was changed" not in str(told.value)
        ledger.await_writers()
        assert ledger.head().version == 2
        assert [row.command for row in ledger.history("shop")] == ["create", "pause"]
        assert whole(ledger) == 2


async def test_a_service_learns_what_became_of_a_commit_whose_answer_was_lost(wire, url, tmp_path):
    """I5: no lease may be granted for the head before a flip that stands, though its caller was told of an error."""
    directory = DataDirectory.open(tmp_path / "data")
    pause = Request("pause", Role.OPERATOR, actor="tests")
    with directory.hold("gating"), led(directory, through(wire, url)) as leading:
        await leading.service.create_account("shop", rulebook="default", who=Who("tests", Role.OPERATOR))
        wire.cut_commit = True
        with pytest.raises(Unreachable):
            await leading.service.do("shop", pause, waiting=Waiting(wait=False))
        wire.refuse = True
        with pytest.raises(Unreachable):
            await leading.service.account("shop")
        wire.refuse = False
        await leading.service.sweep()
        assert leading.lead.head == leading.ledger.head().version == 2


async def test_a_service_that_could_not_ask_goes_on_asking(wire, url, tmp_path):
    """I5"""
    directory = DataDirectory.open(tmp_path / "data")
    with directory.hold("gating"), led(directory, through(wire, url)) as leading, Ledger.open(url) as beside:
        await leading.service.create_account("shop", rulebook="default", who=Who("tests", Role.OPERATOR))
        wire.refuse = True
        with pytest.raises(Unreachable):
            await leading.service.create_key("shop", who=Who("tests", Role.OPERATOR))
        with beside.begin() as transaction:  # as if that had been committed all the same
            transaction.add_key("shop", at_us=0, who=OPERATOR)
        assert leading.lead.head == 1
        wire.refuse = False
        await leading.service.sweep()
        assert leading.lead.head == 2


async def test_two_services_at_once_never_give_a_version_twice_and_leave_no_gap(url, tmp_path):
    """DESIGN 6: one counter, whoever writes."""
    who = Who("tests", Role.OPERATOR)
    with contextlib.ExitStack() as leading:
        services = [
            leading.enter_context(led(DataDirectory.open(tmp_path / host), url)).service for host in ("one", "two")
        ]

        async def write(service, account):
            made = [await service.create_account(account, rulebook="default", who=who)]
            for n in range(10):
                flip = Request("resume" if n % 2 else "pause", Role.OPERATOR, actor="tests")
                made.append(await service.do(account, flip, waiting=Waiting(wait=False)))
                made.append(await service.create_key("shared", who=who, waiting=Waiting(wait=False)))
            return [document["version"] for document in made]

        await services[0].create_account("shared", rulebook="default", who=who)
        given = await asyncio.gather(*(write(service, f"a{n}") for n, service in enumerate(services * 2)))
    assert sorted(version for versions in given for version in versions) == list(range(2, 86))
    assert all(versions == sorted(versions) for versions in given)
    with Ledger.open_reading(url) as ledger:
        assert whole(ledger) == 85


async def test_a_service_goes_on_after_its_server_was_killed(server, tmp_path):
    directory = DataDirectory.open(tmp_path / "data")
    with directory.hold("gating"), led(directory, server.database()) as leading:
        await leading.service.create_account("shop", rulebook="default", who=Who("tests", Role.OPERATOR))
        server.kill()
        with pytest.raises(Unreachable):
            await leading.service.create_key("shop", who=Who("tests", Role.OPERATOR))
        server.start()
        made = await leading.service.create_key("shop", who=Who("tests", Role.OPERATOR))
        assert (made["version"], made["enforced"]) == (2, True)
        await aeventually(lambda: leading.lead.head == 2)
