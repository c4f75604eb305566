"""I1 and I10 with every process killed at random moments under load: each answered hit is in the warehouse once."""

import contextlib
import json
import os
import random
import signal
import socket
import threading
import time

import pytest

from tests.eventually import eventually
from tests.system import System

KILLS = 50 if os.environ.get("PIXELGATE_FAULTS") == "long" else 8


class Load(threading.Thread):
    """One client that numbers its hits and notes which were answered 200."""

    def __init__(self, port, key, name):
        super().__init__()
        self.port, self.key, self.name_ = port, key, name
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
            client.sendall(f"GET /p/{self.key}.gif?e=hit&number={number} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            data = b""
            while not data.endswith(b";"):  # a GIF's last byte
                if not (chunk := client.recv(65536)):
                    return
                data += chunk
            if data.startswith(b"HTTP/1.1 200 "):
                self.answered.append(number)


@contextlib.contextmanager
def loaded(system, key, clients=4):
    """Clients that fire while the block runs; yields them."""
    loads = [Load(system.port, key, f"c{n}") for n in range(clients)]
    for load in loads:
        load.start()
    try:
        yield loads
    finally:
        for load in loads:
            load.stopping.set()
        for load in loads:
            load.join()


def kill_somebody(system, chance):
    """SIGKILL one process, the supervisor (with all it runs) included; returns when the collector accepts again."""
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
    """I1, I10"""
    system, chance = System(tmp_path), random.Random(7)
    system.start()
    try:
        key = system.json("account", "create", "--id", "shop", "--rulebook", "default")["write_key"]
        with loaded(system, key) as loads:
            for _ in range(KILLS):
                time.sleep(chance.uniform(0, 0.7))  # a random moment, not synchronisation
                kill_somebody(system, chance)
        eventually(lambda: len(system.roles()) == 4, 60)
        settled(system)
        kept = exported(system, tmp_path / "events.ndjson")
        answered = {number for load in loads for number in load.answered}
        assert len(answered) > KILLS
        assert sorted(answered - set(kept)) == []
        assert len(kept) == len(set(kept))
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
    """The numbers of all events the operator sees."""
    system.cli("export", "shop", "--to", str(path), "--as", "operator")
    return [json.loads(line)["params"]["number"] for line in path.read_text().split("\n") if line]
