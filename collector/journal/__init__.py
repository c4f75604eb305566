"""Journal: where a kept hit lies before it is answered (I1), and until a consumer has it for good (I10).

    format          the bytes: stamp, frame, record; pure
    directory       names, the lock, how a journal is made, listed and removed
    writer          Journal: one append a tick, rotation, room on the disk
    segment         one segment file, read
    walk            through all segments; what is damage, what is torn, what is not yet
    reader          JournalReader: follows a live journal, drains a dead one, moves the cursor
    spool           Spool: all journals of a directory, read in turn, each committed by itself
    cursor          up to where records were taken over
    quarantine      copies of damaged segments
    recovery        check, show, recover: a whole journal's state

A journal is a directory a worker's start, held by a flock; its segments are named by their first sequence. Nobody ever
appends to a journal that was there before. Damage costs what it hit and nothing else, and is told by exact ranges.
"""

from collector.journal.directory import JournalInfo, journals, segment_name, sweep
from collector.journal.format import (
    FLAG_OF_BATCH,
    FLAG_VERIFIED,
    PAYLOAD_BYTES_MAX,
    RECORD,
    SEGMENT_BYTES,
    Record,
    decode_frame,
    encode_frame,
    encode_record,
)
from collector.journal.reader import BATCH_BYTES, Batch, JournalReader
from collector.journal.recovery import Recovery, check, recover, show
from collector.journal.walk import Corruption
from collector.journal.writer import APPEND_FILL_MAX, JOURNAL_BYTES_MAX, READY_FILL_MAX, Durability, Journal

__all__ = [
    "APPEND_FILL_MAX",
    "BATCH_BYTES",
    "FLAG_OF_BATCH",
    "FLAG_VERIFIED",
    "JOURNAL_BYTES_MAX",
    "PAYLOAD_BYTES_MAX",
    "READY_FILL_MAX",
    "RECORD",
    "SEGMENT_BYTES",
    "Batch",
    "Corruption",
    "Durability",
    "Journal",
    "JournalInfo",
    "JournalReader",
    "Record",
    "Recovery",
    "check",
    "decode_frame",
    "encode_frame",
    "encode_record",
    "journals",
    "recover",
    "segment_name",
    "show",
    "sweep",
]
