"""The short way from a record to its message says what the reference says, byte for byte, whatever the bytes."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.addresses import Addresses, IpPolicy
from collector.event import TOPIC_EVENTS, Event
from collector.journal import Record
from collector.publisher.messages import Refinery, headers_of
from collector.publisher.shortcut import plain_hit
from collector.refine import event_of
from gating.status import Verdict
from loadtest.heads import heads, made_up_keys

JOURNAL = "0123456789abcdef" * 2
ADDRESSES = [Addresses(), Addresses(IpPolicy.FULL, ["10.0.0.0/8", "203.0.113.9"]), Addresses(IpPolicy.NONE)]
BROWSERS = heads(11, 400, made_up_keys(3, 20))

PIECES = st.sampled_from(
    [
        "", "a", "page_view", "%", "%4", "%zz", "%00", "%22", "%5C", "%26", "%3D", "%2B", "+", "a+b", "ä", "%C3%A4",
        "%ff", '"', "\\", "#", "=", "a=b", "&", "&&", "e", "u", "v", "r", "uid", "t", "k", " ", "\t", "\x7f", "'", "<",
        "x" * 400, "user%40example.com", "1767225600000", "4102444800000", "4102444799999", "0000000000000",
        "946684800000", "/p/", "HTTP/1.1", "\r\n", "\r",
    ]
)  # fmt: skip
TEXTS = st.lists(PIECES, max_size=3).map("".join)


@st.composite
def snippets(draw):
    """A request line as the snippet writes it, whose values are anything; now and then out of order."""
    pairs = [("e", draw(TEXTS)), ("u", draw(TEXTS))]
    pairs += [("r", draw(TEXTS))] if draw(st.booleans()) else []
    pairs += [("v", draw(TEXTS))]
    pairs += [("uid", draw(TEXTS))] if draw(st.booleans()) else []
    pairs += [("t", draw(st.one_of(TEXTS, st.just("1767225600123"))))]
    pairs += draw(st.lists(st.tuples(TEXTS, TEXTS), max_size=3))
    if draw(st.integers(0, 9)) == 0:
        pairs = draw(st.permutations(pairs))
    query = "&".join(f"{name}={value}" for name, value in pairs)
    method = draw(st.sampled_from(["GET", "POST", "HEAD", "get", "\r\nGET"]))
    return f"{method} /p/Key_-1.gif?{query} HTTP/1.{draw(st.sampled_from('012'))}"


HEADERS = st.lists(
    st.tuples(
        st.sampled_from(
            ["Host", "User-Agent", "user-agent", "Referer", "referer", "REFERER", "Accept-Language", "Cookie", "cookie",
             "X-Forwarded-For", "x-forwarded-for", "X-Referer"]
        ),
        st.sampled_from([":", ": ", ":  ", " : "]),
        st.one_of(
            TEXTS, st.sampled_from(["10.1.2.3", "198.51.100.7, 10.0.0.1", "de-DE,de;q=0.9", "*", "https://a.example/"])
        ),
    ),
    max_size=7,
)  # fmt: skip


def record(head: bytes, verdict=Verdict.ACCEPT, verified=True, at_us=1_790_000_000_000_001, **changed) -> Record:
    return Record(7, at_us, verdict, verified, 12, 'sh"öp', "203.0.113.9", head, None)._replace(**changed)


def agrees(records: list[Record], addresses: Addresses) -> None:
    share = Refinery(addresses).share(records, JOURNAL)
    wanted: dict[bool, list[tuple[int, int, bytes, bytes, bytes]]] = {True: [], False: []}
    for one in records:
        event = event_of(one, JOURNAL, addresses)
        headers = headers_of(event.verdict.name, again=False)
        message = (one.sequence, one.received_at_us // 1000, event.kafka_key, event.encode(), headers)
        wanted[event.topic == TOPIC_EVENTS].append(message)
        assert Event.decode(message[3]) == event
    assert share.events == wanted[True]
    assert share.hidden == wanted[False]


@pytest.mark.parametrize("addresses", ADDRESSES)
def test_browsers_heads_are_plain_and_agree(addresses):
    source = random.Random(5)
    kept = [verdict for verdict in Verdict if verdict is not Verdict.DROP]
    records = [
        record(head, Verdict(source.choice(kept)), source.random() < 0.8)._replace(
            sequence=number, peer=f"203.0.{number % 3}.{number % 250}", account=f"shop-{number % 7}"
        )
        for number, head in enumerate(BROWSERS, 1)
    ]
    assert all(plain_hit(head) for head in BROWSERS)
    agrees(records, addresses)


@given(snippets(), HEADERS, st.sampled_from(ADDRESSES), st.sampled_from(list(Verdict)), st.booleans())
def test_whatever_a_snippet_might_send_agrees(line, headers, addresses, verdict, verified):
    lines = "".join(f"{name}{colon}{value}\r\n" for name, colon, value in headers)
    head = f"{line}\r\n{lines}\r\n".encode()
    agrees([record(head, verdict, verified)], addresses)


@given(st.sampled_from(BROWSERS), st.data())
def test_a_browsers_head_with_any_bytes_changed_agrees(head, data):
    changed = bytearray(head)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(changed) - 1))
        changed[at : at + data.draw(st.integers(0, 3))] = data.draw(
            st.one_of(st.binary(max_size=3), PIECES.map(str.encode))
        )
    agrees([record(bytes(changed))], data.draw(st.sampled_from(ADDRESSES)))


@given(st.binary(max_size=300), st.one_of(st.none(), st.binary(max_size=100)))
def test_any_bytes_at_all_agree(head, body):
    agrees([record(head, body=body)], ADDRESSES[0])


@pytest.mark.parametrize("cut", [1, 2, 3, 4, 5, 30])
@pytest.mark.parametrize("last", ["Referer: https://a.example/", "Cookie: a=b", "User-Agent: UA"])
def test_a_head_that_was_cut_short_agrees(cut, last):
    line = "GET /p/K.gif?e=a&u=b&v=c&t=1767225600123 HTTP/1.1"
    agrees([record(f"{line}\r\nHost: c.test\r\n{last}\r\n\r\n".encode()[:-cut])], ADDRESSES[0])


def test_times_at_the_ends_of_what_can_be_written_agree():
    head = BROWSERS[0]
    agrees([record(head, at_us=at_us) for at_us in (0, 253_402_300_799_999_999, 2**63)], ADDRESSES[0])


def test_what_may_come_again_says_so_up_to_its_sequence():
    records = [record(BROWSERS[n], sequence=n) for n in range(1, 6)]
    share = Refinery(ADDRESSES[0]).share(records, JOURNAL, again_through=3)
    plain, again = headers_of("ACCEPT", again=False), headers_of("ACCEPT", again=True)
    assert [message[4] for message in share.events] == [again, again, again, plain, plain]
