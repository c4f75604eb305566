"""The page and the summary: the verdict first, the numbers there, and nothing fetched from anywhere."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from loadtest.page import charts
from loadtest.page.html import page, rates
from loadtest.page.summary import summary
from loadtest.reckoning.checks import Check
from loadtest.reckoning.result import Moment, Result, Row
from tests.loadtest.test_reckoning import OUTCOMES, a_tally


def a_result(state="passed", **more):
    checks = [Check("sent = answered", state, "10 <hits> & so on"), Check("pixelgate verify", "not made", "no --data")]
    moments = [Moment(float(at), {"accepted": at * 30, "status": at * 10}) for at in range(6)]
    given = {"rows": [Row("GET", "/p/{write_key}.gif", 10, 0, 1.0, 2.0, 3.0)], "moments": moments, "outcomes": OUTCOMES,
             "kept": 8, "stored": 8, "cpu_seconds": {"collector": 0.5, "gating": 0.25}, **more}  # fmt: skip
    return Result(
        "flip_storm", "http://127.0.0.1:8080", 1000.0, 5.0, {"seed": "1"}, {"processor": "one & only"}, a_tally(),
        checks, True, **given,
    )  # fmt: skip


class Loads(HTMLParser):
    """Everything that a browser would fetch, and every tag that is left open."""

    def __init__(self):
        super().__init__()
        self.fetched, self.open = [], []

    def handle_starttag(self, tag, attributes):
        self.fetched += [value for name, value in attributes if name in ("src", "href", "srcset", "data", "poster")]
        if tag not in ("meta", "br", "img", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize(
    "more", [{}, {"moments": (), "outcomes": None, "kept": None, "stored": None, "cpu_seconds": None}]
)
def test_the_page_is_whole_in_itself_and_well_formed(more):
    text = page(a_result(**more))
    loads = Loads()
    loads.feed(text)
    assert (loads.fetched, loads.open) == ([], [])
    assert not re.search(r"@import|url\(|<script|<link|<iframe", text)
    assert "10 &lt;hits&gt; &amp; so on" in text


@pytest.mark.parametrize(("state", "word"), [("passed", "PASS"), ("failed", "FAIL")])
def test_the_verdict_comes_first_and_says_why(state, word):
    body = page(a_result(state)).partition("<body>")[2]
    assert body.index(word) < body.index("<h2>")
    assert ("sent = answered" in body[: body.index("<h2>")]) == (state == "failed")
    assert "1 could not be made" in body


def test_five_lines_tell_the_run_and_then_what_failed_or_was_not_made():
    lines = summary(a_result(), Path("build/x.html"))
    assert [line.split(" ")[0] for line in lines[:5]] == ["flip_storm", "latency", "flips", "conservation", "PASS"]
    assert "sent 10 = answered 10 = counted 10; kept 8 = in the warehouse 8" in lines[3]
    assert lines[5:] == ["  not made: pixelgate verify: no --data"]
    failed = summary(a_result("failed", stored=7), Path("build/x.html"))
    assert "kept 8 != in the warehouse 7" in failed[3]
    assert failed[4].startswith("FAIL")
    assert failed[5] == "  failed: sent = answered: 10 <hits> & so on"


def test_the_document_beside_the_page_is_json_with_the_verdict(tmp_path):
    result = a_result()
    result.write(page(result), ["one", "two"], tmp_path / "deep" / "x.html")
    told = json.loads((tmp_path / "deep" / "x.json").read_text())
    assert (told["verdict"], told["sent"], told["summary"]) == ("PASS", 10, ["one", "two"])
    assert told["latency_ms"]["due"]["100"] == pytest.approx(20, rel=0.002)
    assert told["cpu_us_a_hit"]["collector"] == pytest.approx(50_000)


def test_rates_are_taken_from_what_was_counted_in_between():
    times, layers = rates([Moment(float(at), {"accepted": at * 30, "no_key": at * 10}) for at in range(5)])
    assert times == [2.0, 3.0, 4.0]
    assert layers == {"accepted": [30.0] * 3, "dropped": [10.0] * 3}
    assert rates([]) == ([], {"accepted": []})


def test_plots_of_nothing_are_left_out_and_extremes_are_drawn():
    assert charts.stacked([], {}, {}) == ""
    assert charts.percentiles({}) == ""
    assert charts.percentiles({"from_due": [(0.0, 0.0), (100.0, 0.0)]}).startswith("<svg")
    assert "inf" not in charts.percentiles({"from_due": [(50.0, 0.001), (100.0, 3_600_000.0)]})
