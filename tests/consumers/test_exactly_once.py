"""I10: every kept hit reaches the warehouse exactly once, whenever the consumer dies."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from collector.journal import Journal
from consumers.client import ConsumerClient
from consumers.config import ConsumerSettings
from consumers.warehouse.duckdb import DuckDBWarehouse
from tests.consumers.children.take import POINTS

CHILD = Path(__file__).parent / "children" / "take.py"
ROOT = Path(__file__).parents[2]
SEGMENT_BYTES = 64 * 1024


def start(house, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(CHILD), str(house.data.root), *arguments]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT)})
    assert child.stdout.readline() == "taking\n"
    return child


def kill(child: subprocess.Popen[str]) -> None:
    child.kill()
    child.wait(30)
    child.stdout.close()


def sequences(house) -> dict[str, list[int]]:
    """What the warehouse holds, from its own file, unsorted."""
    warehouse = DuckDBWarehouse.open(house.data.warehouse)
    rows = warehouse._connection.execute("SELECT journal, sequence FROM events ORDER BY ALL").fetchall()
    warehouse.close()
    found: dict[str, list[int]] = {}
    for journal, sequence in rows:
        found.setdefault(journal, []).append(sequence)
    return found


def settle(house) -> None:
    client = ConsumerClient(house.data, ConsumerSettings(data=house.data.root))
    client.sums(settled=60)


@pytest.mark.parametrize("point", POINTS)
def test_a_consumer_killed_at_any_point_of_a_step_neither_loses_nor_doubles(house, point):
    """I10. Two dead journals and a live one, so that journals are drained, removed and followed."""
    house.create()
    written = {}
    for live in (False, False, True):
        journal = Journal.create(house.data.journals, segment_bytes=SEGMENT_BYTES)
        for _ in range(60):
            house.hit(*["v=x"] * 20, journal=journal)
        written[journal.id] = list(range(1, journal.next_sequence))
        if not live:
            journal.close()
    child = start(house, point, "2")
    until = time.monotonic() + 30
    while not _wait(child, 0.05) and time.monotonic() < until:
        house.hit(*["v=y"] * 5, journal=journal)  # or a live journal's second batch would never come
    assert child.returncode == -signal.SIGKILL
    kill(child)
    written[journal.id] = list(range(1, journal.next_sequence))
    settle(house)
    journal.close()
    settle(house)
    assert sequences(house) == written


def _wait(child, seconds: float) -> bool:
    try:
        child.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def test_a_consumer_killed_again_and_again_at_random_neither_loses_nor_doubles(house):
    """I10: no point is safe, so any moment is tried; the seed is printed."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    house.create()
    journal = Journal.create(house.data.journals, segment_bytes=SEGMENT_BYTES)
    for _ in range(8):
        child = start(house)
        until = time.monotonic() + chance.uniform(0, 0.6)
        while time.monotonic() < until:
            house.hit(*["v=x"] * chance.randrange(1, 60), journal=journal)
            _wait(child, 0.005)
        kill(child)
    written = {journal.id: list(range(1, journal.next_sequence))}
    journal.close()
    settle(house)
    assert sequences(house) == written
