"""Several processes on one ledger, and processes that die in the middle of it."""

import os
import random
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gating.feed import StatusChange
from gating.ledger import CHANGE, Ledger, sqlite_url
from tests.eventually import eventually
from tests.gating.ledger.desk import OPERATOR, Desk

ROOT = Path(__file__).parents[3]
ROUNDS = {"long": 60}.get(os.environ.get("PIXELGATE_FAULTS", ""), 20 if os.environ.get("CI") else 6)


def writer(url, name, count):
    command = [sys.executable, "-m", "tests.gating.ledger.writer", url, name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def whole(ledger):
    """History, projections, head and outbox agree."""
    assert ledger.verify_history() == []
    assert ledger.verify_projections() == []
    head = ledger.head().version
    told, after = [], 0
    while page := ledger.outbox(after, kind=CHANGE):
        told += [StatusChange.decode(row.payload).version for row in page]
        after = page[-1].id
    assert told == list(range(1, head + 1))
    return head


def test_two_processes_share_one_counter(url):
    """DESIGN 6: each change gets the next version, whoever writes it; the first two make the ledger together."""
    writers = [writer(url, name, 60) for name in ("a", "b")]
    versions = [[int(line) for line in one.communicate(timeout=60)[0].split()] for one in writers]
    assert [one.returncode for one in writers] == [0, 0]
    assert sorted(versions[0] + versions[1]) == list(range(1, 121))
    assert all(own == sorted(own) for own in versions)
    with Ledger.open(url) as ledger:
        assert whole(ledger) == 120


def test_threads_share_one_counter(ledger):
    desks = [Desk(ledger) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda n: [desks[n].open(f"a{n}"), *(desks[n].add_key(f"a{n}") for _ in range(20))], range(4)))
    assert whole(ledger) == 4 * 21


@pytest.mark.timeout(300)
def test_a_ledger_whose_writer_was_killed_anywhere_is_whole_and_has_every_answered_change(url):
    """I6: kill -9 in the middle of transactions; what was told committed is there, half a transaction never."""
    answered = 0
    randomness = random.Random(7)
    for n in range(ROUNDS):
        process = writer(url, f"a{n}", 1_000_000)
        for _ in range(randomness.randrange(1, 25)):
            answered = int(process.stdout.readline())
        # The next transaction has begun; a random time of spinning puts the kill anywhere within it.
        for _ in range(randomness.randrange(30_000)):
            pass
        process.send_signal(signal.SIGKILL)
        answered = max([answered, *(int(line) for line in process.communicate()[0].split("\n")[:-1])])
        with Ledger.open_reading(url) as ledger:
            ledger.await_writers()  # a server goes on with a commit that it was sent
            assert answered <= whole(ledger) <= answered + 1


def test_a_reader_finishes_what_a_killed_writer_left(path):
    """A journal left behind is rolled back at the next opening, a reader's too."""
    with Ledger.open(sqlite_url(path)) as ledger:
        Desk(ledger).open()
    code = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "c.execute('PRAGMA cache_size = 1'); c.execute('PRAGMA cache_spill = 1'); c.execute('BEGIN IMMEDIATE');"
        "c.execute('UPDATE meta SET head = 99');"
        "[c.execute('INSERT INTO details VALUES (?, 1, ?, ?)', ('shop', f'n{n}', 'x' * 3000)) for n in range(200)];"
        "os.kill(os.getpid(), 9)"
    )
    run = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert run.returncode == -signal.SIGKILL
    assert Path(f"{path}-journal").stat().st_size > 0
    with Ledger.open_reading(sqlite_url(path)) as ledger:
        assert ledger.head().version == 1
        assert ledger.details("shop") == {}
        assert whole(ledger) == 1
    assert not Path(f"{path}-journal").exists()


def test_whoever_awaits_writers_reads_what_they_had_dated(ledger, desk):
    """DESIGN 6: settlement must see every change dated before it looks, one still being committed too."""
    desk.open()
    begun, end, waited = threading.Event(), threading.Event(), threading.Event()

    def write():
        with ledger.begin() as transaction:
            transaction.add_key("shop", at_us=desk.now_us, who=OPERATOR)
            begun.set()
            assert end.wait(10)

    def settle():
        ledger.await_writers()
        waited.set()
        return ledger.head().version

    with ThreadPoolExecutor(2) as threads:
        writing = threads.submit(write)
        assert begun.wait(10)
        settling = threads.submit(settle)
        assert ledger.head().version == 1
        assert not waited.is_set()
        end.set()
        writing.result(10)
        assert settling.result(10) == 2
    assert eventually(waited.is_set)
