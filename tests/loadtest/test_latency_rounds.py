"""A turn of the latency bench on a real collector: legs, service times and what it kept agree with each other."""

import argparse
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest

from loadtest.bench.cpu import Cores
from loadtest.bench.latency import __main__ as latency
from loadtest.bench.latency.result import TIMED, Capacity, Result, Step
from loadtest.bench.latency.rounds import Plan, Rounds
from loadtest.bench.latency.service import TimedPixelgate
from loadtest.bench.pace import Pace, compile_pace
from loadtest.peers.floors import EpollFloor
from loadtest.peers.pixelgate import Accounts
from loadtest.peers.server import Running, Server

needs_cc = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
CORES = Cores.of_this_machine()
OF_THE_MACHINE = ("the loader itself was late", "others used")
"""Faults that a busy machine gives: not what is looked at here."""


@pytest.fixture
def work():
    with tempfile.TemporaryDirectory(
        prefix="bench-"
    ) as name:  # a Unix address has 107 bytes: pytest's folders lie deep
        yield Path(name)


def rounds_of(work, connections=4):
    plan = Plan(seconds=0.3, warmup_seconds=0.1, connections=connections, seed=1, wait_seconds=0.0)
    return Rounds(plan, Pace(compile_pace(work), CORES.load, connections), CORES, work)


def ours(faults):
    return [fault for fault in faults if not fault.startswith(OF_THE_MACHINE)]


@needs_cc
def test_a_collector_that_times_itself_times_and_keeps_every_hit_it_answered(work):
    server = TimedPixelgate(Accounts(2, work / "ledgers"), "process", TIMED)
    server.prepare(work, CORES)
    steps = [Step("own", 70, 500), Step("own", 70, 500, poisson=True)]
    turn, legs = rounds_of(work).turn(server, TIMED, steps, 1)
    assert ours(turn.faults) == []
    assert [ours(leg.faults) for leg in legs] == [[], []]
    assert all(leg.service.hits == leg.paced.answered_in_all == leg.paced.sent_in_all > 100 for leg in legs)
    assert turn.answered == 2 + sum(leg.paced.answered_in_all for leg in legs) <= turn.kept
    assert 0 < turn.frames <= turn.kept
    for leg in legs:
        assert 0 < leg.service.given_us["50"] <= leg.service.written_us["50"]
    assert list(work.glob("turn-*")) == []


@needs_cc
def test_a_server_that_keeps_nothing_has_its_turn_too(work):
    server = EpollFloor(["key"])
    server.prepare(work, CORES)
    turn, (leg,) = rounds_of(work).turn(server, server.name, [Step("least", 50, 400)], 2)
    assert (turn.kept, turn.frames, ours(turn.faults), ours(leg.faults)) == (None, None, [], [])
    assert (leg.step, leg.number, leg.paced.due) == ("50 % of least", 2, 120)


class Gone(Server):
    """It started, and is no longer there when it is asked."""

    name = "gone"
    job = "for tests"

    def version(self):
        return "1"

    def start(self, place):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        process = subprocess.Popen(["true"], start_new_session=True)
        process.wait()
        return Running(process, port, place.folder / "words")


@needs_cc
def test_a_server_that_is_gone_costs_its_own_turn(work):
    turn, legs = rounds_of(work).turn(Gone(["key"]), "gone", [Step("own", 50, 100)], 1)
    assert legs == []
    assert "refused" in turn.faults[0]


def test_rates_are_shares_of_each_ones_own_capacity_and_of_the_least():
    result = Result("2026-01-01T00:00:00Z", {}, {})
    result.capacities = [Capacity("pixelgate", rate, 0.9, 0.5, 0.0) for rate in (90_000, 100_000, 1)]
    result.capacities += [Capacity("nginx-lua", 50_000, 0.9, 0.5, 0.0), Capacity("c-epoll", 0, 0, 0, 0, ("no port",))]
    chosen = argparse.Namespace(percents=[70], equal=[50])
    steps = latency._steps(chosen, result, dict.fromkeys(("c-epoll", "nginx-lua", "pixelgate", TIMED)))
    assert steps == {
        "nginx-lua": [Step("own", 70, 35_000), Step("least", 50, 25_000)],
        "pixelgate": [Step("own", 70, 63_000), Step("least", 50, 25_000)],
        TIMED: [Step("own", 70, 63_000), Step("own", 70, 63_000, poisson=True)],
    }


@needs_cc
def test_gaps_are_told_for_both_cores_the_longer_ones_within_the_shorter(work, monkeypatch):
    monkeypatch.setattr(latency, "GAPS_SECONDS", 0.1)
    told = latency.gaps(work, CORES, "before")
    assert [one["core"] for one in told] == [CORES.server, CORES.load]
    for one in told:
        counts = list(one["at_least"].values())
        assert counts == sorted(counts, reverse=True)
        assert 0 <= one["lost"] < 1


def test_a_server_nobody_knows_is_refused(work):
    with pytest.raises(SystemExit, match="no server 'apache'"):
        latency._prepare(latency.options(["--only", "apache"]), Result("", {}, {}), work, CORES)
