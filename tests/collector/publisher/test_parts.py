"""The publisher's pure parts: lanes, progress, book and dead letters."""

import os
import stat

import pytest

from collector.errors import BookDamaged
from collector.publisher import book as book_module
from collector.publisher.book import Account, Book, read_book, write_book
from collector.publisher.dead_letters import DeadLetters, Letter, find, mark_sent
from collector.publisher.lanes import Lane
from collector.publisher.progress import Progress
from collector.publisher.record_batch import Compression

PLACE = ("pixel.events", 0)
JOURNAL = "a" * 32


def messages(first, last, value=b"v" * 100):
    return [(sequence, 1000 + sequence, b"k", value, b"\0") for sequence in range(first, last + 1)]


def taken(lane):
    """Every batch of a lane, acknowledged one after the other."""
    found = []
    while batch := lane.take(1e9, 0.0):
        found.append(batch)
        lane.acknowledged()
    return found


def test_one_batch_is_on_its_way_at_a_time_and_the_next_one_ascends():
    lane = Lane(PLACE, Compression.NONE)
    lane.bytes_max = 1000
    lane.extend(JOURNAL, messages(1, 30), now=0.0)
    first = lane.take(0.0, 10.0)
    assert first.firsts == {JOURNAL: 1}
    assert lane.take(99.0, 0.0) is None
    lane.acknowledged()
    second = lane.take(0.0, 10.0)
    assert second.firsts[JOURNAL] == first.lasts[JOURNAL] + 1


def test_a_batch_that_is_not_full_waits_for_its_time():
    lane = Lane(PLACE, Compression.NONE)
    lane.extend(JOURNAL, messages(1, 3), now=5.0)
    assert lane.take(5.1, 0.2) is None
    assert len(lane.take(5.2, 0.2)) == 3


def test_every_message_is_in_one_batch_whatever_the_bounds():
    for bytes_max in (1, 200, 1000, 10**6):
        lane = Lane(PLACE, Compression.ZSTD)
        lane.bytes_max = bytes_max
        for first in (1, 8, 15):
            lane.extend(JOURNAL, messages(first, first + 6), now=0.0)
        batches = taken(lane)
        assert sum(len(batch) for batch in batches) == 21
        assert [(batch.firsts[JOURNAL], batch.lasts[JOURNAL]) for batch in batches][-1][1] == 21
        assert lane.empty


def test_a_refused_batch_is_halved_until_one_is_alone_and_then_all_is_as_before():
    lane = Lane(PLACE, Compression.NONE)
    sizes = []
    for _ in range(5):
        lane.extend(JOURNAL, messages(1, 10), now=0.0)
        batch = lane.take(9.0, 0.0)
        sizes.append(len(batch))
        if len(batch) > 1:
            lane.narrow(batch)
        lane.clear()
    assert sizes == [10, 5, 2, 1, 1]
    lane.extend(JOURNAL, messages(1, 10), now=0.0)
    assert len(taken(lane)) == 10
    lane.extend(JOURNAL, messages(11, 30), now=0.0)
    assert len(taken(lane)) == 1


def test_progress_counts_each_missing_range_and_letter_once_whatever_is_read_again():
    account = Account()
    progress = Progress(1, 1, missing=[(3, 4), (20, 25)], dead={2, 19})
    progress.settle(account, 10)
    assert (account.last, account.missing, account.dead, account.published) == (10, [(3, 4)], 1, 7)
    again = Progress(1, 1, missing=[(3, 4), (20, 25)], dead={2, 19})
    again.settle(account, 30)
    assert (account.missing, account.dead, account.published) == ([(3, 4), (20, 25)], 2, 30 - 8 - 2)


def test_the_book_comes_back_as_it_was_written_and_its_sums_outlive_the_list(tmp_path, monkeypatch):
    monkeypatch.setattr(book_module, "JOURNALS_MAX", 3)
    book = Book(offsets={("pixel.events", 3): 17}, partitions={"pixel.events": 6}, again={JOURNAL: 9})
    for number in range(10):
        book.journals[f"{number:032x}"] = Account(100, [(5, 6)], 1, 2, ended=number < 8)
    book.fold()
    assert len(book.journals) == 5
    write_book(tmp_path, book)
    assert read_book(tmp_path) == book
    assert (book.total.journals, book.total.last, book.total.missing, book.total.dead) == (5, 500, 15, 10)
    assert stat.S_IMODE(os.stat(tmp_path / book_module.NAME).st_mode) == 0o600


def test_ranges_beyond_the_bound_are_counted_still(monkeypatch):
    monkeypatch.setattr(book_module, "MISSING_MAX", 2)
    account = Account(last=100)
    account.miss([(1, 1), (3, 4), (10, 19), (30, 30)])
    assert account.missing == [(1, 1), (3, 4)]
    assert account.missing_hits == 14


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b'{"journals": 7}', b"\xff"])
def test_a_book_that_does_not_read_is_told_by_name(tmp_path, data):
    (tmp_path / book_module.NAME).write_bytes(data)
    with pytest.raises(BookDamaged, match=r"published\.json"):
        read_book(tmp_path)


def letter(sequence, event=b'{"id":1}'):
    return Letter(JOURNAL, sequence, "pixel.events", "too large", 1_790_000_000_000_000, event)


def test_letters_are_kept_for_their_owner_alone_and_read_back_byte_for_byte(tmp_path):
    place = tmp_path / "dead-letters"
    letters = DeadLetters(place)
    letters.append([letter(1), letter(2)])
    letters.append([letter(3)])
    letters.close()
    found = find(place)
    assert [one for _, one in found.letters] == [letter(1), letter(2), letter(3)]
    assert {stat.S_IMODE(path.stat().st_mode) for path, _ in found.letters} == {0o600}
    assert stat.S_IMODE(place.stat().st_mode) == 0o700


def test_files_are_bounded_and_read_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr("collector.letter_files.FILE_BYTES_MAX", 300)
    letters = DeadLetters(tmp_path)
    letters.append([letter(sequence) for sequence in range(1, 10)])
    found = find(tmp_path)
    assert len({path for path, _ in found.letters}) > 2
    assert [one.sequence for _, one in found.letters] == list(range(1, 10))


def test_what_was_sent_is_not_sent_again_though_the_mark_was_cut_short_once(tmp_path):
    letters = DeadLetters(tmp_path)
    letters.append([letter(1), letter(2), letter(3)])
    ((path, first), *_) = find(tmp_path).unsent
    mark_sent(path, [first.id])
    marks = path.with_name(path.name + ".sent")
    marks.write_bytes(marks.read_bytes() + b"0123 half a li")
    mark_sent(path, [f"{JOURNAL}-3"])
    assert [one.sequence for _, one in find(tmp_path).unsent] == [2]
    assert stat.S_IMODE(marks.stat().st_mode) == 0o600


def test_a_torn_last_line_is_forgiven_and_damage_costs_the_line_it_hit(tmp_path):
    letters = DeadLetters(tmp_path)
    letters.append([letter(1), letter(2), letter(3)])
    ((path, _), *_) = find(tmp_path).letters
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    torn = find(tmp_path)
    assert [one.sequence for _, one in torn.letters] == [1, 2]
    assert torn.damaged == ()
    path.write_bytes(whole.replace(b'"sequence":2', b'"sequence":7'))
    damaged = find(tmp_path)
    assert [one.sequence for _, one in damaged.letters] == [1, 3]
    assert damaged.damaged == (path,)
