"""The short way through frames that follow each other: what it gives, and where it stops and leaves it to the walk."""

from contextlib import closing
from dataclasses import dataclass

import pytest

from collector.journal.format import STAMP, FrameHeader
from collector.journal.segment import Run, Segment
from collector.journal.walk import Walk
from tests.collector.journal.kit import hit, write_journal

GROUPS = (1, 1, 3, 1)


@dataclass(frozen=True)
class Written:
    path: object
    placed: list
    salt: bytes

    @property
    def file(self):
        return self.path / self.placed[0].segment

    def run(self, bytes_max=10**6, from_sequence=2, at=1):
        """The run behind the first frame, which reads the window."""
        with closing(Segment(self.file, bytes.fromhex(self.path.name), self.salt)) as segment:
            segment.frame_at(self.placed[0].offset)
            return segment.run_at(self.placed[at].offset, from_sequence, bytes_max)

    def damage(self, offset):
        data = bytearray(self.file.read_bytes())
        data[offset] ^= 1
        self.file.write_bytes(data)


@pytest.fixture
def written(tmp_path):
    path, placed = write_journal(tmp_path, GROUPS, segment_bytes=4096)
    with closing(Walk(path)) as walk:
        return Written(path, placed, walk.salt)


def test_frames_that_follow_each_other_are_given_at_once(written):
    run = written.run()
    assert run == Run([hit(number) for number in range(2, 7)], 3, written.placed[-1].end)


def test_the_frame_that_passes_the_bound_is_the_last(written):
    assert written.run(bytes_max=1).frames == 1
    assert written.run(bytes_max=0) == Run([], 0, written.placed[1].offset)


def test_nothing_is_given_for_another_sequence_than_the_next(written):
    """What is missing or was taken before is for the walk to tell."""
    for sequence in (1, 3):
        assert written.run(from_sequence=sequence) == Run([], 0, written.placed[1].offset)


@pytest.mark.parametrize("into", [0, 5, 20, 40], ids=["marker", "header's crc", "sequence", "payload"])
def test_a_run_ends_before_damage_and_keeps_nothing_of_it(written, into):
    written.damage(written.placed[2].offset + into)
    assert written.run() == Run([hit(2)], 1, written.placed[1].end)


def test_a_run_ends_where_what_was_read_into_memory_ends(written):
    with closing(Segment(written.file, bytes.fromhex(written.path.name), written.salt)) as segment:
        assert segment.run_at(STAMP.size, 1, 10**6) == Run([], 0, STAMP.size)  # nothing was read yet
        segment.frame_at(written.placed[0].offset)
        segment._window = segment._window[: written.placed[2].end - written.placed[0].offset - 1]
        run = segment.run_at(written.placed[1].offset, 2, 10**6)
    assert run == Run([hit(2)], 1, written.placed[1].end)


def test_a_walk_in_runs_counts_as_a_walk_frame_by_frame(written):
    with closing(Walk(written.path)) as slow, closing(Walk(written.path)) as quick:
        records = []
        while frame := slow.step(live=False):
            assert isinstance(frame.header, FrameHeader)
            records += frame.records
        found = list(quick.step(live=False).records)
        more, taken_bytes = quick.run(10**6)
        assert found + more == records
        assert taken_bytes == sum(place.end - place.offset for place in written.placed[1:])
        assert (quick.frames, quick.records, quick.next_sequence) == (slow.frames, slow.records, slow.next_sequence)
        assert quick.step(live=False) is None
