"""Growth on real servers, a point of each kind for a second; whoever lacks wrk sees it skipped."""

import json
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import pytest

from loadtest.bench.cpu import Cores
from loadtest.bench.growth.contenders import Grown
from loadtest.bench.growth.flipping import DONE, Flipped, FlippingGauge
from loadtest.bench.growth.gauge import Pace, Point
from loadtest.bench.growth.lives import Life, Run, live, play
from loadtest.bench.growth.loads import Full, Steady
from loadtest.bench.growth.stock import Stock
from loadtest.heads import HEADS, heads
from loadtest.peers.floors import UvloopFloor
from loadtest.peers.pixelgate import Accounts
from loadtest.peers.server import Place, Running

needs_wrk = pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
PACE = Pace(settle=0.2, seconds=0.6)


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(prefix="growth-") as name:  # a Unix address has 107 bytes: pytest's lie deep
        yield Path(name)


@pytest.fixture
def run(folder):
    (folder / "work").mkdir()
    return Run(folder / "work", Cores.of_this_machine(), 1, PACE, 1)


def points(server, loads):
    written = heads(1, HEADS, server.keys)
    return [Point(load.connections, load, written) for load in loads]


@needs_wrk
def test_a_point_is_measured_under_both_loads_and_every_hit_was_kept(run, folder):
    ours = Grown(Accounts(2, folder / "ledgers"))
    ours.prepare(run.work, run.cores)
    lives = [
        Life(ours, partial(points, loads=(Steady(8, 300.0), Full(8)))),
        Life(UvloopFloor(["k"]), partial(points, loads=[Full(8)])),
    ]
    samples = list(play(lives, run))
    assert [one.faults for one in samples] == [[], [], []]
    assert {one.series for one in samples} == {"pixelgate, 300 hits/s", "pixelgate, full load", "uvloop, full load"}
    assert all(one.cpu_seconds > 0 and one.p99_us > 0 and one.rss_mb > 1 for one in samples)
    steady = next(one for one in samples if "300" in one.series)
    assert 50 < steady.hits < 1000  # a pace is held, whatever the server could bear
    assert list(run.work.iterdir()) == []  # nothing is left


def test_flips_are_done_while_a_point_is_measured(run, folder):
    server = Flipped(Accounts(2, folder / "ledgers"))
    server.prepare(run.work, run.cores)
    point = Point(20.0, Steady(4, 100.0), heads(1, HEADS, server.keys))
    (found,) = live(server, [point], run, 1, FlippingGauge)
    assert found.faults == []
    assert found.more[DONE] > 0
    assert found.more["enforced p99, ms"] > 0


class Losing(Grown):
    """Pixelgate which says that it has kept nothing."""

    def start(self, place: Place) -> Running:
        running = super().start(place)
        running.kept = lambda: 0
        return running


def test_a_life_whose_hits_were_not_all_kept_is_void(run, folder):
    server = Losing(Accounts(2, folder / "ledgers"))
    server.prepare(run.work, run.cores)
    (found,) = live(server, points(server, [Steady(2, 50.0)]), run, 1)
    assert "kept 0 of" in found.faults[0]


def test_a_server_that_does_not_start_makes_its_points_void(run, folder):
    server = Grown(Accounts(2, folder / "ledgers"), settings={"PIXELGATE_CONNECTIONS_MAX": "none"})
    server.prepare(run.work, run.cores)
    found = live(server, points(server, [Steady(2, 50.0), Full(2)]), run, 1)
    assert [one.series for one in found] == ["pixelgate, 50 hits/s", "pixelgate, full load"]
    assert all(one.faults for one in found)


def test_the_steady_load_tells_of_a_server_that_is_not_there(tmp_path):
    (tmp_path / "heads").write_bytes(b"GET / HTTP/1.1\r\n\r\n")
    argv = [sys.executable, "-m", "loadtest.bench.growth.pacer", "1", str(tmp_path / "heads")]
    argv += ["--connections", "1", "--pace", "1", "--settle", "0", "--seconds", "1"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 1
    assert "refused" in json.loads(done.stdout)["failed"]


@needs_wrk
def test_journals_wait_in_as_many_bytes_as_were_asked_for_and_the_stock_stays_whole(run, folder):
    accounts = Accounts(2, folder / "ledgers")
    stock = Stock(accounts, 10_000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("loadtest.bench.growth.stock.LOAD_SECONDS", 1.0)
        stock.make(run.cores, 1)
    before = sorted(path.name for path in stock.place.glob("*/*.segment"))
    accounts.copy(folder / "data")
    assert stock.lay(folder / "data", 0) == []
    laid = stock.lay(folder / "data", 1)
    assert [path.parent.name for path in laid] == ["journals"]
    assert len(list((folder / "data").glob("journals/*/*.segment"))) == 1
    shutil.rmtree(folder / "data")
    assert sorted(path.name for path in stock.place.glob("*/*.segment")) == before
