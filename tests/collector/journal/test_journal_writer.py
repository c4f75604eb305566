"""The writer: what `append` returned for is there, what it raised for never is, and it goes on after either."""

import errno
import fcntl
import functools
import os
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import GroupTooLarge, JournalClosed, JournalFailed, JournalFull
from collector.journal import Durability, Journal, JournalReader, check, encode_record, journals, segment_name
from collector.journal.format import FRAME_HEADER, STAMP
from tests.collector.journal.kit import SEGMENT_BYTES, append, drain, hit, write_journal


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "journals").mkdir()
    return tmp_path / "journals"


@pytest.fixture
def journal(directory: Path) -> Iterator[Journal]:
    journal = Journal.create(directory, segment_bytes=SEGMENT_BYTES)
    yield journal
    journal.close()


def within_file_limits(test: Callable[..., None]) -> Callable[..., None]:
    """Let a test limit the size of files. Given back before it returns: pytest's own report may go into a file."""

    @functools.wraps(test)
    def limited(*arguments: object, **named: object) -> None:
        limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            test(*arguments, **named)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, handler)

    return limited


def limit_files_to(size_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


@pytest.mark.parametrize("killed", [True, False], ids=["killed", "closed"])
@pytest.mark.parametrize("groups", [[], [1], [2] * 11, [9], [9, 1, 9]], ids=str)
def test_everything_appended_is_read_back_in_order(directory, tmp_path, groups, killed):
    """I1: in whatever segments it came to lie, and however the worker ended."""
    path, _ = write_journal(directory, groups, killed=killed)
    found = drain(path, tmp_path / "quarantine")
    assert found.records == [hit(sequence) for sequence in range(1, sum(groups) + 1)]
    assert (found.missing, found.torn_bytes, found.corrupt_bytes) == ([], 0, 0)


@given(groups=st.lists(st.integers(1, 9), max_size=12))
def test_append_returns_the_first_sequence_and_segments_carry_their_first_in_the_name(tmp_path_factory, groups):
    directory = tmp_path_factory.mktemp("journals")
    journal = Journal.create(directory, segment_bytes=SEGMENT_BYTES)
    firsts = [append(journal, hits) for hits in groups]
    assert firsts == [1 + sum(groups[:number]) for number in range(len(groups))]
    names = sorted(name for name in os.listdir(journal.path) if name.endswith(".segment"))
    assert set(names) <= {segment_name(first) for first in [1, *firsts]}
    assert all(os.path.getsize(journal.path / name) == SEGMENT_BYTES for name in names), "fixed size, preallocated"
    journal.close()


def test_a_journal_appears_under_its_name_only_once_it_is_locked(directory, journal):
    assert [(info.id, info.live) for info in journals(directory)] == [(journal.id, True)]
    assert (len(journal.id), journal.path.name) == (32, journal.id)
    with pytest.raises(BlockingIOError):
        fcntl.flock(os.open(journal.path, os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_group_may_fill_a_segment_to_its_last_byte_and_not_more(journal):
    journal.append(1, [b"x" * journal.payload_bytes_max], 1)
    assert os.path.getsize(journal.path / segment_name(1)) == STAMP.size + FRAME_HEADER.size + journal.payload_bytes_max
    with pytest.raises(GroupTooLarge, match=f"the most is {journal.payload_bytes_max}"):
        journal.append(1, [b"x" * (journal.payload_bytes_max + 1)], 1)
    assert append(journal, 1) == 2


def test_a_group_of_no_hits_is_refused(journal):
    with pytest.raises(ValueError, match="at least one hit"):
        journal.append(1, [b"x"], 0)
    assert append(journal, 1) == 1


def test_the_spare_is_wanted_from_half_a_segment_on_and_used_by_the_rotation(journal):
    append(journal, 2)
    assert not journal.wants_spare
    append(journal, 3)
    assert journal.wants_spare
    journal.prepare_spare()
    assert not journal.wants_spare
    spare = os.stat(journal.path / "spare").st_ino
    append(journal, 8)
    assert os.stat(journal.path / segment_name(6)).st_ino == spare


def test_a_closed_journal_gives_its_spare_space_and_lock_back_and_refuses(directory, journal):
    append(journal, 5)
    journal.prepare_spare()
    journal.close()
    journal.close()
    assert sorted(os.listdir(journal.path)) == [segment_name(1), "cursor"]
    assert os.path.getsize(journal.path / segment_name(1)) == check(journal.path).frames * (36 + 500) + 64
    assert [info.live for info in journals(directory)] == [False]
    with pytest.raises(JournalClosed):
        append(journal, 1)


@pytest.mark.parametrize("kept_bytes", [0, 1, 36, 100, 200])
@within_file_limits
def test_a_failed_append_leaves_nothing_and_the_next_one_follows_the_last_good_frame(directory, tmp_path, kept_bytes):
    """DESIGN 5: the kernel takes a part of the frame and refuses the rest; the part is taken back."""
    journal = Journal.create(directory, segment_bytes=8192)
    append(journal, 2)
    limit_files_to(journal._offset + kept_bytes)
    for _ in range(3):
        with pytest.raises(JournalFailed, match="File too large"):
            append(journal, 2)
    limit_files_to(resource.RLIM_INFINITY)
    assert append(journal, 3) == 3
    journal.close()
    found = drain(journal.path, tmp_path / "quarantine")
    assert found.records == [hit(sequence) for sequence in range(1, 6)]
    assert (found.missing, found.torn_bytes, found.corrupt_bytes) == ([], 0, 0)


@within_file_limits
def test_killed_right_after_a_failed_append_the_group_is_not_recovered(directory, tmp_path):
    journal = Journal.create(directory, segment_bytes=8192)
    append(journal, 2)
    limit_files_to(journal._offset + 50)
    with pytest.raises(JournalFailed):
        append(journal, 2)
    copy = tmp_path / "copy" / journal.id
    copy.mkdir(parents=True)
    for file in journal.path.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    journal.close()
    found = drain(copy, tmp_path / "quarantine")
    assert (found.sequences, found.torn_bytes) == ([1, 2], 0)


@within_file_limits
def test_a_rotation_that_fails_changes_nothing_and_is_tried_again(directory, tmp_path):
    journal = Journal.create(directory, segment_bytes=SEGMENT_BYTES)
    for _ in range(4):
        append(journal, 2)
    limit_files_to(500)
    for _ in range(2):
        with pytest.raises(JournalFailed, match="prepare its next segment"):
            append(journal, 2)
    assert not journal.ready
    assert not (journal.path / "spare").exists()
    limit_files_to(resource.RLIM_INFINITY)
    assert append(journal, 2) == 9
    assert journal.ready
    journal.close()
    assert drain(journal.path, tmp_path / "quarantine").sequences == list(range(1, 11))


def test_above_its_own_share_a_journal_is_not_ready_then_refuses_and_goes_on_once_it_was_read(directory):
    """DESIGN 5: readiness fails at 85 %, at 95 % hits get 503; nobody has to restart anything."""
    journal = Journal.create(directory, segment_bytes=SEGMENT_BYTES, bytes_max=8 * SEGMENT_BYTES)
    states = []
    for _ in range(8):
        append(journal, 8)
        fill = journal.check_disk()
        states.append((journal.ready, journal.room))
        assert fill >= len(states) / 8
    assert states == [(True, True)] * 6 + [(False, True), (False, False)]
    with pytest.raises(JournalFull, match=r"100\.0% full"):
        append(journal, 1)
    (journal.path / segment_name(1)).unlink()
    (journal.path / segment_name(9)).unlink()
    journal.check_disk()
    assert append(journal, 1) == 65
    journal.close()


@within_file_limits
def test_a_journal_that_cannot_be_made_leaves_nothing_behind(directory):
    limit_files_to(100)
    with pytest.raises(JournalFailed):
        Journal.create(directory)
    assert list(directory.iterdir()) == []
    with pytest.raises(JournalFailed, match=os.strerror(errno.ENOENT)):
        Journal.create(directory / "absent")


@pytest.mark.parametrize("durability", list(Durability))
def test_a_segment_that_ages_is_left_without_traffic_and_nothing_of_it_is_lost(tmp_path, durability):
    """I12: a spool of minutes on a quiet host too; never while a sync is owed, which would close its file under it."""
    journal = Journal.create(tmp_path, durability)
    assert not journal.roll(0)  # it holds nothing yet
    first = journal.append(1, [encode_record(hit(1))], 1)
    assert not journal.roll(3600)
    assert journal.roll(0) is (durability is Durability.PROCESS)
    journal.sync()
    assert journal.roll(0) is (durability is Durability.DISK)
    assert not journal.roll(0)
    second = journal.append(2, [encode_record(hit(2))], 1)
    journal.close()
    reader = JournalReader(tmp_path / journal.id, tmp_path / "quarantine")
    assert (first, second, reader.read().next_sequence) == (1, 2, 3)
    reader.close()
