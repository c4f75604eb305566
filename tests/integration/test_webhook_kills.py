"""What was answered is stored, and what is stored is applied once: under kill -9, and with two services at a time."""

import contextlib
import http.client
import itertools
import threading
import time

import pytest

from gating.ledger import Ledger, sqlite_url
from gating.ledger.events import Received, pending, store
from gating.webhooks.event import read
from gating.webhooks.mapping import provider
from tests.eventually import eventually
from tests.gating.webhooks import payloads
from tests.gating.webhooks.door import Door, later, signed
from tests.gating.webhooks.payloads import MONTH
from tests.servers import RedisServer

SENDERS, KILL_AFTER = 4, 25
KILLS = {"sqlite": 4, "postgres": 2}  # a killed leader's term has to pass there first


@pytest.fixture(params=["sqlite", "postgres"])
def door(request, tmp_path):
    """A process of its own to kill; `settings` name its engines."""
    with contextlib.ExitStack() as stopping:
        settings = {}
        if request.param == "postgres":
            redis = RedisServer(tmp_path / "redis")
            redis.start()
            stopping.callback(redis.stop)
            settings = {
                "database_url": request.getfixturevalue("postgres_server").database(), "redis_url": redis.url,
            }  # fmt: skip
        door = Door(tmp_path, **settings)
        stopping.callback(door.kill)
        yield door.start()


class Provider:
    """Sends events one after the other on several connections, each again until it is answered with 200."""

    def __init__(self, door, account):
        self.door, self.answered, self._numbers = door, [], itertools.count(1)
        self._account, self._at, self._stopping = account, later(), threading.Event()
        self._threads = [threading.Thread(target=self._send) for _ in range(SENDERS)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _send(self):
        while not self._stopping.is_set():
            number = next(self._numbers)
            event, at = f"evt_{number}", self._at + number
            body = payloads.stripe_invoice(
                event, "invoice.paid", account=self._account, created=at, period_end=at + MONTH
            )  # fmt: skip
            while not self._stopping.is_set():
                try:
                    status, _ = self.door.post("stripe", body, signed("stripe", body))
                except (OSError, http.client.HTTPException):
                    time.sleep(0.02)  # it is dead: a provider would wait longer
                    continue
                if status == 200:
                    self.answered.append(event)
                    break


def test_what_was_answered_is_stored_and_what_is_stored_is_applied_once_whenever_the_process_is_killed(door):
    account = door.account("default")
    kills = KILLS["postgres" if "database_url" in door.settings else "sqlite"]
    with Provider(door, account) as provider:
        for kill in range(1, kills + 1):
            eventually(lambda kill=kill: len(provider.answered) >= kill * KILL_AFTER, 30)
            door.kill()
            door.start()
        eventually(lambda: len(provider.answered) >= (kills + 1) * KILL_AFTER, 30)
    eventually(lambda: not door.gateway.billing_events(state="pending"), 20)
    rows = all_events(door)
    assert len({row["event"] for row in rows}) == len(rows)
    assert set(provider.answered) <= {row["event"] for row in rows}
    assert {row["tries"] for row in rows} == {1}
    told = [row["event"] for row in rows if row["state"] == "applied"]
    changed = [row for row in door.gateway.history(account) if row["command"] == "period_end"]
    assert len(told) == len(changed)
    assert sorted(row["version"] for row in rows if row["version"]) == sorted(row["version"] for row in changed)


def all_events(door):
    rows = []
    while page := door.gateway.billing_events(before=rows[-1]["sequence"] if rows else None):
        rows += page
    return rows


def test_a_kill_between_storing_and_applying_leaves_the_event_to_the_next_process(tmp_path):
    """The row lies where a process leaves it that dies right after its answer: that moment itself is not to be hit."""
    door = Door(tmp_path).start()
    try:
        account, at = door.account("segmetrics"), later()
        door.gateway.do(account, "subscribe", values={"plan": "pro", "payment": "p1"})
        body = payloads.stripe_invoice(
            "evt_1", "invoice.payment_failed", account=account, created=at, period_end=at + MONTH
        )  # fmt: skip
        door.kill()
        event = read(provider("stripe"), body)
        received = Received("stripe", event.id, event.type, event.created_us, at * 10**6, account, None, body)
        with Ledger.open(sqlite_url(door.data / "ledger.sqlite")) as ledger:
            ledger.note(lambda connection: store(connection, [received]))
            assert ledger.look(lambda connection: [row.tries for row in pending(connection, 9)]) == [0]
        door.start()
        assert door.event("evt_1")["tries"] == 1
        assert door.status(account) == "FROZEN"
    finally:
        door.kill()


def test_two_services_on_one_ledger_apply_each_event_once(postgres_server, tmp_path):
    redis = RedisServer(tmp_path / "redis")
    redis.start()
    settings = {"database_url": postgres_server.database(), "redis_url": redis.url}
    doors = []
    try:
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            doors.append(Door(tmp_path / name, **settings).start())
        account, at = doors[0].account("default"), later()
        sent = [
            payloads.stripe_invoice(
                f"evt_{n}", "invoice.paid", account=account, created=at + n, period_end=at + n + MONTH
            )
            for n in range(40)
        ]
        answers = []

        def deliver(door, bodies):
            answers.extend(door.deliver("stripe", body) for body in bodies)

        senders = [threading.Thread(target=deliver, args=(door, sent)) for door in doors]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        assert answers == [200] * 80
        eventually(lambda: not doors[0].gateway.billing_events(state="pending"), 20)
        rows = all_events(doors[1])
        assert len(rows) == 40
        assert {row["tries"] for row in rows} == {1}
        changed = [row for row in doors[0].gateway.history(account) if row["command"] == "period_end"]
        assert len(changed) == len([row for row in rows if row["state"] == "applied"])
    finally:
        for door in doors:
            door.kill()
        redis.stop()
