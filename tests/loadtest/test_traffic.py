"""What visitors send: the same for one seed, as skewed as the web is, and taken by the collector to the last byte."""

from collections import Counter
from itertools import islice, pairwise
from random import Random
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.outcome import Outcome
from collector.pixel import GIF
from loadtest.heads import made_up_keys
from loadtest.peers.wire import is_pixel
from loadtest.traffic.garbage import every, probe
from loadtest.traffic.session import Traffic
from loadtest.traffic.zipf import Zipf
from tests.collector.http.wire import Wire

KEYS = made_up_keys(3, 20)
HOST = "127.0.0.1:8080"


def hits(seed, count, keys=KEYS):
    random = Random(seed)
    return list(islice((hit for session in Traffic(keys, HOST).sessions(random) for hit in session), count))


def params(hit):
    return dict(parse_qsl(urlsplit(hit.target).query, strict_parsing=True))


def test_one_seed_gives_the_same_visitors_and_another_gives_others():
    assert [hit.head() for hit in hits(1, 300)] == [hit.head() for hit in hits(1, 300)]
    assert [hit.head() for hit in hits(1, 300)] != [hit.head() for hit in hits(2, 300)]


@given(st.integers(1, 2000), st.floats(0, 3), st.integers())
def test_every_draw_is_a_rank_and_the_shares_are_those_of_zipfs_law(count, exponent, seed):
    zipf = Zipf(count, exponent)
    assert 0 <= zipf.draw(Random(seed)) < count
    assert sum(zipf.share(rank) for rank in range(count)) == pytest.approx(1)
    assert zipf.share(0) / zipf.share(count - 1) == pytest.approx(count**exponent)


def test_draws_come_as_often_as_their_shares_say():
    zipf, random = Zipf(10, 1.0), Random(1)
    drawn = Counter(zipf.draw(random) for _ in range(20_000))
    assert all(drawn[rank] / 20_000 == pytest.approx(zipf.share(rank), abs=0.015) for rank in range(10))


@pytest.mark.parametrize(("count", "exponent"), [(0, 1.0), (-1, 1.0), (5, -0.1)])
def test_a_law_without_ranks_or_with_a_negative_exponent_is_refused(count, exponent):
    with pytest.raises(ValueError, match="needs a rank"):
        Zipf(count, exponent)


def test_sites_and_pages_are_visited_as_unevenly_as_on_the_web():
    fired = hits(1, 4000)
    sites = Counter(hit.rank for hit in fired)
    assert sites[0] > 3 * sites[5] > 0
    pages = Counter(params(hit)["u"] for hit in fired if hit.rank == 0).most_common()
    assert len(pages) > 50
    assert pages[0][1] > 5 * pages[20][1]


def test_a_visitor_stays_one_person_with_one_browser_and_each_page_refers_to_the_one_before():
    random, traffic, walked = Random(5), Traffic(KEYS, HOST), 0
    for _ in range(200):
        visit = list(traffic.session(random))
        assert len({(hit.rank, hit.target.split("?")[0]) for hit in visit}) == 1
        assert len({(params(hit)["v"], params(hit).get("uid"), params(hit).get("sw")) for hit in visit}) == 1
        assert len({dict(hit.headers)["User-Agent"] for hit in visit}) == 1
        assert [int(params(hit)["t"]) for hit in visit] == sorted(int(params(hit)["t"]) for hit in visit)
        for before, after in pairwise(visit):
            if params(after)["e"] == "page_view":
                assert params(after)["r"] == params(before)["u"]
                walked += 1
            else:
                assert params(after)["u"] == params(before)["u"]
    assert walked > 100


async def test_the_collector_takes_and_keeps_every_visitors_hit():
    fired = hits(7, 300, ["wk_accept"])
    wire = Wire()
    for hit in fired:
        answer = await wire.ask(hit.head())
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.endswith(GIF)
    assert wire.counters.outcomes[Outcome.ACCEPTED] == len(fired)


async def test_every_probe_gets_the_promised_answer_and_is_counted_as_promised():
    """The table of garbage against the collector's own front: a promise that is none would fail every run."""
    for one in every(Random(1), "wk_accept", HOST):
        wire = Wire()
        answer = await wire.ask(one.request)
        assert answer.startswith(b"HTTP/1.1 %d " % one.status), (one.name, answer[:100])
        assert is_pixel(answer.partition(b"\r\n\r\n")[2]) or not one.gif, one.name
        malformed = wire.counters.outcomes[Outcome.MALFORMED]
        assert (wire.counters.hits - malformed, malformed) == {
            "hit": (1, 0), "malformed": (0, 1), "nothing": (0, 0)
        }[one.counted], one.name  # fmt: skip
        wire.close()


def test_probes_are_drawn_alike_for_one_seed_and_cover_the_table():
    drawn = [probe(Random(seed), KEYS[0], HOST) for seed in range(600)]
    assert drawn == [probe(Random(seed), KEYS[0], HOST) for seed in range(600)]
    assert {one.name for one in drawn} == {one.name for one in every(Random(1), KEYS[0], HOST)}
