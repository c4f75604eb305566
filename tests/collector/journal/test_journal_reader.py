"""The reader: follows the living, drains the dead, moves the cursor, removes what it has passed, and nothing else."""

import os
import random
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from collector.errors import JournalLive, JournalUnknown
from collector.journal import Journal, JournalReader, check, journals, recover, segment_name, sweep
from collector.journal.directory import take_lock
from collector.journal.format import FRAME_HEADER
from collector.journal.segment import WINDOW_BYTES
from tests.collector.journal.kit import SEGMENT_BYTES, append, drain, hit, write_journal
from tests.eventually import eventually


@pytest.fixture
def data(tmp_path: Path) -> Path:
    (tmp_path / "journals").mkdir()
    return tmp_path


def open_journal(data: Path) -> Journal:
    return Journal.create(data / "journals", segment_bytes=SEGMENT_BYTES)


def open_reader(data: Path, journal: Journal | Path) -> JournalReader:
    return JournalReader(journal.path if isinstance(journal, Journal) else journal, data / "quarantine")


def test_an_empty_batch_of_a_live_journal_means_not_yet_and_of_a_dead_one_the_end(data):
    journal = open_journal(data)
    with closing(open_reader(data, journal)) as reader:
        assert (reader.read().ended, reader.live) == (False, True)
        append(journal, 2)
        assert [record.sequence for record in reader.read().records] == [1, 2]
        assert not reader.read().ended
        append(journal, 1)
        journal.close()
        batch = reader.read()
        assert ([record.sequence for record in batch.records], batch.ended) == ([3], False)
        last = reader.read()
        assert (last.records, last.next_sequence, last.ended, reader.live) == ([], 4, True, False)


@pytest.mark.parametrize("bytes_max", [1, 300, 10**6])
def test_batches_are_bounded_whole_frames_at_least_one(data, bytes_max):
    path, _ = write_journal(data / "journals", [2] * 11)
    with closing(open_reader(data, path)) as reader:
        sizes = []
        while not (batch := reader.read(bytes_max)).ended:
            sizes.append(len(batch.records))
        assert sum(sizes) == 22
        assert max(sizes) == {1: 2, 300: 4, 10**6: 22}[bytes_max]


def test_no_record_is_missed_across_rotations_while_a_worker_writes(data):
    """DESIGN 5: a live journal is followed by another process; an incomplete tail is "not yet"."""
    command = [sys.executable, "-m", "tests.collector.journal.child", data / "journals", "2048", "3000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout
        path = data / "journals" / child.stdout.readline().decode().strip()
        drain_stdout = subprocess.Popen(["cat"], stdin=child.stdout, stdout=subprocess.DEVNULL)  # keeps the pipe empty
        with closing(open_reader(data, path)) as reader:
            records, missing, chance = [], [], random.Random(5)

            def ended() -> bool:
                batch = reader.read(chance.choice([1, 500, 10**6]))
                records.extend(batch.records)
                missing.extend(batch.missing)
                if chance.random() < 0.2:
                    reader.commit(batch.next_sequence)
                return batch.ended

            eventually(ended, 60)
        drain_stdout.wait()
    assert missing == []
    assert records == [hit(sequence) for sequence in range(1, len(records) + 1)]
    assert len(records) >= 3000


def test_commit_unlinks_the_segments_it_passed_and_a_later_reader_goes_on_there(data):
    journal = open_journal(data)
    for _ in range(11):
        append(journal, 2)
    with closing(open_reader(data, journal)) as reader:
        reader.read()
        reader.commit(8)
        assert len(segments(journal.path)) == 3, "hit 8 lies in the first"
        reader.commit(12)
        assert segments(journal.path) == [segment_name(9), segment_name(17)]
    with closing(open_reader(data, journal)) as reader:
        assert [record.sequence for record in reader.read().records] == list(range(12, 23))
        reader.commit(23)
        assert segments(journal.path) == [segment_name(17)], "the one that is written stays"
    journal.close()


def test_segments_that_a_death_between_cursor_and_unlink_left_go_with_the_next_commit(data):
    path, _ = write_journal(data / "journals", [2] * 11)
    kept = {name: (path / name).read_bytes() for name in segments(path)}
    with closing(open_reader(data, path)) as reader:
        reader.read()
        reader.commit(20)
    (path / segment_name(1)).write_bytes(kept[segment_name(1)])
    with closing(open_reader(data, path)) as reader:
        assert [record.sequence for record in reader.read().records] == [20, 21, 22]
        reader.commit(23)
    assert segments(path) == [segment_name(17)]


def test_what_was_not_read_cannot_be_committed(data):
    path, _ = write_journal(data / "journals", [2, 2])
    with closing(open_reader(data, path)) as reader, pytest.raises(ValueError, match="was not read yet"):
        reader.commit(2)


def test_the_cursor_never_moves_back(data):
    path, _ = write_journal(data / "journals", [2] * 11)
    with closing(open_reader(data, path)) as reader:
        reader.read()
        reader.commit(15)
        reader.commit(10)
    assert check(path).cursor == 15


def test_a_dead_journal_goes_once_it_is_committed_to_its_end_and_not_before(data):
    path, _ = write_journal(data / "journals", [2] * 11)
    with closing(open_reader(data, path)) as reader:
        batch = reader.read()
        with pytest.raises(JournalLive):
            reader.remove()
        assert reader.read().ended
        with pytest.raises(JournalLive):
            reader.remove()
        reader.commit(batch.next_sequence)
        reader.remove()
    assert list((data / "journals").iterdir()) == []


def test_a_tail_that_a_power_loss_took_after_its_commit_is_no_corruption(data):
    """DESIGN 5: a cursor past the end."""
    path, placed = write_journal(data / "journals", [2] * 11)
    with closing(open_reader(data, path)) as reader:
        reader.read()
        reader.commit(23)
    with (path / segment_name(17)).open("r+b") as file:
        file.truncate(placed[8].offset)
    found = drain(path, data / "quarantine")
    assert (found.records, found.missing, found.corrupt_bytes, found.torn_bytes) == ([], [], 0, 0)
    with closing(open_reader(data, path)) as reader:
        assert reader.read().ended
        reader.remove()


def test_only_one_reader_adopts_a_dead_journal(data):
    path, _ = write_journal(data / "journals", [2])
    with closing(open_reader(data, path)) as first, closing(open_reader(data, path)) as second:
        assert [len(first.read().records), first.read().ended] == [2, True]
        assert [len(second.read().records), second.read().ended] == [2, False]
        assert [info.live for info in journals(data / "journals")] == [True]
        with pytest.raises(JournalLive):
            recover(path, data / "quarantine")
    assert [info.live for info in journals(data / "journals")] == [False]


def test_damage_in_a_live_journal_is_passed_once_the_writer_has_gone_on(data):
    journal = open_journal(data)
    for _ in range(4):
        append(journal, 2)
    with (journal.path / segment_name(1)).open("r+b") as file:
        file.seek(400)
        file.write(b"damage")
    with closing(open_reader(data, journal)) as reader:
        assert [record.sequence for record in reader.read().records] == [1, 2]
        assert not reader.read().missing, "the writer may still be at it"
        append(journal, 2)
        batch = reader.read()
        assert [record.sequence for record in batch.records] == [5, 6, 7, 8, 9, 10]
        assert batch.missing == [(3, 4)]
        reader.commit(11)
        assert os.listdir(data / "quarantine") == [f"{journal.id}-{segment_name(1)}"]
    journal.close()


def test_a_frame_that_holds_no_records_though_its_checksum_holds_is_told_missing(data):
    """A bug in whoever packs records costs those records, not the journal."""
    journal = open_journal(data)
    append(journal, 2)
    journal.append(1, [b"no records"], 3)
    append(journal, 2)
    journal.close()
    found = drain(journal.path, data / "quarantine")
    assert (found.sequences, found.missing) == ([1, 2, 6, 7], [(3, 5)])


@pytest.mark.parametrize("frame_bytes", [WINDOW_BYTES + more for more in (-5, -4, -3, -2, -1, 0, 1)])
def test_resync_finds_a_marker_that_lies_across_two_reads(data, frame_bytes):
    journal = Journal.create(data / "journals", segment_bytes=4 * WINDOW_BYTES)
    append(journal, 1)
    damaged_at = journal._offset + 100
    journal.append(1, [b"x" * (frame_bytes - FRAME_HEADER.size)], 1)
    append(journal, 1)
    journal.close()
    with (journal.path / segment_name(1)).open("r+b") as file:
        file.seek(damaged_at)
        file.write(b"damage")
    found = drain(journal.path, data / "quarantine")
    assert (found.sequences, found.missing) == ([1, 3], [(2, 2)])


@pytest.mark.parametrize("name", [segment_name(13), segment_name(40)])
@pytest.mark.parametrize("copy", [False, True], ids=["junk", "copy of an older segment"])
def test_a_stray_file_never_makes_a_reader_leave_the_segment_that_is_written(data, name, copy):
    journal = open_journal(data)
    for _ in range(3):
        append(journal, 4)
    content = (journal.path / segment_name(1)).read_bytes() if copy else b"not a segment"
    with closing(open_reader(data, journal)) as reader:
        first = [reader.read()]
        (journal.path / name).write_bytes(content)
        first.append(reader.read())
        append(journal, 2)
        later = reader.read()
        assert [record.sequence for record in (*first[0].records, *later.records)] == list(range(1, 15))
        assert first[0].missing + first[1].missing + later.missing == []
    journal.close()


def test_what_died_while_it_was_made_or_removed_is_swept_and_no_journal_with_it(data):
    path, _ = write_journal(data / "journals", [2])
    for name in (".new-0123", ".gone-4567"):
        (data / "journals" / name).mkdir()
        (data / "journals" / name / "spare").write_bytes(b"x")
    (data / "journals" / ".new-held").mkdir()
    lock = take_lock(data / "journals" / ".new-held")
    assert lock is not None
    assert sweep(data / "journals") == 2
    assert sorted(os.listdir(data / "journals")) == sorted([".new-held", path.name])
    os.close(lock)
    assert [info.id for info in journals(data / "journals")] == [path.name]


@pytest.mark.parametrize("name", ["absent", "0" * 31, "0" * 32])
def test_a_path_that_is_no_journal_is_named(data, name):
    for look in (lambda path: JournalReader(path, data), check, lambda path: recover(path, data)):
        with pytest.raises(JournalUnknown, match=name):
            look(data / "journals" / name)


def segments(path: Path) -> list[str]:
    return sorted(name for name in os.listdir(path) if name.endswith(".segment"))
