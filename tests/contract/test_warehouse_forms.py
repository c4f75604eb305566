"""The two forms of the warehouse do the same: any life, told to both, leaves the same behind."""

import secrets
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumers.materialise import Materialiser
from consumers.moments import ALWAYS
from consumers.source import Batch, Missing, Part
from consumers.warehouse.clickhouse import ClickHouseWarehouse
from consumers.warehouse.duckdb import DuckDBWarehouse
from consumers.warehouse.protocol import Audience, Ruling, View
from gating.status import Access
from tests.consumers.events import ACCEPT, DAY, DROP, HIDE, SECOND, T0, event

URLS = (None, "", "https://x.test/a?b#c", "https://x.test/a#b?c", "x?", "#", "?q=1#?")
HIT = st.fixed_dictionaries(
    {
        "account": st.sampled_from("aab"),
        "write_key": st.sampled_from("kkl"),
        "verdict": st.sampled_from([ACCEPT, ACCEPT, HIDE]),
        "verified": st.sampled_from([True, True, False]),
        "version": st.integers(1, 6),
        "received_at": st.sampled_from([T0, T0 + DAY]) | st.integers(T0, T0 + 3 * DAY),
        "client_id": st.sampled_from([None, "c", "c", "d"]),
        "visitor": st.sampled_from([None, "v", "w"]),
        "url": st.sampled_from(URLS),
        "referrer": st.sampled_from(URLS),
        "name": st.sampled_from(["page_view", "signup", ""]),
    }
)
STREAM = st.sampled_from("AB")
STEP = st.one_of(
    st.tuples(st.just("hits"), STREAM, st.lists(HIT, min_size=2, max_size=8)),
    st.tuples(st.just("take"), STREAM, st.integers(0, 4), st.integers(1, 8)),  # from how far back, and how many
    st.tuples(st.just("again"), STREAM, st.lists(st.integers(1, 16), min_size=1, max_size=4)),
    st.tuples(st.just("gap"), STREAM, st.integers(1, 3)),
    st.tuples(st.just("settle"), st.integers(1, 3)),
    st.tuples(st.just("announce"), st.integers(0, 3)),
    st.tuples(st.just("reopen")),
)


@dataclass
class Log:
    """One stream as its source has it: what was kept, in order, and how far the consumer has read."""

    journal: str
    events: dict[int, object] = field(default_factory=dict)
    end: int = 0
    read: int = 0
    gaps: list[Missing] = field(default_factory=list)


class Twins:
    """Both forms, told the same; whatever one answers the other answers too."""

    def __init__(self, openers):
        self.openers = openers
        self.reopen()

    def reopen(self):
        self.warehouses = [opener() for opener in self.openers]
        self.materialisers = [Materialiser(warehouse) for warehouse in self.warehouses]

    def close(self):
        for warehouse in self.warehouses:
            warehouse.close()

    def ask(self, question):
        one, other = map(question, self.warehouses)
        assert one == other
        return one

    def take(self, batch):
        one, other = (materialiser.take(batch) for materialiser in self.materialisers)
        assert one == other


@pytest.fixture
def twins(tmp_path, clickhouse_url):
    twins = Twins(
        [
            lambda: DuckDBWarehouse.open(tmp_path / "w.duckdb", announces=True),
            lambda: ClickHouseWarehouse.open(clickhouse_url, announces=True),
        ]
    )
    yield twins
    twins.close()


@pytest.mark.timeout(300)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=6)
@given(hits=st.lists(HIT, min_size=14, max_size=20), steps=st.lists(STEP, min_size=5, max_size=15))
def test_any_life_leaves_the_same_behind_in_both_forms(twins, hits, steps):
    """I10, I11: appends, repetitions however they are cut, events sent again, settlements, gaps, reopenings."""
    logs = {name: Log(secrets.token_hex(16)) for name in "AB"}
    salt = secrets.token_hex(4)  # the twins live through all examples: accounts and keys of each are its own
    live_through(twins, logs, salt, "hits", "A", hits)  # left to chance, most lives would be empty
    for step in steps:
        live_through(twins, logs, salt, *step)
    for log in logs.values():
        take(twins, log, 0, 1000)
    live_through(twins, logs, salt, "settle", 3)
    compare(twins, salt)


def live_through(twins, logs, salt, kind, *values):
    match kind, *values:
        case "hits", stream, hits:
            for hit in hits:
                log = logs[stream]
                log.end += 1
                own = {"account": hit["account"] + salt, "write_key": hit["write_key"] + salt}
                log.events[log.end] = event(log.end, log.journal, **(hit | own))
        case "take", stream, back, count:
            take(twins, logs[stream], back, count)
        case "again", stream, numbers:
            log = logs[stream]
            sent = [log.events[number] for number in numbers if number in log.events]
            twins.ask(lambda warehouse: warehouse.append([], [], sent))
        case "gap", stream, count:
            log = logs[stream]
            log.gaps.append(Missing(log.journal, log.end + 1, log.end + count))
            log.end += count
        case "settle", verdicts:
            rulings = [
                Ruling(key + salt, T0 - 1 + DAY * day, account + salt, verdict, 3 + day)
                for key, account in (("k", "a"), ("l", "b"))
                for day, verdict in enumerate([ACCEPT, HIDE, DROP][:verdicts])
            ]
            twins.ask(lambda warehouse: sorted(warehouse.unsettled(T0 + 2 * DAY, 100), key=repr))
            twins.ask(lambda warehouse: warehouse.settle(rulings, T0 + 2 * DAY, 1000))
        case "announce", count:
            waiting = twins.ask(lambda warehouse: warehouse.unannounced(1000))
            twins.ask(lambda warehouse: warehouse.announced([e.id for e in waiting[:count]]))
        case ("reopen",):
            twins.close()
            twins.reopen()


def take(twins, log, back, count):
    """Read on from some way back, as a source does that was not told how far the warehouse is; some as lines."""
    first = max(1, log.read + 1 - back)
    last = min(log.end, first + count - 1)
    if last < first:
        return
    log.read = max(log.read, last)
    events = [log.events[number] for number in range(first, last + 1) if number in log.events]
    sequences = [number for number in range(first, last + 1) if number in log.events]
    carried = [e.encode() if n % 2 else e for n, e in enumerate(events)]
    gaps = tuple(gap for gap in log.gaps if first <= gap.last <= last)
    twins.take(Batch((Part(log.journal, last, carried, sequences),), gaps))


def compare(twins, salt):
    def sums(warehouse):
        found = warehouse.sums()
        return found | {"missing": sorted(found["missing"])}

    twins.ask(sums)
    twins.ask(lambda warehouse: warehouse.unannounced(10_000))
    twins.ask(lambda warehouse: warehouse.unverified(T0 + SECOND))
    for account in "ab":
        for audience in Audience:
            view = View(account + salt, audience, Access.FULL, 4, ("k" + salt, "l" + salt))
            twins.ask(lambda warehouse, view=view: read(warehouse, view))


def read(warehouse, view):
    reader = warehouse.reader()
    try:
        return reader.counts(view, ALWAYS, ALWAYS), list(reader.events(view, ALWAYS))
    finally:
        reader.close()
