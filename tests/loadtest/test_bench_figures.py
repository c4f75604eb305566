"""The benchmark's arithmetic: statistics, CPU accounting, wrk's words, what makes a round void."""

import os
import subprocess
import sys

import pytest
from eventually import eventually
from hypothesis import given
from hypothesis import strategies as st

from loadtest.bench.cpu import Cores, Usage, cpu_seconds, machine_seconds, parse_stat, pinned, tree, waited_seconds
from loadtest.bench.result import Kept
from loadtest.bench.rounds import faults_of
from loadtest.bench.stats import percentile, spread
from loadtest.bench.wrk import Load, Seen, WrkFailed, parse

SEEN = Seen(
    answered=1000,
    sent=1003,
    bytes=341_000,
    duration_us=1_000_000,
    connect=0,
    read=0,
    write=0,
    status=0,
    timeout=0,
    p50_us=500,
    p99_us=900,
    max_us=2000,
)
LINE = (
    'RESULT {"answered":1000,"sent":1003,"bytes":341000,"duration_us":1000000,"connect":0,"read":0,"write":0,'
    '"status":0,"timeout":0,"p50_us":500,"p99_us":900,"max_us":2000}'
)


def changed(**values):
    return Seen(**{**{name: getattr(SEEN, name) for name in Seen.__slots__}, **values})


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=50), st.floats(0, 100))
def test_a_percentile_is_a_measured_value_that_enough_do_not_exceed(values, percent):
    found = percentile(values, percent)
    assert found in values
    assert sum(value <= found for value in values) >= len(values) * percent / 100 - 1e-6


@pytest.mark.parametrize(("percent", "expected"), [(0, 1), (50, 50), (99, 99), (99.5, 100), (100, 100)])
def test_percentiles_are_by_nearest_rank(percent, expected):
    assert percentile(list(range(100, 0, -1)), percent) == expected


@pytest.mark.parametrize(("values", "percent"), [([], 50), ([1.0], -1), ([1.0], 101)])
def test_a_percentile_of_nothing_is_refused(values, percent):
    with pytest.raises(ValueError, match="percentile"):
        percentile(values, percent)


def test_a_spread_holds_median_and_range():
    found = spread([3.0, 1.0, 2.0, 10.0])
    assert found is not None
    assert (found.median, found.least, found.most, found.rounds) == (2.5, 1.0, 10.0, 4)
    assert spread([]) is None


def test_a_command_name_with_spaces_and_brackets_does_not_shift_the_fields():
    fields = ["S", "77", *("0" for _ in range(9)), "11", "12", "13", "14", "20", "0"]
    assert parse_stat(f"42 (a) b (c) {' '.join(fields)}") == Usage(parent=77, ticks=50)


def test_a_tree_holds_children_and_counts_those_that_ended():
    """CPU of a whole process tree: a child's time is in it while it lives, and after its parent has waited for it."""
    burn = "import time\nwhile time.process_time() < 0.2: pass\n"
    source = (
        "import subprocess, sys\n"
        f"subprocess.run([sys.executable, '-c', {burn!r}], check=True)\n"
        "print('waited', flush=True)\n"
        "child = subprocess.Popen(['sleep', '60'])\n"
        "print('child', flush=True)\n"
        "sys.stdin.readline()\n"
        "child.kill(); child.wait()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waited\n"
        assert cpu_seconds(process.pid) >= 0.19
        assert process.stdout.readline() == "child\n"
        eventually(lambda: len(tree(process.pid)) == 2)
        process.communicate("end\n")
    assert tree(process.pid) == {}


def test_a_process_started_while_pinned_stays_there_and_this_one_does_not():
    before = os.sched_getaffinity(0)
    core = min(before)
    with pinned(core):
        told = subprocess.run(
            [sys.executable, "-c", "import os; print(*os.sched_getaffinity(0))"],
            capture_output=True,
            text=True,
            check=True,
        )
    assert told.stdout.split() == [str(core)]
    assert os.sched_getaffinity(0) == before


@pytest.mark.parametrize(
    ("cores", "workers", "own"),
    [
        (Cores(0, 1), 1, {0}),
        (Cores(0, 1), 2, {0}),  # two cores: the load's stays its own, and the workers share
        (Cores(0, 0), 2, {0}),
        (Cores(0, 2, (1,)), 2, {0, 1}),
        (Cores(0, 7, (1, 2, 3, 4, 5, 6)), 2, {0, 1}),
    ],
)
def test_workers_have_cores_of_their_own_where_there_are_enough_and_never_the_loads(cores, workers, own):
    assert cores.of_workers(workers) == own


def test_a_process_can_be_given_several_cores():
    granted = frozenset(os.sched_getaffinity(0))
    with pinned(granted):
        assert os.sched_getaffinity(0) == granted


def test_a_child_that_was_waited_for_counts_for_this_process_and_for_the_machine():
    machine, waited = machine_seconds(), waited_seconds()
    subprocess.run([sys.executable, "-c", "import time\nwhile time.process_time() < 0.2: pass"], check=True)
    assert waited_seconds() - waited >= 0.19
    assert machine_seconds() - machine >= 0.15


def test_the_result_is_found_among_wrks_own_words():
    assert parse(f"Running 1s test @ http://127.0.0.1/\n  1 threads\n{LINE}\nTransfer/sec: 1MB\n") == SEEN


@pytest.mark.parametrize("output", ["", "unable to connect to 127.0.0.1:1\n", "RESULT {\n", 'RESULT {"answered":1}'])
def test_output_without_a_whole_result_is_an_error_that_quotes_it(output):
    with pytest.raises(WrkFailed, match="result"):
        parse(output)


def test_wrk_is_told_seconds_connections_heads_and_pace(tmp_path):
    command = Load(core=None, connections=64, seconds=2, delay_ms=25).command(8080, tmp_path / "heads")
    assert {"-t1", "-c64", "-d2s", "http://127.0.0.1:8080/"} <= set(command)
    assert command[-2:] == [str(tmp_path / "heads"), "25"]
    over_tls = Load(core=None, connections=64, seconds=2, tls=True).command(8443, tmp_path / "heads")
    assert "https://127.0.0.1:8443/" in over_tls


def test_a_round_without_errors_of_one_answer_size_counts():
    assert faults_of(SEEN, answer_bytes=341, connections=64) == []
    assert (
        faults_of(changed(bytes=341_000 + 64 * 341), answer_bytes=341, connections=64) == []
    )  # read in part at the end


@pytest.mark.parametrize(
    ("seen", "word"),
    [
        (changed(status=3), "3 status errors"),
        (changed(connect=1), "1 connect errors"),
        (changed(read=1), "1 read errors"),
        (changed(timeout=2), "2 timeout errors"),
        (changed(answered=0, bytes=0), "no hit"),
        (changed(bytes=341_000 - 341), "not all 341 bytes"),
        (changed(bytes=341_000 + 65 * 341), "not all 341 bytes"),
    ],
)
def test_a_round_with_errors_or_other_answers_is_void(seen, word):
    """A 204 or a redirect is no error to wrk: the sum of bytes tells it."""
    assert word in "; ".join(faults_of(seen, answer_bytes=341, connections=64))


@pytest.mark.parametrize(("kept", "conserved"), [(999, False), (1000, True), (1003, True), (1004, False)])
def test_what_was_kept_lies_between_answered_and_sent(kept, conserved):
    """I1 from outside: an answered hit was kept; one that was never sent cannot have been."""
    assert Kept(kept, answered=1000, sent=1003).conserved is conserved
