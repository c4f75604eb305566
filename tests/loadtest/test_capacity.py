"""The plan's arithmetic: from costs to hosts, partitions and what breaks first; the page shows what it reckons."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.capacity import page
from loadtest.capacity.__main__ import main
from loadtest.capacity.breaks import CELL, SITE, WORKER, breaks
from loadtest.capacity.costs import MAY_BE_ZERO, CostInvalid, Costs, changed, told
from loadtest.capacity.plan import Cell, Host, plan
from tests.processes import ROOT

ROUND = changed(
    Costs(),
    {"hit_us": 10, "new_hit_us": 30, "new_share": 0.5, "event_us": 10, "busy": 0.5, "cores": 12, "spare": 1}
    | {"head_bytes": 800, "packet_bytes": 100, "answer_bytes": 300, "wire_bytes": 100, "journal_bytes": 1000}
    | {"nic_mbit": 1e6, "disk_mb": 1e6, "consumed_us": 5, "replicas": 3, "broker_mb": 100},
)
"""A hit costs 20 us of a worker and 10 of a publisher; all else is round too."""


def test_a_data_directory_has_as_many_workers_as_its_one_publisher_can_carry():
    assert ROUND.mixed_hit_us == 20
    assert Cell.of(ROUND) == Cell(workers=2, hits=50_000)
    slow = changed(ROUND, {"event_us": 40})
    assert Cell.of(slow) == Cell(workers=1, hits=12_500)  # the publisher binds, not the worker


def test_a_host_bears_what_its_scarcest_part_bears():
    assert Host.of(ROUND) == Host(hits=200_000, bound_by="cores")
    assert Host.of(changed(ROUND, {"disk_mb": 100})) == Host(hits=50_000, bound_by="disk")
    assert Host.of(changed(ROUND, {"nic_mbit": 800})) == Host(hits=50_000, bound_by="network in")
    noisy = changed(ROUND, {"nic_mbit": 800, "answer_bytes": 3_600})
    assert Host.of(noisy) == Host(hits=0.5 * 1e8 / 3_800, bound_by="network out")


def test_a_million_hits_a_second_are_reckoned_through():
    made = plan(ROUND, 1_000_000)
    assert (made.hosts, made.cells, made.workers) == (5 + 1, 20, 40)
    assert (made.workers_cores, made.publishers_cores) == (20, 10)
    assert (made.host_disk_mb, made.host_in_mbit, made.host_out_mbit) == (200, 1600, 800)
    assert (made.kafka_mb, made.brokers) == (100, 6)
    assert made.kafka_tb == pytest.approx(100 * 3 * 3 * 86_400 / 1e6)
    assert (made.consumers, made.partitions, made.inserts) == (10, 20, 40)
    assert (made.redis_links, made.clickhouse_cores) == (40 * ROUND.redis_links, 5)


def test_kafka_may_be_away_until_the_first_journal_or_the_disk_is_full():
    made = plan(ROUND, 1_000_000)  # 25 MB/s a worker, 200 MB/s a host
    assert made.spool_bound_by == "the journal's own limit"
    assert made.spool_minutes == pytest.approx(0.85 * ROUND.journal_gb * 1e9 / 25e6 / 60)
    small = plan(changed(ROUND, {"disk_gb": 100}), 1_000_000)
    assert (small.spool_bound_by, small.spool_minutes) == ("the disk", pytest.approx(0.85 * 100e9 / 200e6 / 60))


@given(st.floats(1, 1e8), st.floats(1, 1e8))
def test_more_hits_never_need_less(one, other):
    less, more = sorted((one, other))
    fewer, many = plan(Costs(), less), plan(Costs(), more)
    for name in ("hosts", "cells", "workers", "brokers", "consumers", "partitions", "redis_links", "lead_cores"):
        assert getattr(fewer, name) <= getattr(many, name), name


@given(st.floats(1, 1e8))
def test_no_part_of_a_plan_is_busier_than_was_asked_for(hits):
    costs = Costs()
    made = plan(costs, hits)
    hosts = made.hosts - math.ceil(costs.spare)
    slack = costs.busy * (1 + 1e-9)
    assert hits / made.workers * costs.mixed_hit_us / 1e6 <= slack
    assert hits / made.cells * costs.event_us / 1e6 <= slack
    assert hits / hosts * (costs.mixed_hit_us + costs.event_us) / 1e6 <= slack * costs.cores
    assert hits / made.consumers * costs.consumed_us / 1e6 <= slack
    assert made.host_in_mbit <= slack * costs.nic_mbit
    assert made.host_disk_mb <= slack * costs.disk_mb


def test_what_breaks_is_told_in_the_order_in_which_it_does():
    found = breaks(ROUND)
    for scope in (WORKER, CELL, SITE):
        hits = [one.hits for one in found if one.scope == scope]
        assert hits == sorted(hits)
        assert hits
    at = {one.what.partition(" ")[0]: one.hits for one in found}
    assert at["6"] == 6 * 200_000
    assert next(one.hits for one in found if "publisher" in one.what) == 100_000


def test_connections_that_are_never_new_never_fill_a_worker():
    found = breaks(changed(ROUND, {"new_share": 0}))
    assert [one.hits for one in found if "onnections" in one.what and one.scope == WORKER] == [math.inf, math.inf]
    assert "never" in page.broken(changed(ROUND, {"new_share": 0}))


def test_a_leader_that_is_busy_with_flips_alone_has_no_worker_left():
    busy = changed(ROUND, {"flips": 1000, "flip_us": 2000})
    assert next(one.hits for one in breaks(busy) if "leading" in one.what) == 0


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"hitus": 1}, "did you mean hit_us"),
        ({"zzz": 1}, "there are hit_us"),
        ({"hit_us": 0}, "above 0"),
        ({"hit_us": math.nan}, "above 0"),
        ({"flips": -1}, "0 or more"),
        ({"busy": 1.5}, "a share"),
        ({"cores": math.inf}, "above 0"),
    ],
)
def test_an_input_that_cannot_be_is_refused_by_name(values, word):
    with pytest.raises(CostInvalid, match=word):
        changed(Costs(), values)


@pytest.mark.parametrize("hits", [0, -1, math.nan, math.inf])
def test_there_is_no_plan_for_no_hits(hits):
    with pytest.raises(CostInvalid, match="hits a second"):
        plan(Costs(), hits)


@pytest.mark.parametrize("name", sorted(MAY_BE_ZERO))
def test_what_may_be_zero_still_makes_a_plan(name):
    costs = changed(Costs(), {name: 0})
    assert plan(costs, 1_000_000).hosts > 0
    assert page.broken(costs)


def test_the_command_prints_a_column_each_and_what_was_set(capsys):
    assert main(["--hits", "1000", "2000", "--set", "cores=4", "--inputs"]) == 0
    out = capsys.readouterr().out
    assert "1,000 hits/s" in out
    assert "2,000 hits/s" in out
    assert re.search(r"\| cores +\| +4 \|.*\| +set \|", out)


@pytest.mark.parametrize(
    ("given", "word"), [(["cores"], "NAME=VALUE"), (["cores=x"], "no number"), (["core=4"], "did you mean cores")]
)
def test_the_command_says_on_one_line_what_is_wrong(given, word, capsys):
    assert main(["--set", *given]) == 1
    told = capsys.readouterr().err
    assert word in told
    assert told.count("\n") == 1


def test_the_page_shows_what_the_program_reckons():
    """docs/capacity.md is written by hand around tables that are reckoned: they must be of these very costs."""
    text = (ROOT / "docs" / "capacity.md").read_text(encoding="utf-8")
    for made in (page.plans(Costs(), [1e6, 1e7]), page.broken(Costs()), page.inputs(Costs())):
        assert made in text


def test_each_input_says_whose_word_it_is():
    for name, value, words in told():
        assert words["kind"] in ("measured", "assumed", "limit"), name
        assert words["where"], name
        assert value > 0
