"""Growth's arithmetic: heads of a wanted size, windows cut out of wrk's run, lines, pages and pictures."""

import dataclasses
import json
import math
import xml.etree.ElementTree as ET
from urllib.parse import parse_qsl

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.bench.growth import page, sample
from loadtest.bench.growth.__main__ import main, options
from loadtest.bench.growth.marked import Marks, parse_marks
from loadtest.bench.growth.picture import Scale, picture, short, x_scale
from loadtest.bench.growth.sample import CPU, P99, GrowthUnreadable, Measured, Sample, with_more
from loadtest.bench.growth.shapes import HeadTooSmall, sized, with_params
from loadtest.bench.growth.straight import line, words
from loadtest.bench.stats import Spread
from loadtest.bench.wrk import WrkFailed
from loadtest.heads import made_up_keys

KEYS = made_up_keys(3, 10)
OURS = "pixelgate, 5,000 hits/s"


def target_of(head):
    seen = []
    parser = httptools.HttpRequestParser(type("Seen", (), {"on_url": lambda _, url: seen.append(url)})())
    parser.feed_data(head)
    return b"".join(seen).decode()


@given(st.integers(150, 8000))
def test_a_head_has_exactly_the_wanted_size_and_is_one_whole_request(size):
    for head in sized(1, size, KEYS, 4):
        assert len(head) == size
        assert head.count(b"\r\n\r\n") == 1
        assert target_of(head).partition("?")[0].removeprefix("/p/").removesuffix(".gif") in KEYS


def test_a_long_head_is_a_browsers_with_a_cookie_jar():
    head = sized(1, 4000, KEYS, 1)[0]
    assert b"User-Agent: Mozilla/5.0" in head
    assert b"\r\nAccept-Language: " in head
    jar = next(one for one in head.split(b"\r\n") if one.startswith(b"Cookie: "))
    assert len(jar) > 3000


def test_a_head_that_no_size_can_hold_is_refused():
    with pytest.raises(HeadTooSmall, match="60 bytes"):
        sized(1, 60, KEYS)


@pytest.mark.parametrize("params", [0, 1, 50])
def test_a_query_has_exactly_so_many_parameters(params):
    for head in with_params(1, params, KEYS, 8):
        assert len(parse_qsl(target_of(head).partition("?")[2], strict_parsing=params > 0)) == params


def test_hits_between_two_moments_are_cut_out_of_the_marks():
    marks = parse_marks("noise\nMARKS [[1000000,0],[2000000,100],[3000000,300]]\n")
    assert marks.between(1.5, 2.5) == 150
    assert marks.between(1.0, 3.0) == 300


@pytest.mark.parametrize("output", ["", "MARKS", "MARKS [1]", "MARKS [[1,2,3]]", "MARKS {}]"])
def test_marks_that_do_not_read_are_an_error(output):
    with pytest.raises(WrkFailed, match="marks"):
        parse_marks(output)


def test_a_window_outside_of_the_marks_is_an_error():
    """wrk had ended, or had not begun: no figure is better than a guess."""
    with pytest.raises(WrkFailed, match="no marks around"):
        Marks([(1_000_000, 0), (2_000_000, 9)]).between(1.5, 2.5)


def around(value, width=0.05):
    return Spread(value, value * (1 - width), value * (1 + width), 3)


def test_a_line_is_flat_straight_or_says_where_it_is_left():
    flat = line([(x, around(10.0)) for x in (1, 10, 1000)])
    assert flat is not None
    assert flat.is_flat
    straight = line([(x, around(5 + 0.1 * x)) for x in (0, 10, 50)])
    assert straight is not None
    assert straight.is_straight
    assert not straight.is_flat
    assert (straight.base, straight.slope) == (pytest.approx(5), pytest.approx(0.1))
    assert "5.00 us + 0.1 us a byte" in words(straight, "bytes")
    falling = line([(x, around(15 - 0.1 * x)) for x in (0, 10, 50)])
    assert "15.00 us - 0.1 us a flips/s" in words(falling, "flips/s")
    knee = line([(x, around(30.0 if x == 4500 else 10.0)) for x in (200, 1000, 2000, 3000, 4500)])
    assert knee is not None
    assert 4500 in knee.off
    assert "4,500" in words(knee, "bytes")


def test_noise_wider_than_the_tolerance_is_no_knee():
    points = [(1, around(10.0)), (2, around(10.0)), (3, Spread(14.0, 10.0, 16.0, 3)), (4, around(10.0))]
    found = line(points)
    assert found is not None
    assert 3 not in found.off


@pytest.mark.parametrize("points", [[], [(1, around(1.0))], [(1, around(1.0)), (2, around(2.0))]])
def test_two_points_are_no_line(points):
    assert line(points) is None
    assert words(None, "key") == "too few points for a line"


def an_axis(**more):
    axis = Measured(
        "keys", "Write <keys>", "keys", "2026-01-01T00:00:00Z", {"cores": "2"}, {"rounds": "3"}, beside=[P99]
    )
    for number in (1, 2, 3):
        for x in (10, 1000, 100_000):
            axis.samples.append(
                Sample(OURS, x, number, hits=1000, seconds=1.0, cpu_seconds=number / 100, p99_us=900, **more)
            )
    axis.samples.append(Sample(OURS, 10, 4, hits=1, seconds=1.0, cpu_seconds=9.0, faults=["it was noisy"]))
    return axis


def test_a_void_sample_counts_nowhere_and_is_told():
    axis = an_axis()
    assert dict(axis.points(OURS, axis.figure(CPU)))[10].most == pytest.approx(30)
    assert "it was noisy" in page.text({"keys": axis})


def test_a_point_stands_where_its_rate_was_done_not_where_it_was_asked():
    axis = an_axis()
    axis.rate_of = "done"
    axis.samples = [with_more(one, {"done": one.x / 2}) for one in axis.samples]
    assert [x for x, _ in axis.points(OURS, axis.figure(CPU))] == [5, 500, 50_000]
    assert [x for x, _ in axis.by_x(OURS, axis.figure(CPU))] == [10, 1000, 100_000]


def test_a_sample_with_nothing_to_do_has_no_cost():
    axis = an_axis()
    axis.samples = [Sample("publisher", 0, 1, hits=0, seconds=4.0, cpu_seconds=0.1)]
    assert math.isnan(axis.samples[0].cpu_us)
    assert axis.points("publisher", axis.figure(CPU)) == []
    assert "| publisher |" in page.text({"keys": axis})


def test_what_was_measured_is_read_as_it_was_written(tmp_path):
    axis = an_axis(more={"flips/s": 3.0})
    axis.note = "a note"
    sample.write({"keys": axis}, tmp_path)
    again = sample.read(tmp_path)["keys"]
    assert (again.samples, again.note, again.extras()) == (
        [dataclasses.replace(one, faults=list(one.faults)) for one in axis.samples],
        "a note",
        ["flips/s"],
    )
    assert sample.read(tmp_path / "none") == {}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 99, "axes": {}}', '{"format": 1, "axes": {"keys": {}}}'])
def test_a_file_of_another_kind_is_refused_by_name_and_left_alone(text, tmp_path, capsys):
    path = tmp_path / sample.NAME
    path.write_text(text)
    with pytest.raises(GrowthUnreadable, match=sample.NAME):
        sample.read(tmp_path)
    assert main(["--page", "--to", str(tmp_path)]) == 1
    assert sample.NAME in capsys.readouterr().err
    assert path.read_text() == text


def test_a_note_stands_on_the_page_and_only_for_an_axis_that_was_measured(tmp_path, capsys):
    sample.write({"keys": an_axis()}, tmp_path)
    assert main(["--axis", "keys", "--note", "the cache ends", "--to", str(tmp_path)]) == 0
    assert (tmp_path / "growth.md").read_text().count("the cache ends") == 1
    assert json.loads((tmp_path / sample.NAME).read_text())["axes"]["keys"]["note"] == "the cache ends"
    assert main(["--axis", "heads", "--note", "x", "--to", str(tmp_path)]) == 1
    assert "not measured yet" in capsys.readouterr().err


@pytest.mark.parametrize("given", [["--note", "x"], ["--rounds", "0"], ["--seconds", "0"], ["--axis", "nothing"]])
def test_an_option_that_cannot_be_is_a_usage_error(given):
    with pytest.raises(SystemExit) as ended:
        options(given)
    assert ended.value.code == 2


def test_the_picture_is_whole_xml_with_each_point_its_range_and_both_axes_named():
    drawn = picture(an_axis())
    root = ET.fromstring(drawn)
    texts = ["".join(one.itertext()) for one in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "keys, logarithmic" in texts
    assert "CPU us a hit" in texts
    assert P99 in texts
    assert "Write <keys>: median, least to most of the rounds" in texts
    assert drawn.count("<circle") == 1 + 2 * 3  # the legend's, and three points in each of two charts


def test_an_axis_without_a_valid_sample_is_still_a_picture():
    axis = an_axis()
    axis.samples = [one for one in axis.samples if one.faults]
    ET.fromstring(picture(axis))
    assert "it was noisy" in page.text({"keys": axis})


def test_x_is_logarithmic_only_where_it_spans_decades_and_has_no_zero():
    assert x_scale([10, 1000], 0, 100).logarithmic
    assert not x_scale([200, 8000], 0, 100).logarithmic
    assert not x_scale([0, 1000], 0, 100).logarithmic
    scale = x_scale([1, 10_000], 0, 100)
    assert scale(100) == pytest.approx(50)
    assert scale.ticks() == [1, 10, 100, 1000, 10_000]


@given(st.floats(0, 1e6), st.floats(1e-3, 1e6))
def test_ticks_are_round_few_and_inside(least, more):
    scale = Scale(least, least + more, 0, 100)
    ticks = scale.ticks()
    assert len(ticks) <= 12
    assert all(-0.01 <= scale(tick) <= 100.01 for tick in ticks)


@pytest.mark.parametrize(("value", "text"), [(0, "0"), (0.5, "0.5"), (1000, "1k"), (2_500_000, "2.5M")])
def test_ticks_are_written_short(value, text):
    assert short(value) == text
