"""Any prefix, any flipped bit, any stale block, any kill point, and several of them at once.

Every intact record comes back, none is invented, and what is missing is told exactly. The oracle (`kit.expected`) looks
at the bytes alone: a frame is intact if each of its bytes is where it was written.
"""

import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.journal import check, segment_name
from tests.collector.journal.kit import Placed, contents, drain, expected, hit, ranges_of, write_journal

SHAPES = [[2] * 11, [1, 3, 1, 1, 8, 2, 1, 5, 1, 4], [1], [9, 9, 9], []]


class Shape(NamedTuple):
    """A written journal, where its frames lie, its segments' bytes, and another's; too long to be printed."""

    path: Path
    placed: list[Placed]
    before: dict[str, bytes]
    foreign: dict[str, bytes]

    def __repr__(self) -> str:
        return f"Shape({len(self.placed)} frames)"


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> list[Shape]:
    directory = tmp_path_factory.mktemp("shapes")
    written = []
    for groups in SHAPES:
        path, placed = write_journal(directory, groups)
        other, _ = write_journal(directory, [1, *groups])
        written.append(Shape(path, placed, contents(path), contents(other)))
    return written


@contextmanager
def copied(path: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as root:
        yield Path(shutil.copytree(path, Path(root) / path.name))


def assert_exact(shape: Shape, damaged: Path) -> None:
    _, placed, before, _ = shape
    surviving, missing = expected(placed, before, damaged)
    found = drain(damaged, damaged.parent / "quarantine")
    assert found.records == [hit(sequence) for sequence in surviving]
    assert found.missing == missing
    checked = check(damaged)
    assert (checked.records, list(checked.missing)) == (len(surviving), missing)


def flip(file: Path, bit: int) -> None:
    content = bytearray(file.read_bytes())
    if content:
        bit %= len(content) * 8
        content[bit // 8] ^= 1 << bit % 8
        file.write_bytes(content)


@given(shape=st.integers(0, len(SHAPES) - 1), at=st.integers(0, 10**6))
def test_any_prefix_gives_the_frames_that_lie_in_it(shapes, shape, at):
    """A kill or a power loss at any byte: the last segment ends there, in nothing or in preallocated space."""
    _, _, before, _ = shapes[shape]
    for filled in (False, True):
        with copied(shapes[shape][0]) as damaged:
            end, reached = at % sum(map(len, before.values())), 0
            for name, content in sorted(before.items()):
                kept = content[: max(end - reached, 0)]
                if reached and not kept:
                    (damaged / name).unlink()
                else:
                    (damaged / name).write_bytes(kept.ljust(len(content), b"\0") if filled else kept)
                reached += len(content)
            assert_exact(shapes[shape], damaged)


@given(shape=st.integers(0, len(SHAPES) - 1), segment=st.integers(0, 50), bit=st.integers(0, 10**6))
def test_any_flipped_bit_costs_its_own_frame_alone(shapes, shape, segment, bit):
    with copied(shapes[shape][0]) as damaged:
        names = sorted(contents(damaged))
        flip(damaged / names[segment % len(names)], bit)
        assert_exact(shapes[shape], damaged)


@given(
    shape=st.integers(0, len(SHAPES) - 1),
    block_bytes=st.sampled_from([1, 64, 236, 512, 1024]),
    source=st.integers(0, 10**6),
    target=st.integers(0, 10**6),
    other=st.booleans(),
)
def test_any_stale_block_is_refused(shapes, shape, block_bytes, source, target, other):
    """A block of this journal's or another's segments, where it was not written (DESIGN 5)."""
    path, _, before, foreign = shapes[shape]
    with copied(path) as damaged:
        stale = b"".join(content for _, content in sorted((foreign if other else before).items()))
        names = sorted(before)
        name, at = names[target % len(names)], target // 64 * 4 % 1024
        content = bytearray(before[name])
        content[at : at + block_bytes] = stale[source % len(stale) :][: min(block_bytes, len(content) - at)]
        (damaged / name).write_bytes(content[: len(before[name])])
        assert_exact(shapes[shape], damaged)


DAMAGES = st.lists(
    st.tuples(
        st.sampled_from(["flip", "zero", "cut", "garbage", "unlink", "empty", "insert", "delete"]),
        st.integers(0, 50),
        st.integers(0, 1023),
        st.integers(1, 300),
    ),
    max_size=5,
)


@given(shape=st.integers(0, len(SHAPES) - 1), damages=DAMAGES)
def test_any_damages_together_cost_what_they_hit(shapes, shape, damages):
    """Never loops, never raises, whatever the files hold."""
    with copied(shapes[shape][0]) as damaged:
        for damage in damages:
            wreck(damaged, *damage)
        assert_exact(shapes[shape], damaged)


def wreck(journal: Path, how: str, segment: int, at: int, length: int) -> None:
    names = sorted(contents(journal))
    if not names:
        return
    file = journal / names[segment % len(names)]
    content = bytearray(file.read_bytes())
    if how == "unlink":
        file.unlink()
        return
    if how == "flip":
        flip(file, at * 8)
        return
    if how in {"cut", "empty"}:
        del content[at if how == "cut" else 0 :]
    elif how == "insert":
        content[at:at] = random.Random(at).randbytes(length)
    elif how == "delete":
        del content[at : at + length]
    else:
        length = len(content[at : at + length])
        content[at : at + length] = bytes(length) if how == "zero" else random.Random(at).randbytes(length)
    file.write_bytes(content)


@given(content=st.binary(max_size=600), cursor=st.none() | st.binary(max_size=80), name=st.sampled_from([1, 2, 40]))
def test_a_journal_of_nothing_but_garbage_is_read_to_its_end(content, cursor, name):
    with tempfile.TemporaryDirectory() as root:
        journal = Path(root) / ("0123456789abcdef" * 2)
        journal.mkdir()
        (journal / segment_name(name)).write_bytes(content)
        (journal / "spare").write_bytes(content)
        (journal / "00000000000000000000.segment").write_bytes(content)
        (journal / "99999999999999999999.segment").write_bytes(content)
        if cursor is not None:
            (journal / "cursor").write_bytes(cursor)
        found = drain(journal, Path(root) / "quarantine")
        assert (found.records, found.missing) == ([], [])


def test_the_oracle_itself_sees_damage(shapes):
    """A test of the tests: a lost middle frame is missing by the oracle's account."""
    path, placed, before, _ = shapes[0]
    with copied(path) as damaged:
        content = bytearray(before[placed[1].segment])
        content[placed[1].offset] ^= 1
        (damaged / placed[1].segment).write_bytes(content)
        surviving, missing = expected(placed, before, damaged)
    assert missing == [(3, 4)] == ranges_of(set(range(1, 23)) - set(surviving))
    assert os.path.exists(path)
