"""Keys found in the wild, on either ledger: whose they are, what they do now; and the names of their sources."""

import pytest

from gating.clock import Clock
from gating.errors import InputInvalid, NotFound, Refused
from gating.keys import TEXT_CHARACTERS_MAX, WORDS_MAX, Finder
from gating.shelf import Shelf
from gating.status import DAY_US, SECOND_US
from tests.gating.ledger.desk import OPERATOR

OTHER = "K3vTq8ZrW2mXb6NcL9dYp4"
ALIKE = "K3vTq8ZrWZZ5b6NcL9dYp4"


@pytest.fixture
def finder(ledger, desk):
    clock = Clock()
    clock.now_us = lambda: desk.now_us
    return Finder(ledger, Shelf(ledger), clock)


def name(ledger, desk, to, **which):
    with ledger.begin() as transaction:
        return transaction.name_key("shop", to, at_us=desk.now_us, who=OPERATOR, **which)


def test_a_key_is_found_whole_by_its_beginning_and_in_whatever_holds_it(desk, finder):
    key = desk.open(source="blog").keys[0].write_key
    desk.open("other", write_key=OTHER)
    html = f"<script>pixel('{key}')</script> and https://x.example/p/{OTHER}.gif?u=https%3A%2F%2Fa.example"
    texts = [
        key, f"  {key}\n", key[:8], f"{key[:10]}...", f"{key[:10]}…", f"https://x.example/p/{key}.gif?e=a",
        f"k={key}&e=1", f"https%3A%2F%2Fx.example%2Fp%2F{key}.gif", f'{{"write_key":"{key}"}}',
        f"GET /p.gif?k={key} HTTP/1.1\r\nHost: x",
    ]  # fmt: skip
    for text in texts:
        assert [(found["write_key"], found["account"], found["source"]) for found in finder.find(text)] == [
            (key, "shop", "blog")
        ], text
    assert [found["account"] for found in finder.find(html)] == ["shop", "other"]


def test_a_key_that_nobody_has_or_that_is_not_told_clearly_is_answered_with_a_line(desk, finder):
    desk.open(write_key=OTHER)
    desk.add_key(write_key=ALIKE)
    for unknown in ("Q" * 22, "Q" * 8, "<p>no key in here, whoever-looks_for_one</p>", "K3vTq8ZrWX", "~~~~"):
        with pytest.raises(NotFound):
            finder.find(unknown)
    with pytest.raises(InputInvalid, match="2 write keys begin so"):
        finder.find(OTHER[:9])
    assert [found["write_key"] for found in finder.find(OTHER[:10])] == [OTHER]
    with pytest.raises(InputInvalid, match="at the least"):
        finder.find(OTHER[:7])
    with pytest.raises(InputInvalid, match="characters"):
        finder.find("x" * (TEXT_CHARACTERS_MAX + 1))
    with pytest.raises(InputInvalid, match="words"):
        finder.find(" ".join(f"word-{n:04d}" for n in range(WORDS_MAX + 1)))


def test_a_found_key_says_whether_it_lives_until_when_and_what_its_hits_are_worth(desk, finder):
    old = desk.open().keys[0].write_key
    new = desk.rotate_key(grace_us=DAY_US).write_key
    assert [(found["state"], found["verdict"]) for found in finder.find(f"{old} {new}")] == [
        ("grace", "ACCEPT"), ("living", "ACCEPT"),
    ]  # fmt: skip
    desk.later(DAY_US - 1)
    assert finder.find(old)[0]["state"] == "grace"
    desk.later(1)
    found = finder.find(old)[0]
    assert (found["state"], found["verdict"], found["revoked_at"]) == ("revoked", "DROP", "2026-03-02T12:00:00.000000Z")
    desk.do("pause")
    assert [(one["state"], one["status"], one["verdict"]) for one in finder.find(new)] == [("living", "PAUSED", "HIDE")]


def test_a_key_and_a_source_are_named_and_the_name_can_be_erased(ledger, desk):
    first = desk.open(source="blog").keys[0].write_key
    second = desk.add_key(source="blog").keys[-1].write_key
    desk.later(SECOND_US)
    change = name(ledger, desk, "news", which=first)
    assert {key.write_key: key.source for key in ledger.keys("shop")} == {first: "news", second: "blog"}
    row = ledger.history("shop")[-1]
    assert (row.command, [key.write_key for key in row.keys], row.details) == ("name_key", [first], {"source": "news"})
    assert name(ledger, desk, "news", which=first) == change  # said already
    name(ledger, desk, "all", source="blog")
    name(ledger, desk, "all", which=first)
    assert {key.source for key in ledger.keys("shop")} == {"all"}
    assert (ledger.head().version, ledger.revealed_version("shop")) == (5, 1)
    with ledger.begin() as transaction:
        transaction.erase_details("shop")
    assert {key.source for key in ledger.keys("shop")} == {None}
    assert [row.details for row in ledger.history("shop")] == [{}] * 5


@pytest.mark.parametrize("source", ["", " blog", "a\nb", "x" * 201, "\0"])
def test_a_source_is_a_name_on_one_line(ledger, desk, source):
    key = desk.open().keys[0].write_key
    for give in (lambda: name(ledger, desk, source, which=key), lambda: desk.add_key(source=source)):
        with pytest.raises(InputInvalid, match="a source is a name"):
            give()
    assert ledger.head().version == 1


def test_what_is_to_be_named_is_said_once_and_is_there(ledger, desk):
    key = desk.open(source="blog").keys[0].write_key
    for which in ({}, {"which": key, "source": "blog"}):
        with pytest.raises(InputInvalid, match="one of the two"):
            name(ledger, desk, "news", **which)
    for which in ({"which": OTHER}, {"source": "app"}):
        with pytest.raises(NotFound):
            name(ledger, desk, "news", **which)
    desk.do("delete")
    desk.later(7 * DAY_US)
    desk.sweep()
    with pytest.raises(Refused):
        name(ledger, desk, "news", which=key)


def test_a_given_key_that_could_be_guessed_changes_nothing(ledger, desk):
    for give in (lambda: desk.open(write_key="my-shop"), lambda: desk.open(write_key="a" * 22)):
        with pytest.raises(InputInvalid):
            give()
    desk.open()
    with pytest.raises(InputInvalid):
        desk.rotate_key(new_key="my-new-shop")
    assert ledger.head().version == 1
