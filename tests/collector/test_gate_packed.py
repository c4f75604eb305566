"""The packed map against the one of objects: whatever changes come, in whatever way, both answer each look-up alike."""

import gc
from collections import deque

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from collector.entry import PLAIN_END, entry_of, single
from collector.gate import SHARDS, Gate
from collector.group import Group
from collector.outcome import Outcome
from gating.feed import VERSION_MAX, KeyState, StatusChange
from gating.status import Status, Verdict
from tests.collector.gate_model import ModelGate
from tests.collector.http.wire import MemoryJournal

NAMES = ("a", "b", "c", "ключ", "")
KEYS = (*(name.encode() for name in NAMES), b"nobody's")
EDGES = (-1, 1, 2**62)
instants = st.one_of(st.integers(-3, 12), st.integers(-(2**63), 2**64 - 1))
versions = st.one_of(st.integers(0, 30), st.sampled_from([2**40 - 1, 2**40, VERSION_MAX]))
verdicts = st.sampled_from(list(Verdict))
keys = st.lists(st.builds(KeyState, st.sampled_from(NAMES), st.none() | instants), max_size=4).map(tuple)
one_key = st.sampled_from(NAMES).map(lambda name: (KeyState(name),))
changes = st.builds(
    StatusChange,
    version=versions,
    account=st.sampled_from(["shop", "läden", "", "x" * 64]),
    at_us=instants,
    status=st.sampled_from(list(Status)),
    verdict=verdicts,
    until_us=st.none() | instants,
    then=st.none() | verdicts,
    final=st.booleans(),
    keys=one_key | keys,
)


class BothGates(RuleBasedStateMachine):
    """What a feed may do, in any order."""

    def __init__(self):
        super().__init__()
        self.gate, self.model = Gate(boot_ns=lambda: 0, now_us=0), ModelGate()
        self.instants = deque(maxlen=8)

    def meet(self, change):
        self.model.apply(change)
        for at in (change.until_us, change.at_us, *(key.revoked_at_us for key in change.keys)):
            if at is not None and abs(at) < 2**63 - 1:
                self.instants += (at - 1, at)

    @rule(change=changes)
    def a_change_is_pushed(self, change):
        self.gate.apply(change)
        self.meet(change)

    @rule(page=st.lists(changes, max_size=6))
    def a_page_is_loaded(self, page):
        self.gate.apply_page([change.encode() for change in page])
        for change in page:
            self.meet(change)

    @rule(epoch=st.sampled_from(["one", "two"]))
    def the_epoch_changes(self, epoch):
        self.gate.restart(epoch)
        self.model.restart(epoch)

    @rule(version=versions)
    def the_map_stands(self, version):
        self.gate.stand(version)
        self.model.stand(version)

    @rule(until=st.integers(0, 9))
    def a_lease_is_renewed(self, until):
        self.gate.lease(until)

    @invariant()
    def both_answer_alike(self):
        assert (self.gate.epoch, self.gate.version, len(self.gate)) == (
            self.model.epoch,
            self.model.version,
            len(self.model.entries),
        )
        for key in KEYS:
            for now_us in (*EDGES, *self.instants):
                for leased in (True, False):
                    found = self.gate.decide(key, now_us, leased)
                    assert found == self.model.decide(key, now_us, leased), (key, now_us, leased)


TestBothGates = BothGates.TestCase
TestBothGates.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)


class Waiter:
    def committed(self, kept):
        pass


@given(st.lists(changes, max_size=8), st.integers(0, 12), st.booleans())
def test_the_groups_own_look_at_an_entry_is_the_gates(changes, now_us, leased):
    """I4, I5: the hot loop reads plain entries itself."""
    gate, model = Gate(boot_ns=lambda: 0, now_us=now_us), ModelGate()
    gate.set_clock(now_us, 0)
    gate._last_us = now_us
    if leased:
        gate.lease(1)
    for change in changes:
        gate.apply(change)
        model.apply(change)
    scheduled = []
    outcomes = [0] * len(Outcome)
    loop = type("Loop", (), {"call_soon": staticmethod(scheduled.append)})
    journal = MemoryJournal()
    fatal = []
    group = Group(gate, journal, outcomes, loop, fatal.append)
    expected = [0] * len(Outcome)
    for key in KEYS:
        group.add(Waiter(), key, b"::1", b"GET /")
        expected[model.decide(key, now_us, leased)[0]] += 1
    scheduled.pop()()
    assert (outcomes, fatal) == (expected, [])


@given(changes)
def test_what_is_read_in_one_go_is_what_the_long_way_makes_of_it(change):
    found = single(orjson.loads(change.encode()))
    if found is None:
        return
    assert found == (change.keys[0].write_key, change.version, entry_of(change, change.keys[0]))


def a_change(**fields):
    return StatusChange(
        **{
            "version": 7,
            "account": "shop",
            "at_us": 0,
            "status": Status.ACTIVE,
            "verdict": Verdict.ACCEPT,
            "until_us": None,
            "then": None,
            "final": False,
            "keys": (KeyState("k"),),
            **fields,
        }
    )


def spoilt(**fields):
    return orjson.dumps({**orjson.loads(a_change().encode()), **fields})


NO_CHANGES = {
    "nothing": b"",
    "not JSON": b"{",
    "a list": b"[]",
    "a number": b"7",
    "two in one": a_change().encode() + b"," + a_change().encode(),
    "half of one": a_change().encode()[:-2],
    "not UTF-8": a_change().encode().replace(b"shop", b"\xff\xff\xff\xff"),
    "a lone surrogate": a_change().encode().replace(b"shop", b"\\ud800"),
    "a field missing": b'{"version":1}',
    "a status nobody knows": spoilt(status="GONE"),
    "a status of another kind": spoilt(status=["ACTIVE"]),
    "a verdict nobody knows": spoilt(verdict="MAYBE"),
    "a verdict of another kind": spoilt(verdict={}),
    "a version that is a word": spoilt(version="new"),
    "a version below zero": spoilt(version=-1),
    "a version beyond 64 bits": spoilt(version=0).replace(b'"version":0', b'"version":9' + b"0" * 40),
    "an instant that is a word": spoilt(at_us="now"),
    "a deadline that is a word": spoilt(until_us="later", then="DROP"),
    "a `then` nobody knows": spoilt(until_us=5, then="MAYBE"),
    "keys that are none": spoilt(keys=5),
    "a key without its end": spoilt(keys=[["k"]]),
    "a key with a third field": spoilt(keys=[["k", None, 1]]),
    "a key's end that is a word": spoilt(keys=[["k", "soon"]]),
}


@pytest.mark.parametrize("data", NO_CHANGES.values(), ids=NO_CHANGES.keys())
def test_what_is_no_change_is_a_value_error_in_a_page_as_alone(data):
    gate = Gate()
    with pytest.raises(ValueError):  # noqa: PT011 (orjson's own, or StatusChange's)
        StatusChange.decode(data)
    with pytest.raises(ValueError):  # noqa: PT011
        gate.apply_page([a_change().encode(), data])
    assert gate.decide(b"k", 1, leased=True) == (Outcome.ACCEPTED, b"shop")


ODD = {
    "version in quotes": spoilt(version="7"),
    "version with a fraction": spoilt(version=7.9),
    "instant in quotes": spoilt(at_us="3"),
    "final as a number": spoilt(final=1),
    "account as a number": spoilt(account=5),
    "key as a number": spoilt(keys=[[5, None]]),
    "deadline with a fraction": spoilt(until_us=5.5, then="DROP"),
    "deadline without what then": spoilt(until_us=5),
    "what then without a deadline": spoilt(then="DROP"),
    "one more field": spoilt(extra=1),
    "keys of another kind, none": spoilt(keys={}),
}


@pytest.mark.parametrize("data", ODD.values(), ids=ODD.keys())
def test_what_decoding_lets_pass_a_page_takes_alike(data):
    gate, model = Gate(), ModelGate()
    gate.apply_page([data])
    model.apply(StatusChange.decode(data))
    for key in (b"k", b"5"):
        for now_us in (0, 4, 5, 6):
            assert gate.decide(key, now_us, leased=True) == model.decide(key, now_us, leased=True)


def test_keys_of_an_account_that_stand_alike_share_one_entry():
    """A million keys fit a worker, whatever the accounts' ids are."""
    gate = Gate()
    gate.apply(a_change(keys=tuple(KeyState(f"k{n}") for n in range(100))))
    entries = {id(entry) for shard in gate.shards for entry in shard.values()}
    assert (len(gate), len(entries)) == (100, 1)


def test_the_map_is_nothing_to_the_garbage_collector():
    """A collection while a worker holds a million keys must not hold its answers up."""
    gate = Gate()
    gate.apply_page([a_change(keys=(KeyState(f"k{n}"),), until_us=n, then=Verdict.DROP).encode() for n in range(2000)])
    gc.collect()
    assert not any(map(gc.is_tracked, gate.shards))
    assert max(map(len, gate.shards)) < 2000 / SHARDS * 6


def test_what_an_earlier_epoch_left_is_freed_a_shard_at_a_time_and_never_asked():
    gate = Gate()
    gate.apply_page([a_change(keys=(KeyState(f"k{n}"),)).encode() for n in range(2000)])
    gate.restart("other")
    assert (len(gate), gate.decide(b"k1", 1, leased=True)) == (0, (Outcome.DROPPED_UNKNOWN_KEY, b""))
    left = len(gate._forgotten)
    assert left > 1
    gate.apply_page([])
    gate.lease(1)
    assert len(gate._forgotten) == left - 2


def test_most_accounts_are_plain():
    """The bargain of the layout: what holds for good is read with one index."""
    plain, scheduled = (
        entry_of(a_change(), KeyState("k")),
        entry_of(a_change(until_us=5, then=Verdict.DROP), KeyState("k")),
    )
    assert plain[0] < PLAIN_END <= scheduled[0]
    assert len(plain) == 6 + len("shop")
