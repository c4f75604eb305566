"""The counters of workers that are gone, in one file: nothing is lost or doubled, whenever a fold dies or is read."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import orjson
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest

from collector.errors import TotalDamaged
from collector.metrics import Published, read_all, read_counters
from collector.totals import LOST_MAX, fold
from gating.exposition import WorkerCounters
from gating.worker_counters import TOTAL
from tests.collector.counter_files import POINTS, journal_id, kept, leave
from tests.processes import ROOT

CHILD = Path(__file__).with_name("counter_files.py")


@pytest.fixture
def counters(tmp_path):
    (tmp_path / "journals").mkdir()
    (tmp_path / "counters").mkdir()
    return tmp_path / "counters"


def folded(counters, **taken: int) -> int:
    """One fold; by default everything that was kept was taken over."""
    return fold(counters, counters.parent / "journals", lambda: {**kept(counters), **taken})


def files(counters) -> set[str]:
    return {path.name for path in counters.iterdir()}


def summed(found: list[Published]) -> tuple[int, int, int, int, int]:
    """What must be the same before and after any fold."""
    lost = sum(p.killed for p in found) + sum(1 for p in found if p.journal != TOTAL and not p.clean)
    return (
        sum(p.hits for p in found),
        sum(p.kept for p in found),
        sum(p.connections_refused for p in found),
        sum(p.workers for p in found),
        lost,
    )


def scraped(counters) -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(WorkerCounters(counters))
    return b"\n".join(sorted(generate_latest(registry).splitlines()))


def test_what_was_folded_counts_once_in_every_sum(counters):
    for number in range(1, 6):
        leave(counters, number, clean=number != 3, accepted=number, dropped_status=10 * number)
    before, metrics = summed(read_counters(counters)), scraped(counters)
    assert folded(counters) == 5
    assert files(counters) == {"total.json"}
    assert (summed(read_counters(counters)), scraped(counters)) == (before, metrics)
    leave(counters, 6, accepted=1)
    assert folded(counters) == 1
    assert summed(read_counters(counters)) == (before[0] + 1, before[1] + 1, before[2] + 6, 6, 1)
    assert [one.journal for one in read_counters(counters)[0].lost] == [journal_id(3)]


@pytest.mark.parametrize("point", POINTS)
def test_a_fold_killed_at_any_point_neither_loses_nor_doubles(counters, point):
    """There is a total already, so that names of two folds meet."""
    leave(counters, 1, accepted=1)
    folded(counters)
    for number in range(2, 6):
        leave(counters, number, clean=number % 2 == 0, accepted=number, malformed=1)
    before, metrics = summed(read_counters(counters)), scraped(counters)
    child = subprocess.run([sys.executable, CHILD, counters.parent, point], env={"PYTHONPATH": str(ROOT)}, check=False)
    assert child.returncode == -signal.SIGKILL
    assert (summed(read_counters(counters)), scraped(counters)) == (before, metrics)
    leave(counters, 6, accepted=1)
    folded(counters)
    assert files(counters) == {"total.json"}
    assert summed(read_counters(counters)) == (before[0] + 1, before[1] + 1, before[2] + 6, 6, before[4])


def test_whoever_reads_while_files_are_folded_counts_each_once(counters):
    for number in range(1, 61):
        (counters.parent / "journals" / leave(counters, number, accepted=1)).mkdir()
    before = summed(read_counters(counters))

    def fold_one_by_one() -> None:
        for number in range(1, 61):
            (counters.parent / "journals" / journal_id(number)).rmdir()
            folded(counters)

    folding = threading.Thread(target=fold_one_by_one)
    folding.start()
    while folding.is_alive():
        assert summed(read_counters(counters)) == before
    folding.join()
    assert files(counters) == {"total.json"}


def test_a_worker_whose_journal_is_there_is_not_folded(counters):
    """It may still count: its last word comes before it gives the journal's lock back."""
    journal = leave(counters, 1, accepted=1)
    (counters.parent / "journals" / journal).mkdir()
    assert folded(counters) == 0
    (counters.parent / "journals" / journal).rmdir()
    assert folded(counters) == 1


@pytest.mark.parametrize(
    ("clean", "taken", "certain"),
    [(True, 5, True), (True, 4, False), (True, 6, False), (False, 6, True), (False, 4, False)],
)
def test_what_does_not_agree_with_what_was_taken_over_stays_for_verify_to_tell(counters, clean, taken, certain):
    journal = leave(counters, 1, clean=clean, accepted=5)
    assert folded(counters, **{journal: taken}) == certain


def test_the_lost_are_all_counted_and_the_newest_are_named(counters):
    for number in range(1, LOST_MAX + 3):
        leave(counters, number, clean=False, dropped_no_key=1)
    folded(counters)
    total = read_counters(counters)[0]
    assert (total.killed, total.workers, len(total.lost)) == (LOST_MAX + 2, LOST_MAX + 2, LOST_MAX)


@pytest.mark.parametrize("damage", [b"", b"[]", b'{"journal": "total"}', b"\0" * 300])
def test_a_damaged_total_is_told_and_never_written_over(counters, damage):
    leave(counters, 1, accepted=1)
    (counters / "total.json").write_bytes(damage)
    with pytest.raises(TotalDamaged, match="restore it"):
        folded(counters)
    assert (counters / "total.json").read_bytes() == damage
    assert read_all(counters)[1] == [TOTAL]
    assert summed(read_counters(counters))[:2] == (1, 1)


def test_files_of_other_releases_are_read(counters):
    """What a newer one adds is passed over, what an older one lacks is as nothing."""
    document = orjson.loads((counters / f"{leave(counters, 1, accepted=3)}.json").read_bytes())
    newer = {**document, "colour": "blue", "outcomes": {**document["outcomes"], "mirrored": 2}, "hits": 5}
    (counters / f"{journal_id(2)}.json").write_bytes(orjson.dumps(newer))
    (counters / f"{journal_id(3)}.json").write_bytes(orjson.dumps({"hits": 4, "outcomes": {"accepted": 4}}))
    found, unreadable = read_all(counters)
    assert ({p.journal: p.hits for p in found}, unreadable) == (
        {journal_id(1): 3, journal_id(2): 5, journal_id(3): 4},
        [],
    )
    assert not any(p.leased for p in found if p.journal == journal_id(3))
    for damaged in (b'{"hits": "many"}', b"7", b""):
        (counters / f"{journal_id(3)}.json").write_bytes(damaged)
        assert read_all(counters)[1] == [journal_id(3)]
