"""I5 with any process stopped anywhere: after a flip has returned, no later hit is enforced under the old status.

Each hit carries the version of the last flip that had returned when the hit was sent. A record that is verified must
have been decided at that version or a later one; what is unverified is settled by the ledger later. Pause and resume
alone are flipped, so every hit is kept and its record tells.
"""

import contextlib
import os
import random
import re
import signal
import socket
import threading
import time
from pathlib import Path

import pytest

from collector.journal import journals, show
from gating.datadir import DataDirectory
from gating.errors import PixelgateError
from gating.gateway import Gateway
from gating.status import Verdict
from tests.eventually import eventually
from tests.processes import collector, free_port, gating

LONG = os.environ.get("PIXELGATE_FAULTS") == "long"


@pytest.fixture
def directory(tmp_path):
    return DataDirectory.open(tmp_path / "data")


@pytest.fixture
def system(directory, tmp_path):
    """A gating process and two workers, on ports of their own, all leased; and an account's write key."""
    ports = free_port(), free_port()
    with contextlib.ExitStack() as stack:
        service = stack.enter_context(gating(directory.root, tmp_path / "gating.log"))
        workers = [
            stack.enter_context(collector(directory.root, tmp_path / f"worker{n}.log", port))
            for n, port in enumerate(ports)
        ]
        key = Gateway.open(directory).create_account("shop", rulebook="default")["write_key"]
        eventually(lambda: flip(directory, "pause")["workers"] == 2)
        flip(directory, "resume")
        yield service, workers, ports, key


def flip(directory, command):
    return Gateway.open(directory).do("shop", command)


def fill_mailbox(directory):
    """More flips than a frozen worker's mailbox holds: the last one's datagram is lost, so only its lease can tell it.

    The kernel queues net.unix.max_dgram_qlen + 1 datagrams.
    """
    holds = int(Path("/proc/sys/net/unix/max_dgram_qlen").read_text()) + 1
    for number in range(holds + holds % 2):
        Gateway.open(directory).do("shop", "resume" if number % 2 else "pause", wait=False)


def head(key, returned, end=b"\r\n"):
    return b"GET /p/%s.gif?e=hit&flip=%d HTTP/1.1\r\nHost: x\r\n" % (key.encode(), returned) + end


def connect(port):
    client = socket.create_connection(("127.0.0.1", port), timeout=20)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def answer(client):
    """One pixel's answer, whole."""
    data = b""
    while len(data) < 43 or b"\r\n\r\n" not in data or len(data.partition(b"\r\n\r\n")[2]) < 43:
        if not (chunk := client.recv(65536)):
            raise ConnectionResetError
        data += chunk
    return data


def records(directory):
    """Every record of every journal."""
    return [record for info in journals(directory.journals) for record in show(directory.journals / info.id)]


def fire_until(client, key, directory, *, verified):
    """Fire hits, each answered and kept once, until one is of that kind; none is of another kind again after it."""
    kinds = []

    def is_so():
        before = len(records(directory))
        client.sendall(head(key, 1))
        answer(client)
        kept = records(directory)
        assert len(kept) == before + 1
        kinds.append(kept[-1].verified)
        return kinds[-1] is verified

    eventually(is_so, 20)
    assert kinds == [not verified] * (len(kinds) - 1) + [verified]


def must_hold_i5(found):
    """No verified record was decided before the flip that had returned when its hit was sent."""
    early = [r for r in found if r.verified and r.version < int(re.search(rb"flip=(\d+)", r.head)[1])]
    assert early == []
    for record in found:
        if record.verified:  # versions alternate: odd ones collect (created, resumed), even ones pause
            assert record.verdict is (Verdict.ACCEPT if record.version % 2 else Verdict.HIDE)


@pytest.mark.parametrize("moment", ["before a head", "within a head"])
def test_a_worker_that_freezes_wakes_to_a_lease_that_is_over(system, directory, moment):
    """I5: the flip waits for its lease; what it reads on waking is not enforced under the old status."""
    _, (frozen, _), (port, other_port), key = system
    with connect(port) as client, connect(other_port) as other:
        if moment == "within a head":
            client.sendall(head(key, 1, b""))
        frozen.signal(signal.SIGSTOP)
        fill_mailbox(directory)
        flipped = flip(directory, "pause")
        assert flipped["enforced"]
        assert flipped["waited_ms"] > 1000  # a whole lease less a second; the worker was silent
        client.sendall(b"\r\n" if moment == "within a head" else head(key, flipped["version"]))
        other.sendall(head(key, flipped["version"]))
        answer(other)
        frozen.signal(signal.SIGCONT)
        answer(client)
    found = records(directory)
    assert len(found) == 2
    must_hold_i5(found)
    assert {(r.verified, r.verdict) for r in found} <= {(False, Verdict.HIDE), (True, Verdict.HIDE)}


def test_without_the_gating_process_hits_are_kept_unverified_and_verified_again_when_it_is_back(
    system, directory, tmp_path
):
    service, _, (port, _), key = system
    with connect(port) as client:
        service.kill()
        fire_until(client, key, directory, verified=False)
        with gating(directory.root, tmp_path / "gating2.log"):
            fire_until(client, key, directory, verified=True)
    must_hold_i5(records(directory))


def test_a_gating_process_that_freezes_grants_nothing_while_it_sleeps(system, directory):
    service, _, (port, _), key = system
    service.signal(signal.SIGSTOP)
    with connect(port) as client:
        fire_until(client, key, directory, verified=False)
        service.signal(signal.SIGCONT)
        fire_until(client, key, directory, verified=True)
    must_hold_i5(records(directory))


class Load(threading.Thread):
    """One connection that fires without pause, telling the last flip that had returned."""

    def __init__(self, port, key, returned):
        super().__init__()
        self.port, self.key, self.returned = port, key, returned
        self.answered = 0
        self.stopping = threading.Event()

    def run(self):
        while not self.stopping.is_set():
            with contextlib.suppress(OSError), connect(self.port) as client:
                while not self.stopping.is_set():
                    client.sendall(head(self.key, self.returned[0]))
                    answer(client)
                    self.answered += 1


@pytest.mark.timeout(3600)
def test_no_hit_is_enforced_under_a_status_that_a_returned_flip_had_replaced(system, directory):
    """I5, with workers and the gating process frozen at random moments under load."""
    service, workers, ports, key = system
    returned = [3]
    loads = [Load(port, key, returned) for port in ports for _ in range(3)]
    for load in loads:
        load.start()
    rounds, chance = (40 if LONG else 4), random.Random(5)
    try:
        for number in range(rounds):
            victim = chance.choice([*workers, service])
            victim.signal(signal.SIGSTOP)
            timer = threading.Timer(chance.uniform(0.0, 6.0), victim.signal, [signal.SIGCONT])
            timer.start()
            with contextlib.suppress(PixelgateError):
                fill_mailbox(directory)
                returned[0] = flip(directory, "pause" if number % 2 == 0 else "resume")["version"]
            with contextlib.ExitStack() as late:
                # Sent after the flip had returned, and perhaps to a worker that sleeps on: read in its first tick.
                clients = [late.enter_context(connect(port)) for port in ports]
                for client in clients:
                    client.sendall(head(key, returned[0]))
                for client in clients:
                    answer(client)
            timer.join()
            returned[0] = settled(directory)
    finally:
        for load in loads:
            load.stopping.set()
        for load in loads:
            load.join()
    found = records(directory)
    assert len(found) >= sum(load.answered for load in loads) > 0
    must_hold_i5(found)
    assert any(r.verified for r in found)


def settled(directory):
    """The newest version, once it is enforced everywhere: a repeated command waits behind the same fence."""
    deadline = time.monotonic() + 30
    while True:
        try:
            status = Gateway.open(directory).account("shop")["status"]
            return flip(directory, "pause" if status == "PAUSED" else "resume")["version"]
        except PixelgateError:
            if time.monotonic() > deadline:
                raise
