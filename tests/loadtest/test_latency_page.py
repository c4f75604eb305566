"""The latency page: medians of the legs that count, bars at both ends of a service time, curves that hits bear."""

import json
import xml.etree.ElementTree as ET

import pytest

from loadtest.bench.bars import MISS, PASS, UNKNOWN
from loadtest.bench.latency.page import bars, text, write
from loadtest.bench.latency.plot import curve
from loadtest.bench.latency.result import TIMED, Capacity, Leg, Result, Step, Turn
from loadtest.bench.latency.service import Service, between, parse, percentiles
from loadtest.bench.pace import Paced
from loadtest.peers.server import ServerFailed

PERCENTS = ("50", "90", "99", "99.9", "99.99", "max")
OWN, LEAST = Step("own", 70, 70_000), Step("least", 50, 20_000)


def paced(us, rate=70_000.0, achieved=None):
    answered = 10_000
    late = dict.fromkeys(PERCENTS, 1.0)
    return Paced(
        rate, 1.0, 0.0, 64, False, answered, answered, answered, answered * 100, 0, 0, 3, answered, answered,
        achieved or rate, 0.4, 1 / 128, {p: us * (at + 1) for at, p in enumerate(PERCENTS)}, late,
        {"1ms": 12, "10ms": 0, "100ms": 0}, [(0.0, us), (50.0, us), (99.0, us * 3), (99.99, us * 50)],
    )  # fmt: skip


def a_result(p50=9.0, p99=90.0):
    """Three rounds of two servers, one leg of ours void and absurd."""
    result = Result("2026-01-01T00:00:00Z", {"processor": "one & only"}, {"rounds": "3"})
    result.capacities = [Capacity("nginx-lua", 90_000, 0.99, 0.7, 0.0), Capacity("pixelgate", 100_000, 0.98, 0.8, 0.0)]
    result.steps = {"nginx-lua": [OWN, LEAST], "pixelgate": [OWN, LEAST], TIMED: [OWN, Step("own", 70, 70_000, True)]}
    for number in (1, 2, 3):
        for server, us in (("nginx-lua", 30.0), ("pixelgate", 40.0)):
            for step in (OWN, LEAST):
                void = (server, step, number) == ("pixelgate", OWN, 2)
                faults = ("the loader itself was late",) if void else ()
                result.legs.append(Leg(server, step.name, number, paced(9e9 if void else us * number), faults=faults))
        inside = Service(
            10_000, {"50": p50, "90": 2, "99": p99, "99.9": 4}, {"50": p50 + 5, "90": 2, "99": 60, "99.9": 4}
        )
        result.legs.append(Leg(TIMED, OWN.name, number, paced(40.0), service=inside))
        result.turns.append(Turn(TIMED, number, 10_002, 10_002, 10_002, 5_001))
    result.gaps = [
        {"when": "before", "core": 0, "seconds": 2.0, "lost": 0.03, "longest_us": 5000, "at_least": {"20 us": 9}}
    ]
    return result


def test_a_table_has_the_median_of_the_legs_that_count_and_names_the_void_ones():
    result = a_result()
    assert result.spread("pixelgate", OWN.name, lambda leg: leg.paced.latency_us["50"]).median == 80.0
    page = text(result)
    row = next(line for line in page.splitlines() if line.startswith("| pixelgate") and "70,000" in line)
    assert "80 (40-120)" in row
    assert "2 of 3" in row
    assert "- pixelgate, 70 % of own, round 2: the loader itself was late" in page
    timed = next(line for line in page.splitlines() if line.startswith("| 70 % of own: given"))
    assert timed.split("|")[-3].strip() == "2.0"  # hits a frame


def test_a_turn_that_lost_hits_makes_its_legs_count_no_more():
    result = a_result()
    result.turns.append(Turn("nginx-lua", 3, 100, 100, 99, faults=("kept 99 of 100",)))
    assert [leg.number for leg in result.valid("nginx-lua", OWN.name)] == [1, 2]
    assert "- nginx-lua, round 3: kept 99 of 100" in text(result)


def test_an_overloaded_leg_counts_and_is_told():
    result = a_result()
    result.legs[0] = Leg("nginx-lua", OWN.name, 1, paced(30.0, achieved=60_000.0))
    row = next(line for line in text(result).splitlines() if line.startswith("| nginx-lua") and "70,000" in line)
    assert row.split("|")[-3].strip() == "1"


@pytest.mark.parametrize(
    ("p50", "p99", "found"), [(9.0, 90.0, [PASS, PASS, MISS, PASS]), (11.0, 110.0, [MISS, MISS, MISS, PASS])]
)
def test_service_times_are_held_to_their_bars_before_and_after_the_write(p50, p99, found):
    assert [verdict for *_, verdict in bars(a_result(p50, p99))] == found


def test_what_was_not_measured_passes_no_bar():
    result = a_result()
    result.legs = [leg for leg in result.legs if leg.server != TIMED]
    assert {verdict for *_, verdict in bars(result)} == {UNKNOWN}
    assert "not measured" in text(result)


def test_a_run_without_anything_is_a_page_all_the_same():
    assert "## Bars" in text(Result("2026-01-01T00:00:00Z", {}, {}))


def test_the_curve_ends_where_too_few_hits_were_slower(tmp_path):
    result = a_result()
    assert [percent for percent, _ in curve(result, "nginx-lua", OWN.name)] == [0.0, 50.0, 99.0]
    paths = write(result, tmp_path)
    assert [path.name for path in paths] == ["latency.md", "latency.json", "latency.svg"]
    whole = json.loads(paths[1].read_text())
    assert len(whole["legs"]) == len(result.legs)
    assert whole["legs"][0]["paced"]["curve"][1] == [50.0, 30.0]
    drawn = ET.fromstring(paths[2].read_text())
    words = [node.text for node in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert words.count("nginx-lua") == words.count("pixelgate") == 1


EXPOSED = """# TYPE pixelgate_service_seconds histogram
pixelgate_service_seconds_bucket{le="2e-06",until="given"} 1.0
pixelgate_service_seconds_bucket{le="1e-05",until="given"} 51.0
pixelgate_service_seconds_bucket{le="+Inf",until="given"} 101.0
pixelgate_service_seconds_count{until="given"} 101.0
pixelgate_hits_total{outcome="accepted",reason=""} 7.0
"""


def test_service_times_are_read_from_an_exposition_and_told_by_their_buckets_bounds():
    (before,) = parse(EXPOSED.replace("51.0", "41.0").replace("101.0", "81.0")).values()
    (after,) = parse(EXPOSED).values()
    load = between(before, after)
    assert load[-1][1] == 20
    assert percentiles(load, ("50", "99"))["50"] == pytest.approx(10.0)
    assert percentiles(load, ("50", "99"))["99"] == float("inf")


def test_scrapes_that_do_not_belong_together_or_timed_nothing_are_refused():
    (buckets,) = parse(EXPOSED).values()
    with pytest.raises(ServerFailed, match="buckets changed"):
        between(buckets, buckets[1:])
    with pytest.raises(ServerFailed, match="no hit was timed"):
        percentiles(between(buckets, buckets))
