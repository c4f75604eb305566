"""Journals to try things on: how they are written, where their frames lie, what a reader must find in them."""

import contextlib
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from collector.journal import Durability, Journal, JournalReader, Record, encode_record
from collector.journal.directory import segment_first
from collector.journal.format import FRAME_HEADER, SEGMENT_MAGIC, STAMP, decode_stamp
from gating.status import Verdict

SEGMENT_BYTES = 1024
RECEIVED_AT_US = 1_700_000_000_000_000


def hit(sequence: int, head_bytes: int = 70) -> Record:
    """The hit that every test journal holds under this sequence: 100 bytes with the usual head."""
    head = f"GET /p/{sequence} HTTP/1.1\r\n".encode().ljust(head_bytes - 4, b"h") + b"\r\n\r\n"
    verdict = Verdict.HIDE if sequence % 3 == 0 else Verdict.ACCEPT
    return Record(sequence, RECEIVED_AT_US, verdict, sequence % 2 == 0, 7, "shop", "127.0.0.1", head, None)


def append(journal: Journal, hits: int, head_bytes: int = 70) -> int:
    """Append a group of the next `hits` hits; returns its first sequence."""
    first = journal.next_sequence
    parts = [encode_record(hit(first + number, head_bytes)) for number in range(hits)]
    return journal.append(RECEIVED_AT_US, parts, hits)


@dataclass(frozen=True)
class Placed:
    """Where a frame was written."""

    segment: str
    offset: int
    end: int
    sequences: range


def write_journal(
    directory: Path, groups: Sequence[int], *, segment_bytes: int = SEGMENT_BYTES, killed: bool = True
) -> tuple[Path, list[Placed]]:
    """Write a journal of these groups (hits of each), left as kill -9 leaves it, or closed."""
    directory.mkdir(parents=True, exist_ok=True)
    journal = Journal.create(directory, Durability.PROCESS, segment_bytes=segment_bytes)
    placed = []
    for hits in groups:
        first = append(journal, hits)
        segment = max(name for name in os.listdir(journal.path) if segment_first(name))
        end = journal._offset
        frame_bytes = FRAME_HEADER.size + sum(len(encode_record(hit(first + n))) for n in range(hits))
        placed.append(Placed(segment, end - frame_bytes, end, range(first, first + hits)))
    if killed:
        kill(journal)
    else:
        journal.close()
    return journal.path, placed


def kill(journal: Journal) -> None:
    """Do to a journal in this process what kill -9 does: descriptors close, nothing is tidied up."""
    journal._closed = True
    for descriptor in (journal._segment, journal._spare, journal._lock):
        if descriptor >= 0:
            os.close(descriptor)


def copy_of(path: Path, root: Path) -> Path:
    """A fresh copy of a journal to break, under the same name."""
    target = root / "copy" / path.name
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(path, target)
    return target


@dataclass(frozen=True)
class Drained:
    """What a reader found from the cursor to the end."""

    records: list[Record]
    missing: list[tuple[int, int]]
    torn_bytes: int
    corrupt_bytes: int
    kept: list[str]

    @property
    def sequences(self) -> list[int]:
        return [record.sequence for record in self.records]


def drain(path: Path, quarantine: Path, bytes_max: int = 700) -> Drained:
    """Read a dead journal to its end; commits nothing, but keeps what is damaged."""
    records: list[Record] = []
    missing: list[tuple[int, int]] = []
    with contextlib.closing(JournalReader(path, quarantine)) as reader:
        while not (batch := reader.read(bytes_max)).ended:
            records += batch.records
            missing += batch.missing
        missing += batch.missing
        reader._quarantine.keep()
        kept = sorted(os.listdir(quarantine)) if quarantine.exists() else []
        return Drained(records, merged(missing), reader.torn_bytes, reader.corrupt_bytes, kept)


def merged(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Adjoining ranges as one: a reader tells them batch by batch."""
    result: list[tuple[int, int]] = []
    for first, last in ranges:
        if result and result[-1][1] == first - 1:
            result[-1] = (result[-1][0], last)
        else:
            result.append((first, last))
    return result


def ranges_of(sequences: Iterable[int]) -> list[tuple[int, int]]:
    return merged((sequence, sequence) for sequence in sorted(sequences))


def contents(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir() if segment_first(file.name)}


def expected(placed: list[Placed], before: dict[str, bytes], damaged: Path) -> tuple[list[int], list[tuple[int, int]]]:
    """The oracle: which sequences must come, and which must be told missing, told from the bytes alone.

    A frame survives if each of its bytes is where it was. What is missing is proved by what lies behind it: a later
    frame, or a segment that begins later.
    """
    after = contents(damaged)
    surviving = [
        sequence
        for frame in placed
        if after.get(frame.segment, b"")[frame.offset : frame.end] == before[frame.segment][frame.offset : frame.end]
        for sequence in frame.sequences
    ]
    ours = bytes.fromhex(damaged.name)
    stamps = {name: decode_stamp(SEGMENT_MAGIC, content[: STAMP.size]) for name, content in after.items()}
    proved = [segment_first(name) or 0 for name, stamp in stamps.items() if not stamp or stamp.journal_id == ours]
    end = max([sequence + 1 for sequence in surviving] + proved, default=1)
    return surviving, ranges_of(set(range(1, end)) - set(surviving))
