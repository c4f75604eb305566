"""A journal's whole life against a list: written, rotated, read, committed, and everything that may die, dying.

The model: sequences 1 .. appended were answered for, 1 .. read were handed out by this reader, 1 .. committed are safe
elsewhere. Exactly-once (I10) is the consumer's dedupe by sequence on top of that.
"""

import os
import random
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from collector.journal import Journal, JournalReader, check
from collector.journal.directory import SPARE_NAME, segment_first
from tests.collector.journal.kit import SEGMENT_BYTES, append, hit, kill


class JournalLife(RuleBasedStateMachine):
    """One journal after the other, each with one writer that may die once and readers that may die often."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp())
        (self.root / "journals").mkdir()
        self.begin()

    def begin(self) -> None:
        self.journal: Journal | None = Journal.create(self.root / "journals", segment_bytes=SEGMENT_BYTES)
        self.path = self.journal.path
        self.appended = 0  # sequences 1 .. appended were answered for
        self.read = 0
        self.committed = 0
        self.torn = False
        self.removed = False
        self.reader = self.open_reader()

    def open_reader(self) -> JournalReader:
        return JournalReader(self.path, self.root / "quarantine")

    def teardown(self) -> None:
        self.reader.close()
        if self.journal:
            self.journal.close()
        shutil.rmtree(self.root)

    writing = precondition(lambda self: self.journal is not None)
    dead = precondition(lambda self: self.journal is None and not self.removed)
    present = precondition(lambda self: not self.removed)

    @writing
    @rule(hits=st.integers(1, 9))
    def a_group_is_appended(self, hits: int) -> None:
        assert append(self.journal, hits) == self.appended + 1
        self.appended += hits

    @writing
    @rule()
    def the_spare_is_prepared(self) -> None:
        self.journal.prepare_spare()

    @writing
    @rule()
    def the_worker_is_killed(self) -> None:
        kill(self.journal)
        self.journal = None

    @writing
    @rule(length=st.integers(1, 300), seed=st.integers(0, 9))
    def the_worker_is_killed_in_the_midst_of_a_write(self, length: int, seed: int) -> None:
        offset, segment = self.journal._offset, self.journal._segment
        os.pwrite(
            segment, (b"PXFR" + random.Random(seed).randbytes(300))[: min(length, SEGMENT_BYTES - offset)], offset
        )
        self.torn = offset < SEGMENT_BYTES
        self.the_worker_is_killed()

    @writing
    @rule()
    def the_worker_stops(self) -> None:
        self.journal.close()
        self.journal = None

    @present
    @rule(bytes_max=st.sampled_from([1, 700, 10**6]))
    def a_batch_is_read(self, bytes_max: int) -> None:
        batch = self.reader.read(bytes_max)
        assert batch.records == [hit(sequence) for sequence in range(self.read + 1, batch.next_sequence)]
        assert batch.missing == []
        assert batch.ended == (self.journal is None and not batch.records)
        if batch.ended or (bytes_max == 10**6 and not batch.records):
            assert self.read == self.appended, "neither the end nor 'not yet' comes before the last record"
        self.read = batch.next_sequence - 1

    @present
    @rule(back=st.integers(0, 5))
    def what_was_read_is_committed(self, back: int) -> None:
        self.reader.commit(max(self.read - back, 0) + 1)
        self.committed = max(self.committed, self.read - back)

    @present
    @rule()
    def the_reader_dies(self) -> None:
        self.reader.close()
        self.reader = self.open_reader()
        assert self.reader.next_sequence == self.committed + 1
        self.read = self.committed

    @present
    @rule(content=st.sampled_from([None, b"", b"x" * 64]))
    def the_cursor_is_lost(self, content: bytes | None) -> None:
        """What was committed comes again from the oldest segment on: told by its sequence, never skipped."""
        (self.path / "cursor").unlink(missing_ok=True)
        if content is not None:
            (self.path / "cursor").write_bytes(content)
        self.reader.close()
        self.reader = self.open_reader()
        assert self.reader.next_sequence <= self.committed + 1
        self.read = self.committed = self.reader.next_sequence - 1

    @dead
    @rule()
    def everything_is_taken_over_and_the_journal_removed(self) -> None:
        while not (batch := self.reader.read(10**6)).ended:
            self.read = batch.next_sequence - 1
        assert self.read == self.appended
        assert (self.reader.torn_bytes > 0) == self.torn
        self.reader.commit(batch.next_sequence)
        self.reader.remove()
        self.removed = True

    @precondition(lambda self: self.removed)
    @rule()
    def a_new_worker_starts(self) -> None:
        self.begin()

    @invariant()
    def i10_everything_not_committed_lies_in_the_journal(self) -> None:
        if not self.removed:
            found = check(self.path)
            assert found.missing == found.corruptions == ()
            assert found.next_sequence == self.appended + 1
            assert found.records >= self.appended - self.committed

    @invariant()
    def nothing_piles_up(self) -> None:
        """At most the segments from the oldest commit on, one spare, one cursor."""
        if not self.removed:
            names = os.listdir(self.path)
            assert all(segment_first(name) or name in {"cursor", SPARE_NAME} for name in names)


TestJournalLife = JournalLife.TestCase
TestJournalLife.settings = settings(
    settings.default, max_examples=settings.default.max_examples // 2, stateful_step_count=40
)
