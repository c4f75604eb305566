"""What every Warehouse promises; each form is a parameter of the fixture."""

import secrets

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumers.errors import WarehouseFailed
from consumers.moments import ALWAYS, month_before
from consumers.source import Missing, Part
from consumers.warehouse.clickhouse import ClickHouseWarehouse
from consumers.warehouse.duckdb import DuckDBWarehouse
from consumers.warehouse.protocol import (
    Audience,
    Period,
    Remains,
    Ruling,
    Settled,
    Stored,
    Tombstone,
    Unsettled,
    View,
)
from gating.status import Access
from tests.consumers.events import ACCEPT, DAY, DROP, HIDE, JOURNAL, SECOND, T0, event, part
from tests.consumers.parts import hurry
from tests.eventually import eventually

OPERATOR = View("shop", Audience.OPERATOR, Access.FULL, revealed_version=1, keys=("key",))
ACCOUNT = View("shop", Audience.ACCOUNT, Access.FULL, revealed_version=1, keys=("key",))


class DuckDBForm:
    def __init__(self, request):
        self.path = request.getfixturevalue("tmp_path") / "warehouse.duckdb"

    def open(self, **options):
        return DuckDBWarehouse.open(self.path, **options)


class ClickHouseForm:
    def __init__(self, request):
        self.url = request.getfixturevalue("clickhouse_url")

    def open(self, **options):
        return ClickHouseWarehouse.open(self.url, **options)


@pytest.fixture(params=[DuckDBForm, ClickHouseForm])
def form(request):
    return request.param(request)


@pytest.fixture
def warehouse(form):
    warehouse = form.open()
    yield warehouse
    warehouse.close()


def shown(warehouse, view=OPERATOR, period=ALWAYS):
    reader = warehouse.reader()
    try:
        return list(reader.events(view, period))
    finally:
        reader.close()


def counts(warehouse, view=OPERATOR, period=ALWAYS, month=ALWAYS):
    reader = warehouse.reader()
    try:
        return reader.counts(view, period, month)
    finally:
        reader.close()


def put(warehouse, *events, journal=JOURNAL):
    return warehouse.append([part(events, journal)], [])


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
TIME = st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    TEXT,
    TEXT | st.none(),
    st.dictionaries(TEXT, JSON, max_size=4),
    TIME | st.none(),
    st.integers(0, 2**63),
    st.booleans(),
)
def test_any_event_comes_out_as_it_went_in(warehouse, name, url, params, client_time, version, hidden):
    """I10: no text, number or nesting that an event can hold is refused or changed."""
    sequence = warehouse.highest().get(JOURNAL, 0) + 1  # one warehouse for all examples: each has an instant of its own
    kept = event(sequence, name=name, url=url, params=params, client_time=client_time, version=version)
    kept.verdict = HIDE if hidden else ACCEPT
    put(warehouse, kept)
    assert shown(warehouse, period=Period(kept.received_at, kept.received_at + 1)) == [kept]


def test_events_and_their_highest_sequence_survive_a_close_together(form, warehouse):
    """I10: the position is in the data's own transaction."""
    assert dict(warehouse.highest()) == {}
    assert put(warehouse, event(1), event(2)) == Stored(events=2)
    put(warehouse, event(7, "cd" * 16), journal="cd" * 16)
    warehouse.close()
    again = form.open()
    assert dict(again.highest()) == {JOURNAL: 2, "cd" * 16: 7}
    assert [e.id for e in shown(again)] == [f"{JOURNAL}-1", f"{JOURNAL}-2", f"{'cd' * 16}-7"]
    again.close()


def test_a_batch_that_fails_leaves_neither_events_nor_position(warehouse):
    """I10. A time that no timestamp can hold makes the engine fail after the events were handed over."""
    put(warehouse, event(1))
    with pytest.raises(WarehouseFailed):
        put(warehouse, event(2), event(3, received_at=2**63 - 1))
    assert dict(warehouse.highest()) == {JOURNAL: 1}
    assert len(shown(warehouse)) == 1
    put(warehouse, event(2), event(3))
    assert len(shown(warehouse)) == 3


def test_a_gap_moves_the_position_and_is_remembered_once(warehouse):
    gap = Missing(JOURNAL, 3, 5)
    for _ in range(2):
        warehouse.append([Part(JOURNAL, 5, [], [])], [gap])
    assert warehouse.highest()[JOURNAL] == 5
    assert warehouse.sums()["missing"] == [[JOURNAL, 3, 5]]
    assert warehouse.sums()["journals"][JOURNAL]["missing"] == 3


@pytest.mark.parametrize(
    ("hidden_at", "revealed", "visible"), [(5, 0, False), (5, 5, False), (5, 6, True), (4, 5, True)]
)
def test_a_hidden_event_is_visible_only_below_the_revealing_version(warehouse, hidden_at, revealed, visible):
    """I11, DESIGN 8: revealed by the first change into an ACCEPT status with a higher version."""
    put(warehouse, event(1, verdict=HIDE, version=hidden_at))
    view = View("shop", Audience.ACCOUNT, Access.FULL, revealed)
    assert bool(shown(warehouse, view)) is visible
    assert counts(warehouse, view).visible == int(visible)


def test_unverified_events_are_counted_for_the_operator_and_shown_to_nobody(warehouse):
    """I11."""
    put(warehouse, event(1, verified=False), event(2, verified=False, account=""), event(3, account="else"))
    assert shown(warehouse) == shown(warehouse, ACCOUNT) == []
    assert (counts(warehouse).unverified, counts(warehouse, ACCOUNT).unverified) == (2, 0)


def test_counts_are_grouped_largest_first_and_cut_pages_at_their_query(warehouse):
    urls = ["https://x.test/b?q=1", "https://x.test/a#top", "https://x.test/a?q=2"]
    put(warehouse, *(event(n, url=url, visitor="v1", referrer="https://r.test/?s") for n, url in enumerate(urls, 1)))
    put(warehouse, event(4, received_at=T0 + DAY, name="signup", visitor="v2"))
    found = counts(warehouse)
    assert found.by_page == [("https://x.test/a", 2), ("https://x.test/b", 1), (None, 1)]
    assert found.by_name == [("page_view", 3), ("signup", 1)]
    assert found.by_day == [("2023-11-14", 3), ("2023-11-15", 1)]
    assert found.by_referrer == [("https://r.test/", 3), (None, 1)]
    assert (found.visible, found.visitors) == (4, 2)


def test_monthly_visitors_are_of_kept_events_for_the_operator_and_of_visible_ones_for_the_account(warehouse):
    """RULEBOOKS: kept hits are usage, hidden too; I11: the account does not learn of hidden ones."""
    put(warehouse, event(1, visitor="a"), event(2, visitor="b", verdict=HIDE, version=9), event(3, visitor="a"))
    put(warehouse, event(4, visitor="c", received_at=T0 + 30 * DAY))
    month = month_before(T0 + 10)
    assert counts(warehouse, OPERATOR, month=month).mtu == 2
    assert counts(warehouse, ACCOUNT, month=month).mtu == 1


def test_a_period_holds_its_first_instant_and_not_its_last(warehouse):
    put(warehouse, event(1, received_at=T0), event(2, received_at=T0 + 1), event(3, received_at=T0 + 2))
    assert [e.received_at for e in shown(warehouse, period=Period(T0, T0 + 2))] == [T0, T0 + 1]
    assert counts(warehouse, period=Period(T0, T0 + 2)).visible == 2


def test_a_clients_retry_is_counted_and_not_kept(warehouse):
    """DESIGN 8: client_id is a second dedupe key within account and key, over a window."""
    assert put(warehouse, event(1, client_id="c"), event(2, client_id="c")) == Stored(events=1, duplicates=1)
    assert put(warehouse, event(3, client_id="c")) == Stored(duplicates=1)
    others = [
        event(4, client_id="c", account="other"),
        event(5, client_id="c", write_key="other"),
        event(6, client_id="d"),
        event(7, client_id="c", received_at=T0 + 2 * DAY),
        event(8),
        event(9),
    ]
    assert put(warehouse, *others) == Stored(events=6)
    assert warehouse.sums()["journals"][JOURNAL] == {"events": 7, "duplicate": 2}


def test_an_unverified_retry_is_no_duplicate_until_it_is_settled(warehouse):
    """DESIGN 8: among settled events."""
    put(warehouse, event(1, client_id="c"))
    assert put(warehouse, event(2, client_id="c", verified=False)) == Stored(unverified=1)
    settled = warehouse.settle([Ruling("key", 0, "shop", ACCEPT, 1)], T0 + DAY, 100)
    assert settled == Settled(duplicates=1)
    assert warehouse.sums()["journals"][JOURNAL] == {"events": 1, "duplicate": 1}


def test_unsettled_keys_come_oldest_first_and_bounded(warehouse):
    put(warehouse, event(1, write_key="b", verified=False), event(2, write_key="a", verified=False))
    put(warehouse, event(3, write_key="b", verified=False), event(4, write_key="c"))
    before = T0 + 4
    assert warehouse.unsettled(before, 10) == [Unsettled("b", T0 + 1, T0 + 3, 2), Unsettled("a", T0 + 2, T0 + 2, 1)]
    assert [key.write_key for key in warehouse.unsettled(before, 1)] == ["b"]
    assert warehouse.unsettled(T0 + 3, 10)[0].events == 1


def test_settling_follows_the_last_ruling_at_or_before_each_event(warehouse):
    put(warehouse, *(event(n, verified=False, account="", version=0, received_at=T0 + n) for n in range(1, 7)))
    rulings = [
        Ruling("key", T0 + 1, "shop", ACCEPT, 3),
        Ruling("key", T0 + 3, "shop", HIDE, 4),
        Ruling("key", T0 + 5, "shop", DROP, 5),
    ]
    assert warehouse.settle(rulings, T0 + 6, 100) == Settled(visible=2, hidden=2, gone=1)
    assert [(e.received_at - T0, e.verdict, e.version, e.account, e.verified) for e in shown(warehouse)] == [
        (1, ACCEPT, 3, "shop", True),
        (2, ACCEPT, 3, "shop", True),
        (3, HIDE, 4, "shop", True),
        (4, HIDE, 4, "shop", True),
    ]
    assert warehouse.unverified(T0 + SECOND) == 1  # received at `before`: not yet
    assert warehouse.sums()["journals"][JOURNAL] == {"events": 4, "unverified": 1, "settled_away": 1}


def test_settling_is_bounded_and_goes_on_where_it_stopped(warehouse):
    put(warehouse, *(event(n, verified=False) for n in range(1, 8)))
    ruling = [Ruling("key", 0, "shop", ACCEPT, 1)]
    assert [warehouse.settle(ruling, T0 + SECOND, 3).events for _ in range(4)] == [3, 3, 1, 0]
    assert len(shown(warehouse)) == 7


def test_a_parquet_file_holds_the_same_events_as_the_stream(warehouse, tmp_path):
    put(warehouse, event(1), event(2, verdict=HIDE, version=9), event(3, account="else"))
    reader = warehouse.reader()
    assert (
        reader.write_parquet(ACCOUNT, ALWAYS, tmp_path / "a.parquet") == len(list(reader.events(ACCOUNT, ALWAYS))) == 1
    )
    assert reader.write_parquet(OPERATOR, ALWAYS, tmp_path / "o.parquet") == 2
    reader.close()


def test_lines_are_taken_as_the_events_they_encode(warehouse):
    """DESIGN 8: the wire's JSON, which a source may hand over undecoded."""
    events = [
        event(1, url='https://x.test/ä"\\', params={"a": [1, None, {"b": "\u2028\x00"}]}, client_time=-1, visitor="v"),
        event(2, verdict=HIDE, version=2**63, ip="203.0.113.0", revealed_at=T0),
    ]
    sequences = [1, 2]
    assert warehouse.append([Part(JOURNAL, 2, [e.encode() for e in events], sequences)], []) == Stored(events=2)
    events[1].revealed_at = None
    assert shown(warehouse) == events


@pytest.mark.parametrize("line", [b"", b"{", b"[]", b"null", b'{"id":3}', b"\xff", b'{"id":"x-y"}'])
def test_a_line_that_is_no_event_fails_its_batch_whole(warehouse, line):
    """I10: nothing of the batch is kept, so that it can come again without that line."""
    given = [event(1).encode(), line, event(3, verified=False).encode()]
    with pytest.raises(WarehouseFailed):
        warehouse.append([Part(JOURNAL, 3, given, [1, 2, 3])], [])
    assert dict(warehouse.highest()) == {}
    assert (shown(warehouse), warehouse.unverified(T0 + DAY)) == ([], 0)
    put(warehouse, event(1), event(3, verified=False))
    assert (len(shown(warehouse)), warehouse.unverified(T0 + DAY)) == (1, 1)


def test_what_is_sent_again_is_taken_only_where_it_never_was(warehouse):
    """I10: a visible, a hidden and an unverified one, one settled away, a client's retry; and one that is new."""
    put(
        warehouse,
        event(1, client_id="c"),
        event(2, verdict=HIDE, version=5),
        event(3, verified=False),
        event(4, client_id="c"),
        event(5, verified=False, write_key="gone"),
    )
    warehouse.settle([Ruling("gone", 0, "shop", DROP, 2)], T0 + DAY, 100)
    before = warehouse.sums()
    sent = [event(n, revealed_at=T0 + DAY) for n in range(1, 6)]
    assert warehouse.append([], [], sent) == Stored()
    assert warehouse.sums() == before
    assert warehouse.append([], [], [*sent, event(6), event(6).encode()]) == Stored(events=1)
    assert [e.id for e in shown(warehouse)] == [f"{JOURNAL}-{n}" for n in (1, 2, 6)]


def test_what_was_sent_again_before_its_place_in_a_stream_came_is_passed_over_there(form, warehouse):
    """I10: no order holds between topics."""
    assert warehouse.append([], [], [event(2), event(3, verified=False)]) == Stored(events=1, unverified=1)
    assert dict(warehouse.highest()) == {}
    warehouse.close()
    again = form.open()
    assert put(again, event(1), event(2), event(3, verified=False)) == Stored(events=1)
    assert again.sums()["journals"][JOURNAL] == {"events": 2, "unverified": 1}
    again.close()


def test_an_event_of_a_batch_that_holds_it_twice_is_taken_once(warehouse):
    assert warehouse.append([part([event(1)])], [], [event(1), event(2)]) == Stored(events=2)
    assert len(shown(warehouse)) == 2


def test_what_was_settled_as_accepted_waits_to_be_announced(form, warehouse):
    """DESIGN 6: on to `pixel.events`; hidden, dropped and a client's retries do not go there."""
    warehouse.close()
    warehouse = form.open(announces=True)
    put(warehouse, *(event(n, verified=False, account="", version=0) for n in range(1, 5)))
    put(warehouse, event(5, verified=False, client_id="c"), event(6, client_id="c"), event(7))
    rulings = [Ruling("key", 0, "shop", ACCEPT, 3), Ruling("key", T0 + 3, "shop", HIDE, 4)]
    rulings += [Ruling("key", T0 + 4, "shop", DROP, 5), Ruling("key", T0 + 5, "shop", ACCEPT, 6)]
    assert warehouse.settle(rulings, T0 + DAY, 100) == Settled(visible=2, hidden=1, gone=1, duplicates=1)
    first = event(1, version=3)
    assert warehouse.unannounced(1) == [first]
    assert warehouse.unannounced(10) == [first, event(2, version=3)]
    warehouse.announced([first.id, "none-1"])
    warehouse.close()
    again = form.open()
    assert [e.id for e in again.unannounced(10)] == [f"{JOURNAL}-2"]
    again.announced([f"{JOURNAL}-2"])
    assert again.unannounced(10) == []
    again.close()


def test_nothing_waits_to_be_announced_where_nobody_announces(warehouse):
    put(warehouse, event(1, verified=False))
    assert warehouse.settle([Ruling("key", 0, "shop", ACCEPT, 3)], T0 + DAY, 100) == Settled(visible=1)
    assert warehouse.unannounced(10) == []


def test_a_clients_retry_that_was_sent_again_is_counted_once(warehouse):
    """I10: judged when it was sent again, known when its place in the stream comes."""
    put(warehouse, event(1, client_id="c"))
    assert warehouse.append([], [], [event(2, client_id="c")]) == Stored(duplicates=1)
    assert put(warehouse, event(2, client_id="c"), event(3)) == Stored(events=1)
    assert warehouse.sums()["journals"][JOURNAL] == {"events": 2, "duplicate": 1}


SHOP = Tombstone("shop", ("key", "old"))


def purged(warehouse, *stones):
    """Ask until its bytes are gone too."""
    if isinstance(warehouse, ClickHouseWarehouse):
        hurry(warehouse, "events", "unverified")
    eventually(lambda: warehouse.purge(stones), 60)


def test_a_purged_account_is_gone_and_every_other_one_stays(warehouse):
    """I12: visible, hidden, unverified, and what a worker kept that did not know the account yet."""
    mine = [event(1), event(2, verdict=HIDE, version=9), event(3, verified=False), event(4, verified=False, account="")]
    others = [event(5, account="else", write_key="other"), event(6, account="", write_key="other", verified=False)]
    put(warehouse, *mine, *others)
    assert warehouse.remains([SHOP]) == {"shop": Remains(events=2, unverified=2)}
    purged(warehouse, SHOP)
    assert warehouse.remains([SHOP]) == {"shop": Remains()}
    assert warehouse.sums()["journals"][JOURNAL] == {"events": 1, "unverified": 1, "purged": 4}
    other = View("else", Audience.OPERATOR, Access.FULL, 1, ("other",))
    assert (shown(warehouse, other), counts(warehouse, other).unverified) == ([others[0]], 1)
    assert shown(warehouse) == []


def test_a_purged_accounts_late_events_are_counted_and_refused(form, warehouse):
    """I8: by whatever way and however late they come; under a key of its own where nobody knew whose it is."""
    put(warehouse, event(1))
    purged(warehouse, SHOP)
    late = [event(2), event(3, verified=False, account="", write_key="old"), event(4, account="else", client_id="c")]
    assert put(warehouse, *late) == Stored(events=1, purged=2)
    again = [event(1), event(2), event(5), event(6, account="else")]
    assert warehouse.append([], [], again) == Stored(events=1, purged=1)
    warehouse.close()
    warehouse = form.open()
    assert warehouse.append([Part(JOURNAL, 7, [event(7).encode()], [7])], []) == Stored(purged=1)
    assert warehouse.sums()["journals"][JOURNAL] == {"events": 2, "purged": 5}
    assert warehouse.unverified(T0 + DAY) == 0
    warehouse.close()


def test_a_key_that_another_account_took_over_collects_for_that_one(warehouse):
    """RULEBOOKS, clickport 15: the old id stays a tombstone, its keys need not."""
    purged(warehouse, SHOP)
    assert put(warehouse, event(1, account="new"), event(2, account="new", verified=False)) == Stored(1, 1)


def test_a_purge_twice_counts_once_and_more_accounts_may_join_it(warehouse):
    put(warehouse, event(1), event(2, account="b", write_key="kb"), event(3, account="c", write_key="kc"))
    purged(warehouse, SHOP)
    purged(warehouse, SHOP, Tombstone("b", ("kb",)))
    purged(warehouse, SHOP, Tombstone("nobody", ()))
    assert warehouse.sums()["journals"][JOURNAL] == {"events": 1, "purged": 2}


def test_what_was_settled_for_a_purged_account_is_not_announced_any_more(form, warehouse):
    warehouse.close()
    warehouse = form.open(announces=True)
    put(warehouse, event(1, verified=False), event(2, verified=False, write_key="kb"))
    warehouse.settle([Ruling("key", 0, "shop", ACCEPT, 3), Ruling("kb", 0, "b", ACCEPT, 3)], T0 + DAY, 10)
    purged(warehouse, SHOP)
    assert [e.account for e in warehouse.unannounced(10)] == ["b"]
    warehouse.close()


def test_dead_letters_of_a_purged_account_are_counted_once(warehouse):
    put(warehouse, event(1))
    purged(warehouse, SHOP)
    for _ in range(2):
        warehouse.write_off([f"{JOURNAL}-1", f"{JOURNAL}-8", f"{JOURNAL}-9", f"{JOURNAL}-9"])
    warehouse.write_off([])
    assert warehouse.sums()["journals"][JOURNAL] == {"purged": 3}


ACCOUNTS = st.sampled_from(["a", "b", "c", ""])


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=5)
@given(st.lists(st.tuples(ACCOUNTS, st.booleans(), st.booleans()), max_size=12), st.sets(ACCOUNTS.filter(bool)))
def test_any_purge_leaves_exactly_the_other_accounts(warehouse, kept, leaving):
    """I12, I10: whatever is there, whoever goes; journals add up."""
    mark = secrets.token_hex(4)  # one warehouse for all examples: accounts and journals of their own
    journal = mark * 4
    events = []
    for sequence, (account, verified, hidden) in enumerate(kept, 1):
        owner = account or "a"
        known = account if verified or account else ""
        events.append(
            event(
                sequence, journal, account=f"{known or owner}-{mark}" if verified or known else "",
                write_key=f"k-{owner}-{mark}", verified=verified, verdict=HIDE if hidden else ACCEPT,
            )
        )  # fmt: skip
    put(warehouse, *events, journal=journal)
    gone = {f"{account}-{mark}" for account in leaving}
    stones = [Tombstone(account, (f"k-{account}",)) for account in sorted(gone)]
    purged(warehouse, *stones)
    stay = [e for e in events if e.account not in gone and not (e.account == "" and e.write_key[2:] in gone)]
    sums = warehouse.sums()["journals"].get(journal, {})
    assert sums.get("events", 0) == sum(e.verified for e in stay)
    assert sums.get("unverified", 0) == sum(not e.verified for e in stay)
    assert sums.get("purged", 0) == len(events) - len(stay)


def test_accounts_are_active_by_their_newest_kept_event_hidden_or_not_page_by_page(warehouse):
    """customertrackr 6: a kept hit is activity; what waits for the ledger's history is not known yet."""
    put(
        warehouse,
        event(1, received_at=T0, account="a"), event(2, received_at=T0 + SECOND, account="b", verdict=HIDE),
        event(3, received_at=T0 + 2 * SECOND, account="a"),
        event(4, received_at=T0 + 3 * SECOND, account="c", verified=False),
        event(5, received_at=T0 + SECOND, account="d"),
    )  # fmt: skip
    reader = warehouse.reader()
    try:
        assert reader.active(0, "", 10) == [("a", T0 + 2 * SECOND), ("b", T0 + SECOND), ("d", T0 + SECOND)]
        assert reader.active(0, "", 1) == [("a", T0 + 2 * SECOND)]
        assert reader.active(T0 + 1, "a", 10) == [("b", T0 + SECOND), ("d", T0 + SECOND)]
        assert reader.active(T0 + 2 * SECOND, "", 10) == [("a", T0 + 2 * SECOND)]
        assert reader.active(T0 + 3 * SECOND, "", 10) == []
    finally:
        reader.close()
