"""Damage: a row each.

The journal has 22 hits in frames of two; its segments hold 1..8, 9..16 and 17..22.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from collector.journal import check, recover, segment_name, show
from collector.journal.cursor import store_cursor
from collector.journal.format import MARKER, STAMP, Stamp
from tests.collector.journal.kit import SEGMENT_BYTES, Drained, drain, hit, write_journal

FRAME_BYTES = 236
FIRST, SECOND, LAST, COPY = segment_name(1), segment_name(9), segment_name(17), segment_name(5)


def frame(number: int) -> slice:
    """Where the nth frame of a segment lies."""
    return slice(STAMP.size + number * FRAME_BYTES, STAMP.size + (number + 1) * FRAME_BYTES)


def edit(name: str, change: Callable[[bytearray], object]) -> Callable[[Path, Path], None]:
    def damage(journal: Path, _other: Path) -> None:
        content = bytearray((journal / name).read_bytes())
        change(content)
        (journal / name).write_bytes(content)

    return damage


def flip(at: int) -> Callable[[bytearray], None]:
    def change(content: bytearray) -> None:
        content[at] ^= 0x10

    return change


def put(where: slice, what: bytes) -> Callable[[bytearray], None]:
    def change(content: bytearray) -> None:
        content[where] = what

    return change


def cut(at: int) -> Callable[[bytearray], None]:
    return put(slice(at, None), b"")


def move(source: int, target: int) -> Callable[[bytearray], None]:
    def change(content: bytearray) -> None:
        content[frame(target)] = content[frame(source)]

    return change


def swap(one: int, other: int) -> Callable[[bytearray], None]:
    def change(content: bytearray) -> None:
        content[frame(one)], content[frame(other)] = content[frame(other)], content[frame(one)]

    return change


def without(name: str) -> Callable[[Path, Path], None]:
    return lambda journal, _: (journal / name).unlink()


def copied(source: str, target: str) -> Callable[[Path, Path], None]:
    return lambda journal, _: shutil.copy(journal / source, journal / target)


def from_other(name: str, where: slice = slice(None)) -> Callable[[Path, Path], None]:
    """Bytes of another journal at the very same place."""

    def damage(journal: Path, other: Path) -> None:
        content = bytearray((journal / name).read_bytes())
        content[where] = (other / name).read_bytes()[where]
        (journal / name).write_bytes(content)

    return damage


def header_of(source: str, target: str) -> Callable[[Path, Path], None]:
    def damage(journal: Path, _other: Path) -> None:
        content = (journal / source).read_bytes()[: STAMP.size] + (journal / target).read_bytes()[STAMP.size :]
        (journal / target).write_bytes(content)

    return damage


def cursor_at(sequence: int) -> Callable[[Path, Path], None]:
    def damage(journal: Path, _other: Path) -> None:
        salt = (journal / FIRST).read_bytes()[28:44]
        store_cursor(journal, Stamp(bytes.fromhex(journal.name), salt, sequence))

    return damage


def cursor_of_other(journal: Path, other: Path) -> None:
    store_cursor(journal, Stamp(bytes.fromhex(other.name), b"o" * 16, 12))


def directory_instead_of_segment(journal: Path, _other: Path) -> None:
    (journal / SECOND).unlink()
    (journal / SECOND).mkdir()


def pipe_instead_of_segment(journal: Path, _other: Path) -> None:
    (journal / SECOND).unlink()
    os.mkfifo(journal / SECOND)


def both(*damages: Callable[[Path, Path], None]) -> Callable[[Path, Path], None]:
    def damage(journal: Path, other: Path) -> None:
        for one in damages:
            one(journal, other)

    return damage


def all_but(*lost: int) -> list[int]:
    return [sequence for sequence in range(1, 23) if sequence not in lost]


ALL = all_but()
GARBAGE = bytes(range(256)) * 4
TORN, CORRUPT, SOUND = "torn", "corrupt", "sound"
ROWS = [
    # name, damage, sequences that survive, ranges told missing, how it is taken
    ("nothing", lambda _j, _o: None, ALL, [], SOUND),
    ("closed properly", edit(LAST, cut(frame(3).start)), ALL, [], SOUND),
    ("last frame cut in half", edit(LAST, cut(frame(2).start + 100)), all_but(21, 22), [], TORN),
    ("last frame cut in its header", edit(LAST, cut(frame(2).start + 5)), all_but(21, 22), [], TORN),
    ("last frame cut to one byte", edit(LAST, cut(frame(2).start + 1)), all_but(21, 22), [], TORN),
    ("last frame never reached the disk", edit(LAST, put(frame(2), bytes(FRAME_BYTES))), all_but(21, 22), [], SOUND),
    ("last frame flipped", edit(LAST, flip(frame(2).start + 50)), all_but(21, 22), [], TORN),
    ("garbage behind the last frame", edit(LAST, put(slice(900, 910), b"0123456789")), ALL, [], TORN),
    ("frame of the last segment flipped", edit(LAST, flip(frame(1).start + 50)), all_but(19, 20), [(19, 20)], CORRUPT),
    ("marker flipped", edit(FIRST, flip(frame(1).start)), all_but(3, 4), [(3, 4)], CORRUPT),
    ("length flipped", edit(FIRST, flip(frame(1).start + 12)), all_but(3, 4), [(3, 4)], CORRUPT),
    ("payload flipped", edit(FIRST, flip(frame(1).stop - 1)), all_but(3, 4), [(3, 4)], CORRUPT),
    ("first frame flipped", edit(FIRST, flip(frame(0).start + 9)), all_but(1, 2), [(1, 2)], CORRUPT),
    ("last frame of a segment flipped", edit(FIRST, flip(frame(3).start + 9)), all_but(7, 8), [(7, 8)], CORRUPT),
    ("payload made of markers", edit(FIRST, put(frame(1), MARKER * 59)), all_but(3, 4), [(3, 4)], CORRUPT),
    ("two frames zeroed", edit(SECOND, put(slice(300, 772), bytes(472))), all_but(11, 12, 13, 14), [(11, 14)], CORRUPT),
    ("end of a middle segment cut", edit(SECOND, cut(frame(2).start)), all_but(*range(13, 17)), [(13, 16)], SOUND),
    ("bytes put in between", edit(FIRST, put(slice(300, 300), b"xyz")), all_but(*range(3, 9)), [(3, 8)], CORRUPT),
    ("frame repeated over the next", edit(FIRST, move(0, 1)), all_but(3, 4), [(3, 4)], CORRUPT),
    ("later frame over an earlier one", edit(FIRST, move(3, 1)), all_but(3, 4), [(3, 4)], CORRUPT),
    ("frames swapped", edit(FIRST, swap(1, 2)), all_but(3, 4, 5, 6), [(3, 6)], CORRUPT),
    ("stale frame of another journal", from_other(FIRST, frame(1)), all_but(3, 4), [(3, 4)], CORRUPT),
    ("stale block of another journal", from_other(FIRST, slice(512, 1024)), all_but(*range(5, 9)), [(5, 8)], CORRUPT),
    ("middle segment of another journal", from_other(SECOND), all_but(*range(9, 17)), [(9, 16)], CORRUPT),
    ("last segment of another journal", from_other(LAST), all_but(*range(17, 23)), [], CORRUPT),
    ("segment of another journal added", lambda j, o: shutil.copy(o / LAST, j / segment_name(900)), ALL, [], CORRUPT),
    ("first header garbage", edit(FIRST, put(slice(0, 64), GARBAGE[:64])), ALL, [], CORRUPT),
    ("last header garbage", edit(LAST, put(slice(0, 64), GARBAGE[:64])), ALL, [], CORRUPT),
    ("header of another journal", from_other(SECOND, slice(0, 64)), ALL, [], CORRUPT),
    ("header of a later segment", header_of(LAST, FIRST), ALL, [], CORRUPT),
    ("header of an earlier segment", header_of(FIRST, LAST), ALL, [], CORRUPT),
    ("header zeroed", edit(SECOND, put(slice(0, 64), bytes(64))), ALL, [], CORRUPT),
    ("header short, nothing behind it", edit(SECOND, cut(20)), all_but(*range(9, 17)), [(9, 16)], CORRUPT),
    ("middle segment empty", edit(SECOND, cut(0)), all_but(*range(9, 17)), [(9, 16)], SOUND),
    ("last segment empty", edit(LAST, cut(0)), all_but(*range(17, 23)), [], SOUND),
    ("last segment garbage", edit(LAST, put(slice(0, SEGMENT_BYTES), GARBAGE)), all_but(*range(17, 23)), [], TORN),
    ("middle segment garbage", edit(SECOND, put(slice(0, 1024), GARBAGE)), all_but(*range(9, 17)), [(9, 16)], CORRUPT),
    ("first segment missing", without(FIRST), all_but(*range(1, 9)), [(1, 8)], SOUND),
    ("middle segment missing", without(SECOND), all_but(*range(9, 17)), [(9, 16)], SOUND),
    ("last segment missing", without(LAST), all_but(*range(17, 23)), [], SOUND),
    ("a pipe where a segment was", pipe_instead_of_segment, all_but(*range(9, 17)), [(9, 16)], SOUND),
    ("a directory where a segment was", directory_instead_of_segment, all_but(*range(9, 17)), [(9, 16)], SOUND),
    ("segment twice", copied(FIRST, COPY), ALL, [], SOUND),
    ("segment twice, one cut", both(copied(FIRST, COPY), edit(COPY, cut(frame(2).start))), ALL, [], SOUND),
    ("segment twice, the copy last", copied(FIRST, segment_name(900)), ALL, [], SOUND),
    ("segment under a wrong name alone", lambda j, _: (j / SECOND).rename(j / segment_name(900)), ALL, [], SOUND),
    ("first segment over the second", copied(FIRST, SECOND), all_but(*range(9, 17)), [(9, 16)], SOUND),
    ("second segment over the first", copied(SECOND, FIRST), all_but(*range(1, 9)), [(1, 8)], SOUND),
    ("cursor missing", without("cursor"), ALL, [], SOUND),
    ("no cursor, header zeroed", both(without("cursor"), edit(SECOND, put(slice(64), bytes(64)))), ALL, [], CORRUPT),
    ("cursor garbage", lambda j, _: (j / "cursor").write_bytes(GARBAGE[:64]), ALL, [], SOUND),
    ("cursor empty", lambda j, _: (j / "cursor").write_bytes(b""), ALL, [], SOUND),
    ("cursor of another journal", cursor_of_other, ALL, [], SOUND),
    ("cursor within a frame", cursor_at(12), list(range(12, 23)), [], SOUND),
    ("cursor past the end", cursor_at(40), [], [], SOUND),
]  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    directory = tmp_path_factory.mktemp("written")
    return write_journal(directory, [2] * 11)[0], write_journal(directory, [2] * 11)[0]


@pytest.fixture
def other(written: tuple[Path, Path]) -> Path:
    return written[1]


@pytest.fixture
def journal(written: tuple[Path, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(written[0], tmp_path / written[0].name))


@pytest.mark.parametrize(
    ("damage", "surviving", "missing", "taken_as"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS]
)
def test_damage_costs_what_it_hit_and_is_told_exactly(journal, other, tmp_path, damage, surviving, missing, taken_as):
    """DESIGN 5: every intact record, none invented, exact missing ranges, and a copy of what is corrupt."""
    damage(journal, other)
    found = drain(journal, tmp_path / "quarantine")
    assert found.records == [hit(sequence) for sequence in surviving]
    assert found.missing == missing
    assert taken(found) == taken_as
    assert all(name.startswith(journal.name) for name in found.kept)


@pytest.mark.parametrize("damage", [row[1] for row in ROWS], ids=[row[0] for row in ROWS])
def test_check_and_recover_tell_what_the_reader_finds_and_change_nothing(journal, other, tmp_path, damage):
    damage(journal, other)
    before = snapshot(journal)
    recovery = recover(journal, tmp_path / "recovered")
    checked = check(journal)
    assert snapshot(journal) == before
    found = drain(journal, tmp_path / "quarantine")
    assert (recovery.torn_bytes, list(recovery.missing)) == (found.torn_bytes, found.missing)
    assert checked.to_json() == recovery.to_json()
    assert sorted(path.name for path in recovery.kept) == found.kept
    from_cursor = [record for record in show(journal) if record.sequence >= (recovery.cursor or 1)]
    assert from_cursor == found.records


def test_every_damaged_segment_is_kept_byte_for_byte(journal, other, tmp_path):
    both(edit(FIRST, flip(frame(1).start)), edit(SECOND, flip(frame(2).start)))(journal, other)
    damaged = {name: (journal / name).read_bytes() for name in (FIRST, SECOND)}
    recover(journal, tmp_path / "quarantine")
    kept = {path.name: path.read_bytes() for path in (tmp_path / "quarantine").iterdir()}
    assert kept == {f"{journal.name}-{name}": content for name, content in damaged.items()}


def test_what_was_taken_over_before_it_was_lost_is_not_missing(journal, other):
    edit(FIRST, flip(frame(1).start))(journal, other)
    cursor_at(12)(journal, other)
    checked = check(journal)
    assert (checked.missing, checked.records, len(checked.corruptions)) == ((), 20, 1)


def test_show_finds_one_record_by_its_sequence(journal):
    assert list(show(journal, 12)) == [hit(12)]
    assert list(show(journal, 23)) == []


def test_a_body_that_carries_a_frame_is_never_taken_for_one(journal, tmp_path):
    """Bodies come from strangers, and resync looks into them: only the salt tells that they wrote the frame."""
    forged = (journal / FIRST).read_bytes()[frame(1)]
    moved = bytearray((journal / LAST).read_bytes())
    moved[frame(2)] = forged
    (journal / LAST).write_bytes(moved)
    assert drain(journal, tmp_path / "quarantine").sequences == all_but(21, 22)


def taken(found: Drained) -> str:
    if found.corrupt_bytes:
        assert found.kept, "what is corrupt is kept"
        return CORRUPT
    assert not found.kept
    return TORN if found.torn_bytes else SOUND


def snapshot(journal: Path) -> dict[str, tuple[int, bytes]]:
    files = [path for path in journal.iterdir() if path.is_file()]
    return {path.name: (os.stat(path).st_mtime_ns, path.read_bytes()) for path in files}
