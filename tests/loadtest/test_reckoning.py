"""The reckoning finds what it is there to find: each check is shown a run in which it must fail."""

import pytest

from loadtest.reckoning import checks
from loadtest.reckoning.flips import Flip, Record, Sent, judge
from loadtest.reckoning.latency import Latency
from loadtest.reckoning.outside import COUNTER, NotTold, Outside
from loadtest.reckoning.tally import Tally, TimedFlip

FLIPS = [Flip("ACCEPT", 10), Flip("HIDE", 20), Flip("DROP", 30), Flip("ACCEPT", 40)]
HITS = [Sent(1, 0, 0), Sent(2, 0, 1), Sent(3, 1, 1), Sent(4, 1, 2), Sent(5, 2, 2), Sent(6, 3, 3)]


def event(number, flip, verdict, version, **more):
    return {
        "verdict": verdict, "version": version, "verified": True,
        "params": {"lt_n": str(number), "lt_flip": str(flip)}, **more,
    }  # fmt: skip


def right():
    """Hit 2 met flip 1, hit 4 met flip 2: they may be under either; hit 5 is dropped."""
    return [event(1, 0, "ACCEPT", 10), event(2, 0, "HIDE", 20), event(3, 1, "HIDE", 20), event(6, 3, "ACCEPT", 40)]


def judged(events, hits=HITS, flips=FLIPS):
    return judge([Record("shop", list(flips), list(hits))], {"shop": events})


def test_an_export_in_which_every_hit_stands_under_its_flip_has_no_fault():
    found = judged(right())
    assert (found.faults, found.certain, found.between, found.unjudged, found.flips) == (0, 4, 2, 0, 3)


def without(number):
    return [one for one in right() if one["params"]["lt_n"] != str(number)]


DOCTORED = [
    ("kept under the status before", [*without(3), event(3, 1, "ACCEPT", 10)], "replaced"),
    ("kept, though a flip to DROP had returned", [*right(), event(5, 2, "HIDE", 20)], "replaced"),
    ("kept at a version before the flip", [*without(3), event(3, 1, "HIDE", 19)], "replaced"),
    ("kept with another flip's mark", [*without(3), event(3, 0, "HIDE", 20)], "replaced"),
    ("kept unverified", [*without(3), event(3, 1, "HIDE", 20, verified=False)], "replaced"),
    ("under neither status of the flip it met", [*without(2), event(2, 0, "DROP", 30)], "replaced"),
    ("missing", without(6), "missing"),
    ("missing, though both statuses keep", without(2), "missing"),
    ("twice", [*right(), event(1, 0, "ACCEPT", 10)], "twice"),
    ("never sent", [*right(), event(7, 3, "ACCEPT", 40)], "unsent"),
    ("without a number", [*right(), event("x", 3, "ACCEPT", 40)], "unsent"),
]


@pytest.mark.parametrize(("events", "kind"), [row[1:] for row in DOCTORED], ids=[row[0] for row in DOCTORED])
def test_a_doctored_export_is_found_and_fails_the_run(events, kind):
    found = judged(events)
    assert (getattr(found, kind), found.faults, len(found.words)) == (1, 1, 1)
    assert checks.verdict(checks.flips(found, Tally(), "")) == "FAIL"


def test_an_old_export_in_which_nothing_was_flipped_is_found():
    """What a collector would leave that never heard of a flip."""
    assert judged([event(hit.number, hit.flip, "ACCEPT", 10) for hit in HITS]).faults == 4  # all behind flip 1


def test_hits_that_cannot_be_judged_are_told_and_never_counted_as_right():
    hits = [Sent(1, 0, None), Sent(2, 0, 1), Sent(3, 0, 9)]
    found = judged([], hits, [Flip("ACCEPT", 10), Flip("?", 0)])
    assert (found.unjudged, found.certain, found.faults) == (3, 0, 0)
    assert checks.verdict(checks.flips(found, Tally(), "")) == "FAIL"  # there was nothing to look at


def test_an_unanswered_hit_that_is_kept_twice_is_a_fault_all_the_same():
    assert judged([event(1, 0, "ACCEPT", 10)] * 2, [Sent(1, 0, None)]).twice == 1


def test_an_account_without_an_export_is_an_error_and_no_pass():
    with pytest.raises(ValueError, match="no export of account 'shop'"):
        judge([Record("shop", FLIPS, HITS)], {})


def a_tally(**more):
    tally = Tally(sent=10, malformed=2, others=1, **more)
    for at in range(10):
        tally.saw(1000.0 + at, "200 GIF")
        tally.due.note(0.002 * (at + 1))
        tally.answer.note(0.001)
    tally.flips.append(TimedFlip(1001.5, "shop", "pause", "HIDE", 9.0, 2.0))
    tally.records.append(Record("shop", list(FLIPS), list(HITS)))
    return tally


def test_tallies_add_up_over_processes_as_if_one_had_seen_it_all():
    whole = Tally(processes=0)
    for _ in range(3):
        whole.add(a_tally().plain())
    assert (whole.sent, whole.answered, whole.malformed, whole.processes) == (30, 30, 6, 3)
    assert (len(whole.due), whole.seconds[1003], whole.fingerprints["200 GIF"]) == (30, 3, 30)
    assert whole.due.percentile_ms(100) == pytest.approx(20, rel=0.002)
    assert whole.records[2] == Record("shop", FLIPS, HITS)
    assert len(whole.flips) == 3


OUTCOMES = {"accepted": 6, "hidden": 2, "status": 1, "unknown_key": 1, "malformed": 2, "overflow": 0, "unverified": 0}
BEFORE = {"ok": True, "warehouse": 100, "settled_away": 0, "kept_counted": 100, "owed": 0, "faults": []}
AFTER = {**BEFORE, "warehouse": 108, "kept_counted": 108, "kept": 108, "history": 5}


def verdict(tally=None, outcomes=OUTCOMES, after=AFTER):
    tally = tally or a_tally()
    found = checks.answers(tally) + checks.counted(tally, outcomes, "") + checks.stored(outcomes, BEFORE, after, "")
    return {one.name: one.state for one in found}


def test_equal_numbers_all_the_way_pass():
    assert set(verdict().values()) == {"passed"}


def broken_tally(change):
    tally = a_tally()
    change(tally)
    return tally


BROKEN = [
    ("a hit without an answer", {"tally": broken_tally(lambda tally: setattr(tally, "sent", 11))}, "sent = answered"),
    ("a wrong answer", {"tally": broken_tally(lambda tally: tally.went_wrong("503"))},
     "every request is answered as promised"),
    ("two kinds of answer", {"tally": broken_tally(lambda tally: tally.fingerprints.update(["200 other GIF"]))},
     "every pixel's answer is the same, but for its date"),
    ("a hit counted twice", {"outcomes": {**OUTCOMES, "accepted": 7}}, "answered = counted"),
    ("a hit not counted", {"outcomes": {**OUTCOMES, "status": 0}}, "answered = counted"),
    ("garbage counted as a hit", {"outcomes": {**OUTCOMES, "malformed": 1, "no_key": 1}}, "answered = counted"),
    ("garbage counted twice", {"outcomes": {**OUTCOMES, "malformed": 3}}, "answered = counted"),
    ("a 503", {"outcomes": {**OUTCOMES, "overflow": 1}}, "no hit overflowed"),
    ("one missing in the warehouse", {"after": {**AFTER, "warehouse": 107}}, "kept = in the warehouse"),
    ("one too many there", {"after": {**AFTER, "warehouse": 109}}, "kept = in the warehouse"),
    ("one still owed", {"after": {**AFTER, "owed": 1}}, "kept = in the warehouse"),
    ("a fault of verify's own", {"after": {**AFTER, "ok": False, "faults": ["history"]}}, "pixelgate verify"),
]  # fmt: skip


@pytest.mark.parametrize(("broken", "name"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_a_number_that_does_not_hold_fails_its_check(broken, name):
    assert verdict(**broken)[name] == "failed"


def test_nothing_sent_is_no_pass():
    assert checks.verdict(checks.answers(Tally())) == "FAIL"


def test_what_cannot_be_seen_is_told_as_not_made_with_its_reason():
    found = checks.counted(a_tally(), None, "no admin port") + checks.stored(None, None, None, "no data directory")
    assert {(one.state, one.words) for one in found} == {
        ("not made", "no admin port"),
        ("not made", "no data directory"),
    }
    assert checks.verdict(found) == "PASS"


def test_a_latency_is_kept_to_three_digits_and_its_curve_ends_with_the_slowest():
    latency = Latency()
    for at in range(1, 1001):
        latency.note(at / 1e3)
    latency.note(-1.0)
    latency.note(1e9)
    assert latency.percentile_ms(50) == pytest.approx(500, rel=0.002)
    assert latency.percentile_ms(100) == pytest.approx(3_600_000, rel=0.002)
    curve = latency.curve_ms()
    assert curve == sorted(curve)
    assert curve[-1][1] == latency.percentile_ms(100)
    assert (Latency().percentile_ms(99), Latency().curve_ms(), Latency().encoded()) == (0.0, [], b"")


def test_counters_are_read_by_outcome_or_by_reason():
    name = "pixelgate_hits_total"
    text = f'{name}{{outcome="hidden",reason="unverified"}} 3.0\n{name}{{outcome="hidden",reason=""}} 4.0\n'
    assert COUNTER.findall(text) == [("hidden", "unverified", "3.0"), ("hidden", "", "4.0")]


@pytest.mark.parametrize("ask", ["outcomes", "verify", "cpu"])
def test_a_system_that_cannot_be_asked_says_which_way_is_missing(ask):
    with pytest.raises(NotTold, match=r"no admin port|no data directory"):
        getattr(Outside(None, None), ask)()


def test_a_directory_that_nobody_runs_on_is_told(tmp_path):
    with pytest.raises(NotTold, match="no `pixelgate run` holds"):
        Outside(None, tmp_path).cpu()
    with pytest.raises(NotTold, match="/metrics"):
        Outside("http://127.0.0.1:1", None).outcomes()
