"""I1, I5 and I10 with every process killed at random moments under load, while the account is paused and resumed.

Each answered hit is in the warehouse once, and none was enforced under a status that a returned flip had replaced: a
hit carries the version of the last flip that had returned when it was sent.
"""

import contextlib
import itertools
import json
import os
import random
import signal
import socket
import threading
import time

import pytest

from gating.datadir import DataDirectory
from gating.errors import PixelgateError
from gating.gateway import Gateway
from tests.eventually import eventually
from tests.system import System

KILLS = 50 if os.environ.get("PIXELGATE_FAULTS") == "long" else 8


class Load(threading.Thread):
    """One client that numbers its hits and notes which were answered 200."""

    def __init__(self, port, key, name, returned):
        super().__init__()
        self.port, self.key, self.name_, self.returned = port, key, name, returned
        self.sent, self.answered = 0, []
        self.stopping = threading.Event()

    def run(self):
        while not self.stopping.is_set():
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=10) as client:
                self.fire(client)

    def fire(self, client):
        while not self.stopping.is_set():
            self.sent += 1
            number = f"{self.name_}-{self.sent}"
            query = f"e=hit&number={number}&flip={self.returned[0]}"
            client.sendall(f"GET /p/{self.key}.gif?{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            data = b""
            while not data.endswith(b";"):  # a GIF's last byte
                if not (chunk := client.recv(65536)):
                    return
                data += chunk
            if data.startswith(b"HTTP/1.1 200 "):
                self.answered.append(number)


class Flips(threading.Thread):
    """An operator who pauses and resumes; `returned` holds the version of the last flip that is enforced."""

    def __init__(self, data, returned):
        super().__init__()
        self.gateway, self.returned, self.count = Gateway.open(DataDirectory(data)), returned, 0
        self.stopping = threading.Event()

    def run(self):
        for number in itertools.count():
            if self.stopping.is_set():
                return
            with contextlib.suppress(PixelgateError):  # refused or cut off by a kill: the next one goes on
                self.returned[0] = self.gateway.do("shop", "resume" if number % 2 else "pause")["version"]
                self.count += 1


@contextlib.contextmanager
def loaded(system, key, clients=4):
    """Clients that fire, and an operator who flips, while the block runs; yields the clients and the operator."""
    returned = [1]
    loads = [Load(system.port, key, f"c{n}", returned) for n in range(clients)]
    flips = Flips(system.data, returned)
    for thread in (*loads, flips):
        thread.start()
    try:
        yield loads, flips
    finally:
        for thread in (*loads, flips):
            thread.stopping.set()
        for thread in (*loads, flips):
            thread.join()


def kill_somebody(system, chance):
    """SIGKILL one process, the supervisor (with all it runs) included; returns when all of it runs again."""
    system.await_whole()
    victims = system.roles()
    everybody = [*victims, system.process.pid]
    victim = chance.choice(everybody)
    if victim == system.process.pid:
        system.kill()
        system.start()
    else:
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
        eventually(lambda: system.must_live() and len(system.roles()) == len(victims), 60)
    return victims.get(victim, "supervisor")


@pytest.mark.timeout(3600)
def test_every_answered_hit_is_in_the_warehouse_once_whoever_is_killed(tmp_path):
    """I1, I5, I10"""
    system, chance = System(tmp_path), random.Random(7)
    system.start()
    try:
        key = system.json("account", "create", "--id", "shop", "--rulebook", "default")["write_key"]
        with loaded(system, key) as (loads, flips):
            for _ in range(KILLS):
                time.sleep(chance.uniform(0, 0.7))  # a random moment, not synchronisation
                kill_somebody(system, chance)
        eventually(lambda: len(system.roles()) == 4, 60)
        settled(system)
        kept = exported(system, tmp_path / "events.ndjson")
        answered = {number for load in loads for number in load.answered}
        assert len(answered) > KILLS
        assert sorted(answered - {number for number, _, _ in kept}) == []
        assert len(kept) == len({number for number, _, _ in kept})
        assert flips.count > KILLS
        assert [hit for hit in kept if hit[2] < hit[1]] == []
        sums = json.loads(system.cli("verify", "--json").stdout)
        assert sums["ok"], sums
        system.stop()
    finally:
        system.kill()


def settled(system):
    """Wait until every hit is in the warehouse and every unverified one settled."""
    report = system.json("report", "shop", "--as", "operator", "--settled", "90")
    assert report["events"]["unverified"] == 0


def exported(system, path):
    """(number, version of the last flip known when it was sent, version it was decided at) of all kept hits."""
    system.cli("export", "shop", "--to", str(path), "--as", "operator")
    events = [json.loads(line) for line in path.read_text().split("\n") if line]
    return [(event["params"]["number"], int(event["params"]["flip"]), event["version"]) for event in events]
