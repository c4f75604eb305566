"""Write keys are rotated and revoked while they are in use: on every worker, to the hit; other keys lose nothing."""

import contextlib
import json
import socket
import threading
import time

import pytest

from gating.datadir import DataDirectory
from gating.gateway import Gateway
from gating.times import parse_rfc3339
from tests.eventually import eventually
from tests.system import System

HITS_A_CONNECTION = 25  # then another one: the kernel deals connections out to the workers
GRACE_SECONDS = 3
CLOCKS_US = 500_000  # a client's clock beside the gate's


class Fire(threading.Thread):
    """One client of one key; `hits` are (number, sent, answered by, after the change had returned)."""

    def __init__(self, port, key, name):
        super().__init__()
        self.port, self.key, self.prefix = port, key, name
        self.hits = []
        self.stopping, self.returned = threading.Event(), threading.Event()

    def run(self):
        while not self.stopping.is_set():
            with socket.create_connection(("127.0.0.1", self.port), timeout=10) as client:
                for _ in range(HITS_A_CONNECTION):
                    self.fire(client)

    def fire(self, client):
        number, after, sent_us = f"{self.prefix}-{len(self.hits)}", self.returned.is_set(), time.time_ns() // 1000
        client.sendall(f"GET /p/{self.key}.gif?e=hit&number={number} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        data = b""
        while not data.endswith(b";"):  # a GIF's last byte
            data += client.recv(65536) or b"closed;"
        assert data.startswith(b"HTTP/1.1 200 "), data
        self.hits.append((number, sent_us, time.time_ns() // 1000, after))

    @property
    def afterwards(self):
        return sum(after for *_, after in self.hits)


@contextlib.contextmanager
def firing(port, keys, clients=2):
    """Clients of each key while the block runs; they must not have failed."""
    fires = {name: [Fire(port, key, f"{name}{n}") for n in range(clients)] for name, key in keys.items()}
    everybody = [fire for group in fires.values() for fire in group]
    for fire in everybody:
        fire.start()
    try:
        yield fires
    finally:
        for fire in everybody:
            fire.stopping.set()
        for fire in everybody:
            fire.join(30)
            assert not fire.is_alive()


@pytest.mark.timeout(180)
def test_a_key_that_is_revoked_or_whose_grace_ends_stops_everywhere_and_the_others_lose_nothing(tmp_path):
    """RULEBOOKS, segment 2; I5: no hit on a key is kept that was sent after its revocation had returned."""
    system = System(tmp_path, workers=2)
    with system.running():
        gateway = Gateway.open(DataDirectory(system.data))
        keys = {"www": gateway.create_account("shop", rulebook="default")["write_key"]}
        keys |= {name: gateway.create_key("shop", source=name)["write_key"] for name in ("blog", "app")}
        with firing(system.port, keys) as old:
            eventually(lambda: all(len(fire.hits) > 50 for group in old.values() for fire in group), 30)
            new = gateway.rotate_key("shop", source="app", grace_seconds=GRACE_SECONDS)["write_key"]
            with firing(system.port, {"new": new}) as more:
                gateway.revoke_key("shop", key=keys["blog"])
                for group in old.values():
                    for fire in group:
                        fire.returned.set()
                states = {key["write_key"]: key["revoked_at"] for key in gateway.keys("shop")}
                ends_us = parse_rfc3339(states[keys["app"]])
                eventually(lambda: time.time_ns() // 1000 > ends_us + 2 * CLOCKS_US, 30)
                eventually(lambda: all(fire.afterwards > 200 for group in old.values() for fire in group), 30)
        fires = old | more
        report = system.json("report", "shop", "--as", "operator", "--settled", "60")
        assert report["events"]["unverified"] == 0
        kept = exported(system, tmp_path / "events.ndjson")
        check(fires, kept, ends_us)
        assert json.loads(system.cli("verify", "--json").stdout)["ok"]


def check(fires, kept, ends_us):
    """What became of each hit, by the warehouse."""
    for name in ("www", "new"):
        lost = [number for fire in fires[name] for number, *_ in fire.hits if number not in kept]
        assert lost == [], name
    blog = [hit for fire in fires["blog"] for hit in fire.hits]
    assert [hit for hit in blog if hit[3] and hit[0] in kept] == []  # sent after the call had returned
    known = [number for number, *_ in blog if number in kept]
    assert len(known) > 100  # and it was kept before
    app = [hit for fire in fires["app"] for hit in fire.hits]
    assert [row for row in kept.values() if row["number"].startswith("app") and row["at_us"] >= ends_us] == []
    assert [hit for hit in app if hit[2] < ends_us - CLOCKS_US and hit[0] not in kept] == []
    assert [hit for hit in app if hit[1] > ends_us + CLOCKS_US and hit[0] in kept] == []
    assert any(hit[1] > ends_us + CLOCKS_US for hit in app)
    for name in ("www", "blog", "new"):  # both workers took part
        journals = {row["journal"] for row in kept.values() if row["number"].startswith(name)}
        assert len(journals) == 2, name


def exported(system, path):
    """The kept hits by number."""
    system.cli("export", "shop", "--as", "operator", "--to", str(path))
    found = {}
    for line in path.read_text().splitlines():
        event = json.loads(line)
        number = event["params"]["number"]
        assert number not in found, "kept twice"
        found[number] = {
            "number": number, "journal": event["id"].split("-")[0], "at_us": parse_rfc3339(event["received_at"]),
        }  # fmt: skip
    return found
