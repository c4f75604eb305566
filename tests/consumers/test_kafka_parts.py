"""What the Kafka form decides without Kafka: places, records, who must answer, dead letters."""

import uuid
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.letter_files import LettersFull
from collector.publishers import Announcement, Answer, Ask, Farewell
from consumers.asking import Hearing
from consumers.dead_letters import SUFFIX, DeadLetters, find
from consumers.kafka_places import Place, place, place_stream
from consumers.kafka_records import Gathered, Poison, event_of
from consumers.source import Part
from tests.consumers.events import HIDE, JOURNAL, T0, event
from tests.kafka import AGAIN, SCHEMA

VERDICT = ("verdict", b"ACCEPT")

# stored, beginning, end -> where to go on
PLACES = [
    ("nothing stored", {}, 0, 10, Place("t/0@x", 0)),
    ("nothing stored, its first records gone", {}, 4, 10, Place("t/0@x", 4, lost=4)),
    ("in the middle", {"t/0@x": 7}, 0, 10, Place("t/0@x", 7)),
    ("at the end", {"t/0@x": 10}, 0, 10, Place("t/0@x", 10)),
    ("overtaken by retention", {"t/0@x": 3}, 5, 10, Place("t/0@x", 5, lost=2)),
    ("beyond the end", {"t/0@x": 11}, 0, 10, Place("t/0@x.1", 0, anew=True)),
    ("beyond the end once more", {"t/0@x": 11, "t/0@x.1": 12}, 0, 10, Place("t/0@x.2", 0, anew=True)),
    ("going on after that", {"t/0@x": 11, "t/0@x.1": 5}, 0, 10, Place("t/0@x.1", 5)),
    ("another incarnation", {"t/0@y": 7}, 0, 10, Place("t/0@x", 0)),
    ("another partition", {"t/1@x": 7, "t/0/x": 8}, 0, 10, Place("t/0@x", 0)),
]


@pytest.mark.parametrize(("case", "streams", "beginning", "end", "found"), PLACES, ids=[row[0] for row in PLACES])
def test_where_reading_goes_on(case, streams, beginning, end, found):
    assert place(streams, "t", 0, "x", beginning, end) == found
    assert found.anew or place_stream(streams, "t", 0, "x") == found.stream


def record(value, *headers, offset=0):
    return SimpleNamespace(offset=offset, timestamp=5, key=b"k", value=value, headers=headers)


def gathered(*records, careful=False) -> Gathered:
    found = Gathered(careful=careful)
    found.add("t", 3, records)
    return found


def parts(found: Gathered) -> dict[str, list[int]]:
    return {part.stream: list(part.sequences) for part in found.parts({("t", 3): "t/3@x"}) if part.events}


OTHER = "cd" * 16


@pytest.mark.parametrize("careful", [False, True])
def test_events_are_sorted_by_journal_and_repetitions_within_a_partition_left_out(careful):
    values = [(1, JOURNAL), (2, JOURNAL), (9, OTHER), (2, JOURNAL), (1, JOURNAL), (3, JOURNAL), (10, OTHER)]
    records = [record(event(n, j).encode(), SCHEMA, VERDICT, offset=40 + at) for at, (n, j) in enumerate(values)]
    found = gathered(*records, careful=careful)
    assert parts(found) == {f"t/3/{JOURNAL}": [1, 2, 3], f"t/3/{OTHER}": [9, 10]}
    assert (found.repeated, found.records, found.next_offsets) == (2, 7, {("t", 3): 47})
    assert Part("t/3@x", 47, (), ()) in found.parts({("t", 3): "t/3@x"})


def test_what_may_come_twice_is_told_apart_and_does_not_break_the_ascent():
    found = gathered(
        record(event(5).encode(), SCHEMA, VERDICT),
        record(event(2).encode(), SCHEMA, VERDICT, AGAIN),
        record(event(6).encode(), SCHEMA, VERDICT),
    )
    assert [one.id for one in found.again] == [f"{JOURNAL}-2"]
    assert parts(found) == {f"t/3/{JOURNAL}": [5, 6]}
    assert found.repeated == 0


@given(st.binary(max_size=400) | st.integers(0, 370).map(lambda at: event(1).encode()[:at] + b"\xff"))
def test_any_bytes_are_an_event_or_poison(value):
    for careful in (False, True):
        found = gathered(record(value, SCHEMA, VERDICT, offset=7), careful=careful)
        assert len(found.poison) + len(parts(found)) == 1
        assert found.next_offsets == {("t", 3): 8}


@given(st.text(max_size=60), st.none() | st.text(max_size=60), st.integers(1, 10**18 - 1), st.booleans())
def test_a_line_passed_on_unread_says_the_same_as_the_event_it_would_be_read_as(name, url, sequence, verified):
    told = event(sequence, received_at=T0, name=name, url=url, verified=verified, verdict=HIDE, params={name: [url]})
    quick, careful = (gathered(record(told.encode(), SCHEMA, VERDICT), careful=way) for way in (False, True))
    assert parts(quick) == parts(careful) == {f"t/3/{JOURNAL}": [sequence]}
    (part,) = [part for part in careful.parts({("t", 3): "p"}) if part.events]
    assert list(part.events) == [told]
    assert event_of(record(told.encode(), SCHEMA)) == (told, False)


A, B = uuid.uuid4().hex, uuid.uuid4().hex
NONCE = "1" * 32


def heard(*words) -> Hearing:
    hearing = Hearing()
    hearing.ask(NONCE)
    for word in words:
        hearing.hear(word.key, word.encode())
    return hearing


def missing(hearing: Hearing) -> list[str] | None:
    found = hearing.missing(NONCE)
    return None if found is None else [one.publisher for one in found]


def announced(publisher: str, beat_us: int = 2) -> Announcement:
    return Announcement(publisher, "host", 1, beat_us)


def test_whoever_is_known_where_the_question_stands_must_answer_or_say_farewell():
    words = [announced(A), announced(B, 1), Ask(NONCE, 5)]
    assert missing(heard(*words[:2])) is None
    assert missing(heard(*words)) == [B, A]  # longest silent first
    assert missing(heard(*words, Answer(NONCE, A, {}))) == [B]
    assert missing(heard(*words, Answer("2" * 32, A, {}))) == [B, A]
    assert missing(heard(*words, Answer(NONCE, A, {}), Farewell(B))) == []
    assert missing(heard(announced(A), Farewell(A), Ask(NONCE, 5), announced(B))) == []


def test_the_offsets_of_an_answer_are_the_highest_that_anybody_named():
    one, two = ("t", 0), ("t", 1)
    hearing = heard(
        announced(A), announced(B), Ask(NONCE, 5), Answer(NONCE, A, {one: 7, two: 1}), Answer(NONCE, B, {one: 4})
    )
    assert hearing.offsets(NONCE) == {one: 7, two: 1}


def poison(offset: int, value: bytes | None = b"\xff") -> Poison:
    return Poison("t", 0, offset, 5, "no event", b"k", value, (("schema", b"9"), ("empty", None)))


def test_dead_letters_are_kept_whole_and_each_place_once(tmp_path):
    letters = DeadLetters(tmp_path / "letters")
    letters.append([poison(1), poison(2, None)])
    letters.close()
    later = DeadLetters(tmp_path / "letters")  # killed before its position moved, it kept one of them again
    later.append([poison(2, None), poison(3)])
    later.close()
    assert find(tmp_path / "letters") == [poison(1), poison(2, None), poison(3)]


def test_a_dead_letter_that_a_kill_cut_short_hides_no_other(tmp_path):
    letters = DeadLetters(tmp_path)
    letters.append([poison(1), poison(2)])
    letters.close()
    (path,) = tmp_path.glob(f"*{SUFFIX}")
    path.write_bytes(path.read_bytes()[:-9])
    DeadLetters(tmp_path).append([poison(3)])
    assert [letter.offset for letter in find(tmp_path)] == [1, 3]


def test_dead_letters_have_a_bound_and_say_so(tmp_path):
    DeadLetters(tmp_path, bytes_max=10).append([poison(1)])
    with pytest.raises(LettersFull, match="10 bytes"):
        DeadLetters(tmp_path, bytes_max=10).append([poison(2)])
