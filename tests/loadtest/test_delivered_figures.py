"""The bench of delivered hits: figures, bars, page, JSON and picture say what the turns say, void ones left out."""

import json
import os
import shutil
import subprocess
import xml.etree.ElementTree as ET

import pytest

from loadtest.bench.bars import MISS, PASS, UNKNOWN
from loadtest.bench.cpu import Cores
from loadtest.bench.delivered.load import faults_of, giving_way
from loadtest.bench.delivered.page import bars, document, met, text, write
from loadtest.bench.delivered.plot import plot
from loadtest.bench.delivered.result import FRANZ, OURS, STARLETTE, Delivered, Turn, read
from loadtest.bench.delivered.turn import tell
from loadtest.bench.pace import Paced, PaceFailed
from loadtest.peers.server import free_port


def paced(**more):
    """What a load of 100 hits/s saw."""
    counts = dict.fromkeys(("due", "sent", "answered", "sent_in_all", "answered_in_all"), 100)
    zeros = dict.fromkeys(("bytes", "errors", "wrong", "waited", "warmup", "busy", "resolution"), 0)
    seen = {"rate": 100.0, "seconds": 1.0, "connections": 4, "poisson": True, "achieved": 98.1}
    return Paced(**{**counts, **zeros, **seen, "latency_us": {}, "late_us": {}, "over": {}, "curve": (), **more})


def a_turn(server, number, cpu_us, pace=10_000.0, **more):
    parts = {"collector": cpu_us * 0.06, "publisher": cpu_us * 0.04} if server == OURS else {server: cpu_us * 0.1}
    return Turn(server, pace, number, 100_000, 100_000, pace, parts, peak_mb=50.0, **more)


def a_run(ours_us=35.0):
    """Three rounds at 10,000/s, dearer by the round; the second of ours is void and absurd. One at 2,000/s."""
    run = Delivered("2026-01-01T00:00:00Z", {"processor": "one & only"}, {"load": "paced"}, {OURS: "job <1>"})
    for number in (1, 2, 3):
        run.turns.append(a_turn(FRANZ, number, 40.0 * number))
        void = number == 2
        faults = ("90 delivered of 100 answered hits",) if void else ()
        run.turns.append(a_turn(OURS, number, 999.0 if void else ours_us * number, faults=faults))
    run.turns += [a_turn(STARLETTE, 1, 300.0, 2_000.0), a_turn(OURS, 1, 60.0, 2_000.0)]
    return run


def verdict(run):
    return bars(run)[0][-1]


@pytest.mark.parametrize(("ours_us", "wanted"), [(28.0, f"{PASS}, moonshot"), (40.0, PASS), (40.1, MISS)])
def test_the_bar_is_held_against_the_median_of_the_rounds_ratios(ours_us, wanted):
    run = a_run(ours_us)
    assert verdict(run) == wanted
    assert run.ratio(OURS, FRANZ, 10_000.0).rounds == 2  # the void one counts for nothing


def test_a_bar_that_was_not_measured_is_not_met():
    run = a_run()
    run.turns = [one for one in run.turns if one.server != FRANZ]
    assert verdict(run) == UNKNOWN
    assert not met(run)


def test_a_void_turn_fails_a_strict_run_and_is_told():
    run = a_run()
    assert not met(run)
    assert "90 delivered of 100 answered hits" in text(run)
    assert "999" not in text(run)
    run.turns = [one for one in run.turns if not one.faults]
    assert met(run)


def test_cpu_a_hit_is_the_sum_of_the_processes():
    one = a_turn(OURS, 1, 50.0)
    assert one.cpu_us == pytest.approx(50.0)
    assert one.part_us("publisher") == pytest.approx(20.0)
    assert "collector 30.0 + publisher 20.0" in tell(one)


def test_servers_are_compared_at_one_pace_only():
    run = a_run()
    assert run.ratio(OURS, STARLETTE, 10_000.0) is None
    assert run.ratio(OURS, STARLETTE, 2_000.0).median == pytest.approx(0.2)
    assert run.paces == [10_000.0, 2_000.0]


def test_a_run_is_read_again_from_its_json():
    run = a_run()
    again = read(json.loads(document(run)))
    assert document(again) == document(run)
    with pytest.raises(ValueError, match="format"):
        read({"format": 0})


def test_the_picture_is_well_formed_and_holds_a_bar_for_each_process():
    drawn = ET.fromstring(plot(a_run()))
    titles = [one.text for one in drawn.iter() if one.tag.endswith("title")]
    assert titles.count("collector: 42.0 us") == 1
    assert sum(title.startswith("publisher") for title in titles) == 2
    assert sum(title.startswith(FRANZ) for title in titles) == 1


def test_three_files_are_written(tmp_path):
    assert [path.name for path in write(a_run(), tmp_path)] == ["delivered.md", "delivered.json", "delivered.svg"]


@pytest.mark.parametrize(
    ("seen", "word"),
    [
        ({"answered": 99, "errors": 1}, "99 of 100"),
        ({"wrong": 2}, "2 wrong answers"),
        ({"achieved": 97.9}, "98 hits/s, not 100"),
        ({"achieved": 102.1}, "102 hits/s, not 100"),
    ],
)
def test_a_load_that_was_not_answered_or_off_its_pace_makes_the_turn_void(seen, word):
    assert any(word in fault for fault in faults_of(paced(**seen), 0.02))
    assert faults_of(paced(), 0.02) == []


@pytest.mark.skipif(shutil.which("cc") is None, reason="cc is not installed")
def test_the_load_gives_way_to_what_else_runs_on_its_core(tmp_path):
    pace = giving_way(tmp_path, Cores.of_this_machine().load, 4, 1)
    (tmp_path / "heads").write_bytes(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(PaceFailed, match="connection 0"):  # the words of pace itself, through the script
        pace.run(free_port(), tmp_path / "heads", 10.0, 1.0, 0.0)
    script = pace.program.read_text()
    assert subprocess.run(["sh", "-c", script.replace(str(tmp_path / "pace"), "nice")], check=True, capture_output=True,
                          text=True).stdout.strip() == str(min(os.nice(0) + 10, 19))  # fmt: skip
