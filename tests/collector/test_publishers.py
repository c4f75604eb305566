"""What publishers and consumers say to each other survives the wire, and nothing else is taken for it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.publishers import Announcement, Answer, Ask, Farewell, decode, place_of, place_text

IDS = st.text("0123456789abcdef", min_size=32, max_size=32)
TIMES = st.integers(0, 253_402_300_799_999_999)
OFFSETS = st.dictionaries(
    st.tuples(st.sampled_from(["pixel.events", "pixel.hidden", "a_b-C.9"]), st.integers(0, 999_999_999)),
    st.integers(0, 2**62),
)
WORDS = st.one_of(
    st.builds(Ask, IDS, TIMES),
    st.builds(Answer, IDS, IDS, OFFSETS),
    st.builds(Announcement, IDS, st.text(st.characters(exclude_categories=["Cs"]), max_size=40), TIMES, TIMES),
    st.builds(Farewell, IDS),
)


@given(WORDS)
def test_every_word_comes_back_as_it_was_said(word):
    assert decode(word.key, word.encode()) == word


@given(st.one_of(st.none(), st.binary(max_size=60)), st.one_of(st.none(), st.binary(max_size=60)))
def test_no_bytes_make_the_reader_raise(key, value):
    word = decode(key, value)
    assert word is None or decode(word.key, word.encode()) == word


@pytest.mark.parametrize("change", [b'"x"', b"[]", b"7", b"{}", b"null", b"\xff"])
@pytest.mark.parametrize("key", [b"ask", b"answer:" + b"a" * 32, b"publisher:" + b"a" * 32, b"other", None])
def test_what_nobody_of_ours_would_write_is_no_word(key, change):
    assert decode(key, change) is None


def test_a_word_under_another_publishers_key_is_no_word():
    answer = Answer("a" * 32, "b" * 32, {("pixel.events", 0): 7})
    assert decode(b"answer:" + b"c" * 32, answer.encode()) is None


def test_a_place_is_topic_and_partition():
    assert place_text(("pixel.events", 3)) == "pixel.events/3"
    assert place_of("pixel.events/3") == ("pixel.events", 3)
    with pytest.raises(ValueError, match="no topic and partition"):
        place_of("pixel.events")
