"""The publisher as a process: its stop, its locks, an outage under load, what it tells its operator."""

import contextlib
import http.client
import re
import signal
from pathlib import Path

import pytest

from collector.addresses import Addresses
from collector.journal import JournalReader
from collector.metrics import CounterFile, Counters, read_counters
from collector.outcome import Outcome
from collector.publisher.dead_letters import DIRECTORY, DeadLetters, Letter
from collector.publisher.topics import Topics
from collector.refine import event_of
from gating.datadir import DataDirectory
from gating.worker_counters import TOTAL
from tests.collector.publisher.kit import Host, deduped, record, seen, visitors, write
from tests.deploy.console import Console
from tests.eventually import eventually
from tests.processes import Process, free_port
from tests.servers.kafka import KafkaCluster

RSS_BYTES_MAX = 220 * 1024**2
"""What a publisher may use while Kafka is away: some 60 MB of its own, the 64 MB that may wait, and what a reader's
share, a fetch and the allocator take."""


@pytest.fixture
def host(tmp_path):
    host = Host(tmp_path / "data")
    yield host
    host.close()


@pytest.fixture
def own_kafka(tmp_path, kafka_cluster):  # kafka_cluster: skips where Kafka cannot be had
    cluster = KafkaCluster(tmp_path / "kafka")
    cluster.start()
    yield cluster
    cluster.stop()


@contextlib.contextmanager
def publisher(host, log: Path, bootstrap: str, **settings):
    process = Process(["-m", "collector.publisher"], host.data.root, log, kafka_bootstrap=bootstrap, **settings)
    try:
        yield process
    finally:
        process.kill()


def cursor(host, journal) -> int:
    """The next sequence that a reader of this journal would begin with."""
    with contextlib.closing(JournalReader(journal.path, host.data.quarantine)) as reader:
        return reader.next_sequence


def rss_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024


def metric(port: int, name: str) -> float | None:
    """One sample without labels; None while it is not there."""
    with contextlib.suppress(OSError):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        finally:
            connection.close()
        found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else None
    return None


async def test_a_stop_ends_the_process_though_kafka_is_gone_and_nothing_is_lost(host, own_kafka, tmp_path):
    """aiokafka's `stop()` waits for what it cannot deliver; the cursor stands where it should."""
    journal = host.journal()
    write(journal, visitors(300))
    with publisher(host, tmp_path / "log", own_kafka.bootstrap) as process:
        eventually(lambda: process.must_live() and cursor(host, journal) == 301, 60)
        own_kafka.brokers[0].kill()
        write(journal, visitors(300))
        eventually(process.must_live)
        assert process.stop(seconds=40) == 0
    assert cursor(host, journal) == 301
    own_kafka.brokers[0].start()
    journal.close()
    with publisher(host, tmp_path / "log", own_kafka.bootstrap) as process:
        eventually(lambda: process.must_live() and host.owed() == [], 60)
        assert process.stop() == 0
    found = deduped(await seen(own_kafka.bootstrap, *Topics().of_events))
    assert sorted(one.sequence for one in found) == list(range(1, 601))


async def test_kafka_killed_under_load_costs_neither_an_event_nor_memory(host, own_kafka, tmp_path):
    """I10, DESIGN 9: while Kafka is away the journals grow on disk, the publisher does not; then everything arrives
    once for whoever drops by id."""
    journal, port = host.journal(), free_port()
    padding = "&p=" + "x" * 600
    with publisher(host, tmp_path / "log", own_kafka.bootstrap, metrics_port=port) as process:
        written = write(journal, (record(visitor=f"v{n % 997}", extra=padding) for n in range(5_000)))
        eventually(lambda: process.must_live() and cursor(host, journal) == written + 1, 60)
        own_kafka.brokers[0].kill()
        before = metric(port, "pixelgate_publisher_spool_bytes")
        for _ in range(20):  # 75 MB of heads, twenty times what a share is
            written += write(journal, [record(visitor=f"v{n % 997}", extra=padding) for n in range(5_000)])
        eventually(lambda: process.must_live() and metric(port, "pixelgate_publisher_owed") == 100_000, 60)
        assert metric(port, "pixelgate_publisher_spool_bytes") > before
        assert rss_bytes(process.pid) < RSS_BYTES_MAX
        own_kafka.brokers[0].start()
        eventually(lambda: process.must_live() and cursor(host, journal) == written + 1, 100)
        assert rss_bytes(process.pid) < RSS_BYTES_MAX
        assert process.stop() == 0
    found = deduped(await seen(own_kafka.bootstrap, *Topics().of_events))
    assert sorted(one.sequence for one in found) == list(range(1, written + 1))


async def test_a_killed_publisher_loses_nothing_and_what_it_sent_twice_is_told_by_its_sequence(
    host, own_kafka, tmp_path
):
    """I10: SIGKILL at any moment."""
    journal = host.journal()
    for _ in range(3):
        with publisher(host, tmp_path / "log", own_kafka.bootstrap) as process:
            stood = cursor(host, journal)
            write(journal, visitors(20_000))
            eventually(lambda stood=stood: process.must_live() and cursor(host, journal) > stood, 60)
            process.signal(signal.SIGKILL)
    journal.close()
    with publisher(host, tmp_path / "log", own_kafka.bootstrap) as process:
        eventually(lambda: process.must_live() and host.owed() == [], 60)
        process.stop()
    found = deduped(await seen(own_kafka.bootstrap, *Topics().of_events))
    assert sorted(one.sequence for one in found) == list(range(1, 60_001))


def test_counters_of_workers_whose_journals_are_published_and_gone_are_folded(host, own_kafka, tmp_path):
    """Else their files would grow for ever: an embedded consumer folds them, and none runs on a publisher's host."""
    journal = host.journal()
    write(journal, visitors(50))
    journal.close()
    counters = Counters()
    counters.outcomes[Outcome.ACCEPTED] = 50
    file = CounterFile(host.data.counters, journal=journal.id, worker=0)
    file.publish(counters, connections=0, version=1, leased=True, clean=True)
    with publisher(host, tmp_path / "log", own_kafka.bootstrap) as process:
        eventually(lambda: process.must_live() and not (host.data.counters / f"{journal.id}.json").exists(), 60)
        process.stop()
    (total,) = read_counters(host.data.counters)
    assert (total.journal, total.kept) == (TOTAL, 50)


def test_one_reader_takes_the_journals_of_a_data_directory_over(host, kafka_cluster, tmp_path):
    """An embedded consumer and a publisher would each remove what the other still needs."""
    with publisher(host, tmp_path / "first", kafka_cluster.bootstrap) as process:
        eventually(lambda: process.must_live() and host.data.is_held("journals"), 30)
        with publisher(host, tmp_path / "second", kafka_cluster.bootstrap) as second:
            assert second.popen.wait(30) == 1
            assert "holds the role 'publisher'" in second.log
        embedded = Process(["-m", "consumers"], host.data.root, tmp_path / "consumer")
        assert embedded.popen.wait(30) == 1
        assert "holds the role 'journals'" in embedded.log
        process.stop()


def test_without_a_broker_named_it_says_so(host, tmp_path):
    process = Process(["-m", "collector.publisher"], host.data.root, tmp_path / "log")
    assert process.popen.wait(30) == 2
    assert "KAFKA_BOOTSTRAP is not set" in process.log


def test_it_waits_for_a_kafka_that_is_not_there_yet(host, tmp_path):
    port = free_port()
    with publisher(host, tmp_path / "log", f"127.0.0.1:{free_port()}", metrics_port=port) as process:
        eventually(lambda: "connecting to Kafka failed" in process.log, 30)
        assert metric(port, "pixelgate_publisher_owed") == 0
        assert process.stop() == 0


@pytest.fixture
def lettered(tmp_path):
    """A data directory with one dead letter."""
    data = DataDirectory.open(tmp_path / "data")
    host = Host(data.root)
    journal = host.journal()
    write(journal, [record("shop", "anna")])
    journal.close()
    with contextlib.closing(JournalReader(journal.path, data.quarantine)) as reader:
        (one,) = reader.read().records
    event = event_of(one, journal.id, Addresses())
    letters = DeadLetters(data.root / DIRECTORY)
    letters.append(
        [Letter(journal.id, 1, "pixel.events", "too large for the broker", 1_790_000_000_000_000, event.encode())]
    )
    letters.close()
    return data, event


def test_dead_letters_are_shown_without_keys_and_sent_again_by_the_command_line(lettered, own_kafka):
    data, event = lettered
    pixelgate = Console(data.root)
    screen = pixelgate("journal", "dead-letters")
    assert screen.code == 0
    assert event.id in screen.out
    assert "too large for the broker" in screen.out
    assert "shop.example" not in screen.out
    (letter,) = pixelgate("journal", "dead-letters", "--json").json["letters"]
    assert letter["event"]["write_key"] == "key"
    unset = pixelgate("journal", "resend")
    assert (unset.code, "KAFKA_BOOTSTRAP" in unset.error_line) == (2, True)
    done = pixelgate("journal", "resend", data.root, "--json", KAFKA_BOOTSTRAP=own_kafka.bootstrap)
    assert done.json == {"sent": 1, "refused": []}
    assert pixelgate("journal", "dead-letters", "--json").json == {"letters": [], "sent": 1, "damaged": []}
