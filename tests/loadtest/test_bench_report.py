"""The report: tables, verdicts, JSON and plot say what the rounds say, void ones left out and named."""

import json
import xml.etree.ElementTree as ET

import pytest

from loadtest.bench import __main__ as bench
from loadtest.bench.bars import MISS, MOONSHOT, NO_BAR, PASS, RATIO_BARS, UNKNOWN, judge, met
from loadtest.bench.plot import plot
from loadtest.bench.report import document, scenario_rows, scenario_table, table, text, write
from loadtest.bench.result import Contender, Flips, Kept, Look, Result
from loadtest.bench.rounds import tell
from loadtest.peers.field import field, label
from loadtest.peers.server import SCENARIOS, TLS_KEEP_ALIVE

CPU_US = {"c-epoll": 8.0, "nginx-lua": 14.0, "asgi": 35.0, "pixelgate": 14.0, "pixelgate-1m": 15.0}


def a_look(server, scenario, number, cpu_us, **more):
    return Look(server, scenario, number, answered=100_000, seconds=2.0, cpu_seconds=cpu_us / 10, **more)


def a_result(ours=1.0, flips_ms=5.0):
    """Three rounds of each; the second of ours is void and absurd."""
    result = Result("2026-01-01T00:00:00Z", {"processor": "one & only"}, {"rounds": "3"})
    result.contenders = [Contender(name, f"job of {name}", "1.0") for name in CPU_US]
    result.contenders.append(Contender("gone", "job", "-", "skipped: gone is not installed"))
    for number in (1, 2, 3):
        for scenario, factor in (("keep-alive", 1.0), ("many-browsers", 1.0), ("new-connection", 4.0)):
            for name, cpu_us in CPU_US.items():
                cost = cpu_us * factor * number * (ours if name == "pixelgate" else 1.0)
                faults = ("7 status errors",) if name == "pixelgate" and number == 2 else ()
                kept = Kept(100_005, 100_000, 100_064) if name == "pixelgate" else None
                result.looks.append(a_look(name, scenario, number, 999.0 if faults else cost, faults=faults, kept=kept))
    result.flips = Flips(2, 2000.0, [1.0] * 98 + [flips_ms] * 2, [2.0] * 98 + [flips_ms * 5] * 2, [3.0] * 100)
    return result


def verdicts(result):
    return [one.verdict for one in judge(result) if one.verdict != NO_BAR]


def test_every_bar_passes_for_figures_within_it():
    assert verdicts(a_result()) == [PASS, PASS, PASS, MOONSHOT, PASS, PASS, PASS]
    assert met(judge(a_result()))


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"ours": 1.1}, [MISS, MISS, PASS, MOONSHOT, PASS, PASS, PASS]),
        ({"ours": 1.2}, [MISS, MISS, MISS, PASS, PASS, PASS, PASS]),
        ({"ours": 1.5}, [MISS, MISS, MISS, MISS, PASS, PASS, PASS]),
        ({"flips_ms": 10.5}, [PASS, PASS, PASS, MOONSHOT, PASS, MISS, MISS]),
        ({"ours": 0.7}, [MOONSHOT, MOONSHOT, MOONSHOT, MOONSHOT, MISS, PASS, PASS]),
        ({"flips_ms": 2.9}, [PASS, PASS, PASS, MOONSHOT, PASS, MOONSHOT, MOONSHOT]),
    ],
)
def test_each_bar_is_missed_by_figures_beyond_it_and_each_moonshot_reached_by_figures_within(changed, expected):
    assert verdicts(a_result(**changed)) == expected
    assert not met(judge(a_result(**changed))) or MISS not in expected


@pytest.mark.parametrize("bar", RATIO_BARS, ids=lambda bar: bar.title)
def test_both_servers_of_a_bar_play_its_scenario(tmp_path, bar):
    """Else a bar would stay unmeasured for ever."""
    servers = {server.name: server for server in field(1, 100_000, tmp_path)}
    assert servers[bar.over].plays(bar.scenario)
    assert servers[bar.under].plays(bar.scenario)


def test_the_field_has_no_name_twice_and_ours_in_every_scenario(tmp_path):
    servers = field(1, 100_000, tmp_path)
    assert len({server.name for server in servers}) == len(servers)
    for scenario in SCENARIOS:
        playing = [server.name for server in servers if server.plays(scenario)]
        assert any(name.startswith("pixelgate") for name in playing)
        assert any(name.startswith("nginx-lua") for name in playing)


def test_a_server_that_speaks_tls_meets_no_load_that_does_not_and_the_other_way_round(tmp_path):
    for server in field(1, 100_000, tmp_path):
        assert {scenario.tls for scenario in SCENARIOS if server.plays(scenario)} == {server.tls}


@pytest.mark.parametrize(("keys", "short"), [(10, "10"), (1500, "1500"), (100_000, "100k"), (1_000_000, "1m")])
def test_many_keys_are_written_short(keys, short):
    assert label(keys) == short


def test_what_was_not_measured_is_neither_passed_nor_met():
    empty = Result("2026-01-01T00:00:00Z", {}, {})
    assert verdicts(empty) == [UNKNOWN] * 7
    assert not met(judge(empty))
    assert "Not measured" in text(empty)


def test_ratios_are_taken_look_by_look():
    """A machine that slows threefold during the run slows both; the ratio does not move, and void rounds are out."""
    ratio = a_result().ratio("pixelgate", "nginx-lua", "keep-alive")
    assert ratio is not None
    assert (ratio.least, ratio.median, ratio.most, ratio.rounds) == (1.0, 1.0, 1.0, 2)


def test_the_table_shows_every_server_and_leaves_void_rounds_out():
    rows = {row[0]: row for row in scenario_rows(a_result(), "keep-alive")}
    assert list(rows) == list(CPU_US)
    assert rows["pixelgate"][1] == "28.0 (14.0-42.0)"
    assert rows["pixelgate"][2] == "1.75"
    assert rows["pixelgate"][-2:] == ["all 200,000 + 10", "2 of 3"]
    assert rows["asgi"][-2:] == ["nothing", "3 of 3"]


def test_the_text_names_machine_skipped_void_and_bars():
    page = text(a_result())
    for said in ("one & only", "gone is not installed", "7 status errors", "PASS", "job of nginx-lua", "2,000 hits/s"):
        assert said in page


def test_a_table_lines_up():
    lines = table(("server", "us"), [["a", "1.0"], ["a-longer-name", "100.0"]]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert lines[1].endswith(":|") or lines[1].endswith(": |")


def test_the_json_holds_every_look_and_the_verdicts():
    whole = json.loads(document(a_result()))
    assert len(whole["looks"]) == 3 * 3 * len(CPU_US)
    assert [one["verdict"] for one in whole["bars"]].count(PASS) == 6
    assert whole["bars"][0]["moonshot"] == "<= 0.75"
    assert whole["flips"]["workers"] == 2


def test_the_plot_is_one_bar_a_server_and_scenario():
    root = ET.fromstring(plot(a_result()))
    names = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert all(names.count(name) == 3 for name in CPU_US)


def behind_a_proxy():
    result = Result("2026-01-01T00:00:00Z", {}, {})
    for name, cpu_us, front in (("nginx-lua-tls", 16.0, 0.0), ("pixelgate-behind-nginx", 40.0, 2.5)):
        result.looks.append(a_look(name, "tls-keep-alive", 1, cpu_us, front_cpu_seconds=front))
    return result


def test_a_proxys_part_is_told_apart_where_there_is_one():
    lines = scenario_table(behind_a_proxy(), TLS_KEEP_ALIVE).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[0][:4] == ["server", "CPU us a hit", "of it the proxy", "x nginx-lua-tls"]
    assert [row[:4] for row in cells[2:]] == [
        ["nginx-lua-tls", "16.0 (16.0-16.0)", "-", "1.00"],
        ["pixelgate-behind-nginx", "40.0 (40.0-40.0)", "25.0", "2.50"],
    ]
    assert "of it proxy 25.00 us" in tell(behind_a_proxy().looks[1])


def test_a_bar_many_times_as_long_as_the_others_is_cut_and_tells_its_figure():
    result = Result("2026-01-01T00:00:00Z", {}, {})
    for name, cpu_us in (("c-epoll", 7.0), ("asgi", 40.0), ("starlette-kafka", 300.0)):
        result.looks.append(a_look(name, "keep-alive", 1, cpu_us))
    space = "{http://www.w3.org/2000/svg}"
    root = ET.fromstring(plot(result))
    widths = [float(one.attrib["width"]) for one in root.iter(f"{space}rect")][-3:]
    assert widths[2] == pytest.approx(widths[1] * 1.1, abs=0.2)
    assert widths[0] == pytest.approx(widths[1] * 7 / 40, abs=0.2)
    assert "300.0" in [one.text for one in root.iter(f"{space}text")]
    assert len([one for one in root.iter(f"{space}path") if one.attrib["stroke"] == "#ffffff"]) == 1


def test_the_plot_puts_the_cheapest_first_and_a_proxys_part_at_the_end_of_its_bar():
    root = ET.fromstring(plot(behind_a_proxy()))
    space = "{http://www.w3.org/2000/svg}"
    names = [one.text for one in root.iter(f"{space}text") if one.text in ("nginx-lua-tls", "pixelgate-behind-nginx")]
    assert names == ["nginx-lua-tls", "pixelgate-behind-nginx"]
    whole, front = [one.attrib for one in root.iter(f"{space}rect")][-2:]
    assert float(front["width"]) == pytest.approx(float(whole["width"]) * 25 / 40, abs=0.2)
    ends = [float(one["x"]) + float(one["width"]) for one in (whole, front)]
    assert ends[0] == pytest.approx(ends[1], abs=0.2)


def test_three_files_are_written_over_those_of_an_earlier_run(tmp_path):
    folder = tmp_path / "new" / "folder"
    for _ in range(2):
        assert sorted(path.name for path in write(a_result(), folder)) == ["results.json", "results.md", "results.svg"]
    assert sorted(path.name for path in folder.iterdir()) == ["results.json", "results.md", "results.svg"]


def test_a_round_is_told_on_one_line():
    assert "14.00 us a hit" in tell(a_look("pixelgate", "keep-alive", 1, 14.0))
    assert tell(a_look("pixelgate", "keep-alive", 1, 14.0, faults=("2 read errors",))).endswith("void: 2 read errors")


def test_an_unknown_server_is_refused_with_the_names_there_are(tmp_path, capsys):
    try:
        bench.main(["--only", "nonesuch", "--to", str(tmp_path)])
    except SystemExit as stopped:
        assert "c-epoll" in str(stopped)  # noqa: PT017  # wrk may be missing, and then nothing is raised
    else:
        assert "wrk is not installed" in capsys.readouterr().err
