"""A tail: what is kept from now on, for whom it may be shown, and nothing written."""

import pytest

from collector.addresses import Addresses
from collector.journal import Journal
from consumers.client import ConsumerClient
from consumers.config import ConsumerSettings
from consumers.errors import AccessDenied
from consumers.journal_source import JournalSource
from consumers.tail import Filter, Tail
from consumers.warehouse.protocol import Audience
from gating.status import Verdict


@pytest.fixture
def open_tail(house):
    """Makes tails of this house."""
    house.create()
    service = house.service()
    tails = []

    def make(*arguments, **named) -> Tail:
        tails.append(Tail(house.data.journals, Addresses(), Filter(*arguments, **named), service.accounts.view))
        return tails[-1]

    yield make
    for tail in tails:
        tail.close()
    service.accounts.close()
    service.warehouse.close()


def visitors(tail: Tail) -> list[str]:
    return [event["visitor"] for event in tail.poll()]


def test_a_tail_begins_where_it_is_opened_and_goes_on_across_segments_and_journals(house, open_tail):
    journal = Journal.create(house.data.journals, segment_bytes=8 * 1024)
    house.hit(*["v=before"] * 200)
    tail = open_tail()
    assert visitors(tail) == []
    for n in range(100):
        house.hit(f"v={n}", journal=journal)
    assert visitors(tail) == [str(n) for n in range(100)]
    later = Journal.create(house.data.journals)
    house.hit("v=new", journal=later)
    assert visitors(tail) == ["new"]
    journal.close()
    later.close()


def test_a_tail_shows_what_its_filter_lets_through(house, open_tail):
    everything, hidden, other = open_tail(), open_tail(verdict=Verdict.HIDE), open_tail("else")
    house.hit("v=a")
    house.hit("v=b", verdict=Verdict.HIDE)
    house.hit("v=c", account="else")
    assert visitors(everything) == ["a", "b", "c"]
    assert visitors(hidden) == ["b"]
    assert visitors(other) == ["c"]


def test_an_accounts_tail_shows_accepted_events_alone_and_ends_with_its_access(house, open_tail):
    """I11."""
    tail = open_tail("shop", audience=Audience.ACCOUNT)
    house.hit("v=a")
    house.hit("v=b", verdict=Verdict.HIDE)
    house.hit("v=c", verified=False)
    house.hit("v=d", account="else")
    assert visitors(tail) == ["a"]
    house.hit("v=e")
    house.flip("pause")
    with pytest.raises(AccessDenied):
        tail.poll()
    with pytest.raises(AccessDenied):
        open_tail("shop", audience=Audience.ACCOUNT)


def test_a_tail_takes_no_lock_and_moves_no_cursor(house, open_tail):
    cursor = (house.journal.path / "cursor").read_bytes()
    tail = open_tail()
    house.hit("v=a")
    assert visitors(tail) == ["a"]
    assert (house.journal.path / "cursor").read_bytes() == cursor


async def test_a_tail_goes_on_after_a_journal_was_taken_over_and_removed(house, open_tail):
    tail = open_tail()
    house.hit("v=a")
    house.journal.close()
    source = JournalSource(house.data.journals, house.data.quarantine, Addresses())
    while (batch := await source.poll(0)).token is not None:
        await source.commit(batch)
    assert not house.journal.path.exists()
    visitors(tail)
    later = Journal.create(house.data.journals)
    house.hit("v=b", journal=later)
    assert visitors(tail) == ["b"]
    await source.close()
    later.close()


def test_a_clients_tail_begins_with_the_call_and_shortens_keys(house):
    house.create()
    seen = ConsumerClient(house.data, ConsumerSettings(data=house.data.root)).tail("shop")
    house.hit("v=a")
    shown = next(seen)
    assert (shown["visitor"], shown["write_key"]) == ("a", "K3vTq8…")
    seen.close()
