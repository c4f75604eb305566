"""A role run alone tells its operator: `/metrics` and health on --metrics-port."""

import http.client
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from collector.metrics import read_counters
from deploy.metrics_port import SILENT_SECONDS, late_words
from gating.gateway import Gateway
from tests.consumers.house import House, now_us
from tests.consumers.test_purge import DAY_US, delete
from tests.deploy.console import Console
from tests.deploy.workers import SECOND_US, published
from tests.eventually import eventually
from tests.processes import accepts, environment, free_port, gating

START_SECONDS = 60.0


def get(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode("latin-1")
    finally:
        connection.close()


def ready(port: int) -> tuple[int, list[str]]:
    status, text = get(port, "/health/ready")
    return status, json.loads(text)["reasons"]


def sample(port: int, name: str) -> float | None:
    """The value of one sample; None where it is absent."""
    lines = get(port, "/metrics")[1].splitlines()
    return next((float(line.split()[-1]) for line in lines if line.startswith(f"{name} ")), None)


@contextmanager
def role(pixelgate: Console, log: Path, *arguments: object, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as output:
        process = subprocess.Popen(
            [pixelgate.script, *map(str, arguments)],
            env=environment(pixelgate.data, **settings), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(START_SECONDS) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


def test_the_collectors_port_sums_its_workers_and_is_ready_when_they_all_are(
    pixelgate: Console, shop: Gateway, tmp_path: Path
) -> None:
    """Without a gating service there is no lease: hits are kept unverified, which a load balancer should avoid."""
    port, metrics = free_port(), free_port()
    key = shop.keys("shop")[0]["write_key"]
    arguments = ("collector", "--host", "127.0.0.1", "--port", port, "--workers", 2, "--metrics-port", metrics)
    with role(pixelgate, tmp_path / "log", *arguments):
        eventually(lambda: accepts(metrics) and accepts(port), START_SECONDS)
        assert get(metrics, "/health/live") == (200, '{"live":true}')
        told = eventually(lambda: (r := ready(metrics)) and len(r[1]) == 2 and r, START_SECONDS)
        assert told[0] == 503
        assert all("no lease" in reason for reason in told[1]), told
        with gating(pixelgate.data, tmp_path / "gating"):
            eventually(lambda: ready(metrics) == (200, []), START_SECONDS)
            for _ in range(20):
                get(port, f"/p/{key}.gif")
            accepted = 'pixelgate_hits_total{outcome="accepted",reason=""}'
            eventually(lambda: sample(metrics, accepted) == 20)
            assert sample(metrics, "pixelgate_workers") == sample(metrics, "pixelgate_workers_leased") == 2
            victim = read_counters(pixelgate.data / "counters")[0].pid
            os.kill(victim, signal.SIGSTOP)
            try:
                eventually(lambda: ready(metrics)[0] == 503, START_SECONDS)
                assert "told nothing for 5 s" in ready(metrics)[1][0]
            finally:
                os.kill(victim, signal.SIGCONT)
            eventually(lambda: ready(metrics) == (200, []), START_SECONDS)
    assert not accepts(metrics)


def test_the_consumers_port_tells_what_was_taken_and_what_is_owed_and_a_second_consumer_is_refused(
    pixelgate: Console, shop: Gateway, tmp_path: Path
) -> None:
    port, metrics = free_port(), free_port()
    key = shop.keys("shop")[0]["write_key"]
    with (
        role(pixelgate, tmp_path / "collector", "collector", "--host", "127.0.0.1", "--port", port, "--workers", 1),
        role(pixelgate, tmp_path / "consumer", "consumer", "materialise", "--metrics-port", metrics) as first,
    ):
        eventually(lambda: accepts(metrics) and accepts(port), START_SECONDS)
        second = pixelgate("consumer", "materialise")
        assert second.code == 1
        assert f"process {first.pid} holds the role 'consumer'" in second.error_line
        assert get(metrics, "/health/live")[0] == get(metrics, "/health/ready")[0] == 200
        for _ in range(7):
            get(port, f"/p/{key}.gif")
        eventually(lambda: sample(metrics, "pixelgate_consumer_events_total") == 7)
        eventually(lambda: sample(metrics, "pixelgate_consumer_owed") == 0)
        assert sample(metrics, "pixelgate_consumer_batch_seconds_count")
        for name in ("duplicates_total", "missing_total", "repeated_total", "settling_blocked"):
            assert sample(metrics, f"pixelgate_consumer_{name}") == 0


def test_the_purgers_port_tells_what_waits_and_why_and_a_second_purger_is_refused(
    pixelgate: Console, tmp_path: Path
) -> None:
    pytest.importorskip("chdb")
    metrics, engine = free_port(), f"chdb://{tmp_path / 'engine'}"
    arguments = ("consumer", "purge", "--metrics-port", metrics)
    with role(pixelgate, tmp_path / "log", *arguments, clickhouse_url=engine) as process:
        eventually(lambda: accepts(metrics) and ready(metrics)[0] == 503, START_SECONDS)
        assert "ledger" in ready(metrics)[1][0]
        assert sample(metrics, "pixelgate_consumer_purge_blocked") == 1
        house = House(pixelgate.data)
        house.create("gone", at_us=now_us() - 30 * DAY_US)
        eventually(lambda: ready(metrics) == (200, []), START_SECONDS)
        assert sample(metrics, "pixelgate_consumer_purge_blocked") == 0
        delete(house, "gone")
        eventually(lambda: sample(metrics, "pixelgate_consumer_purges_waiting") == 1, START_SECONDS)
        assert sample(metrics, "pixelgate_consumer_receipts_total") == 0
        second = pixelgate("consumer", "purge", CLICKHOUSE_URL=engine)
        assert second.code == 1
        assert f"process {process.pid} holds the role 'purge'" in second.error_line
        assert process.poll() is None
        house.close()


@pytest.mark.parametrize(
    "arguments", [("collector", "--host", "127.0.0.1", "--port", "0"), ("consumer", "materialise")]
)
def test_a_metrics_port_that_is_busy_is_named_in_one_line(pixelgate: Console, arguments: tuple[str, ...]) -> None:
    port = free_port()
    with Console(pixelgate.data.with_name("other")).start("gating", "--admin-port", str(port)) as stranger:
        eventually(lambda: accepts(port), START_SECONDS)
        ran = pixelgate(*arguments, "--metrics-port", port)
        stranger.terminate()
    assert ran.code in (1, 3)
    assert f"port {port}" in ran.error_line


def test_of_each_process_the_newest_fresh_word_counts() -> None:
    now_us = 100 * SECOND_US
    old = now_us - int((SILENT_SECONDS + 1) * SECOND_US)
    counters = [
        published("a", pid=1, at_us=old),
        published("b", pid=2, at_us=now_us),
        published("c", pid=3, at_us=now_us),
    ]
    assert [p.journal for p in late_words(counters, [1, 2], now_us / 1e6)] == ["b"]
