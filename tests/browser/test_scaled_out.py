"""The main job over several hosts: the same page, flips and numbers as on one machine, on real engines; then with Redis
and Kafka killed and brought back in the middle of it."""

import json
import subprocess
import sys
import threading
import time
from collections import Counter

import pytest

from gating.ledger.timeline import UNCERTAINTY_US
from gating.status import SECOND_US
from tests.browser.shop import fire, must_be_real, needs_chromium
from tests.eventually import eventually
from tests.processes import ROOT
from tests.scaled_out import Engines, Site
from tests.servers import KafkaCluster, PostgresServer, RedisServer

pytestmark = [pytest.mark.timeout(900), needs_chromium]

SETTLED = ("--settled", "90")
READER = ROOT / "docs" / "read_events.py"


@pytest.fixture
def engines(tmp_path):
    """Of this test's own: it kills them."""
    redis, kafka = RedisServer(tmp_path / "redis"), KafkaCluster(tmp_path / "kafka")
    engines = Engines(redis, kafka, PostgresServer(tmp_path / "postgres"), tmp_path)
    try:
        engines.start()
        yield engines
    finally:
        engines.stop()


@pytest.fixture
def pixelgate(tmp_path, engines):
    return Site(tmp_path, engines)


class Visitors:
    """Each visit is half at one host's collector, half at the other's."""

    def __init__(self, chromium, site, pixelgate, write_key):
        self.chromium, self.site, self.pixelgate, self.write_key = chromium, site, pixelgate, write_key
        self.fetched = set()

    def fire(self, event, count):
        for port in self.pixelgate.ports:
            seen = fire(self.chromium, self.site, port, self.write_key, event, count // len(self.pixelgate.ports))
            assert (seen["loaded"], seen["failed"]) == (count // len(self.pixelgate.ports), 0)
            self.fetched.add(seen["fetched"])


@pytest.fixture
def visitors(chromium, site, pixelgate):
    """At the end every role stops when it is told to, and then each host's books are closed."""
    with pixelgate.running():
        made = pixelgate.json("account", "create", "--id", "shop", "--rulebook", "default")
        visitors = Visitors(chromium, site, pixelgate, made["write_key"])
        yield visitors
    pixelgate.must_conserve(1500)


@pytest.fixture
def reader(visitors, engines):
    """The topics are there once the site runs."""
    reader = Reader(engines.kafka.bootstrap)
    yield reader
    reader.end()


def test_the_same_story_with_the_same_numbers_on_two_hosts_and_four_engines(visitors, reader, pixelgate, engines, site):
    """I1, I2, I9, I10, I11."""
    visitors.fire("accepted", 1000)
    report = pixelgate.json("report", "shop", "--as", "account", *SETTLED)
    assert report["events"] == {"visible": 1000}
    assert {row["name"]: row["events"] for row in report["by_name"]} == {"accepted": 1000}

    flipped = pixelgate.json("account", "do", "shop", "pause")
    assert (flipped["enforced"], flipped["workers"]) == (True, 2)
    visitors.fire("hidden", 500)
    pixelgate.cli("report", "shop", "--as", "account", *SETTLED, code=1)
    assert seen(pixelgate) == {"visible": 1000, "hidden": 500, "unverified": 0}

    pixelgate.json("account", "do", "shop", "resume")
    assert pixelgate.json("report", "shop", "--as", "account", *SETTLED)["events"] == {"visible": 1500}

    pixelgate.json("account", "do", "shop", "cancel")
    visitors.fire("dropped-without-a-trace", 500)
    assert len(visitors.fetched) == 1
    assert seen(pixelgate) == {"visible": 1500, "hidden": 0, "unverified": 0}
    for host in (*pixelgate.hosts, pixelgate.center, engines.folder / "clickhouse", engines.folder / "kafka"):
        assert b"dropped-without-a-trace" not in contents(host)

    exported = pixelgate.folder / "events.ndjson"
    assert pixelgate.json("export", "shop", "--to", str(exported))["events"] == 1500
    must_be_real([json.loads(line) for line in exported.read_text().split("\n") if line], site)
    assert pixelgate.json("verify")["ok"]
    reader.must_have_read({"accepted": 1000})


def test_the_same_numbers_once_settled_when_redis_and_kafka_die_and_come_back(visitors, reader, pixelgate, engines):
    """I5, I10, DESIGN 6: an outage neither leaks nor loses. Redis comes back empty."""
    visitors.fire("accepted", 500)
    kill(engines)
    visitors.fire("accepted", 500)
    outlast_the_clocks_uncertainty()
    flipped = pixelgate.json("account", "do", "shop", "pause")
    assert flipped["enforced"]
    visitors.fire("hidden", 250)
    revive(engines)
    assert seen(pixelgate) == {"visible": 1000, "hidden": 250, "unverified": 0}
    visitors.fire("hidden", 250)
    assert seen(pixelgate) == {"visible": 1000, "hidden": 500, "unverified": 0}

    pixelgate.json("account", "do", "shop", "resume")
    assert pixelgate.json("report", "shop", "--as", "account", *SETTLED)["events"] == {"visible": 1500}
    pixelgate.json("account", "do", "shop", "cancel")
    visitors.fire("dropped-without-a-trace", 250)
    kill(engines)
    visitors.fire("dropped-without-a-trace", 250)
    revive(engines)
    assert seen(pixelgate) == {"visible": 1500, "hidden": 0, "unverified": 0}
    assert len(visitors.fetched) == 1
    assert pixelgate.json("verify")["ok"]
    reader.must_have_read({"accepted": 1000})


def seen(pixelgate):
    return pixelgate.json("report", "shop", "--as", "operator", *SETTLED)["events"]


def outlast_the_clocks_uncertainty():
    """An unverified hit of the last second before a flip is judged by what came after it (I5): there is none here."""
    fired_at = time.monotonic()
    eventually(lambda: time.monotonic() - fired_at > UNCERTAINTY_US / SECOND_US + 0.5)


def kill(engines):
    engines.redis.kill()
    for broker in engines.kafka.brokers:
        broker.kill()


def revive(engines):
    engines.redis.start()
    engines.kafka.start()


class Reader:
    """docs/read_events.py, left to run while the story goes on: whatever it ever prints was open to everybody."""

    def __init__(self, bootstrap):
        self.names, self.ids = Counter(), Counter()
        self.process = subprocess.Popen(
            [sys.executable, READER, bootstrap], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            event = json.loads(line)
            self.names[event["name"]] += 1
            self.ids[event["id"]] += 1

    def must_have_read(self, expected):
        """These, each once, and nothing else."""
        eventually(lambda: self.names.total() >= sum(expected.values()), 60)
        assert (self.names, max(self.ids.values())) == (expected, 1)

    def end(self):
        self.process.kill()
        self.process.wait()


def contents(folder):
    """Every byte of every file below."""
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
