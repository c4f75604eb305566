"""Export: an account's events as a file: ndjson (the wire's own JSON), csv, parquet.

Streams in bounded memory into a temporary file beside the target, which appears only when whole. Called by the server
(into a spool) and by the command line. An account needs access FULL or EXPORT; an operator's export holds hidden events
too, each with its verdict; unverified ones are in nobody's.
"""

import csv
import hashlib
import io
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson

from collector.event import Event, time_text
from consumers.errors import ExportFailed
from consumers.reports import check_access
from consumers.warehouse.protocol import Period, View, WarehouseReader

CHUNK_BYTES: Final = 256 * 1024
EVENTS_HEADER: Final = "Pixelgate-Events"
"""How many events follow, told ahead of an export over the socket."""

FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")
"""A spreadsheet takes a cell that starts so for a formula (OWASP, CSV injection): such cells get a leading quote."""


class Format(StrEnum):
    """How an export is written."""

    NDJSON = "ndjson"
    CSV = "csv"
    PARQUET = "parquet"


MEDIA_TYPES: Final = {
    Format.NDJSON: "application/x-ndjson",
    Format.CSV: "text/csv; charset=utf-8",
    Format.PARQUET: "application/vnd.apache.parquet",
}
COLUMNS: Final = tuple(field.name for field in fields(Event) if field.name != "revealed_at")


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export came to: how many events, and the SHA-256 of the file's bytes in hex."""

    events: int
    sha256: str


def export_file(
    reader: WarehouseReader, view: View, period: Period, format_: Format, target: Path, recheck: Callable[[], None]
) -> Exported:
    """Write the view's events received in `period` to `target`, whole or not at all; replaces a file that is there.

    recheck: asked once all is written, before the file appears; it raises AccessDenied where the account has lost its
    access meanwhile. Raises AccessDenied, WarehouseFailed, and ExportFailed where the file system refuses.
    """
    check_access(view)
    with whole_file(target) as temporary:
        events = _WRITERS[format_](reader, view, period, temporary)
        sha256 = sha256_of(temporary)
        recheck()
    return Exported(events, sha256)


@contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """Give a temporary file beside `target`; once the block is through it is synced and takes the name, else it goes.

    Raises ExportFailed.
    """
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name[:100]}.", suffix=".part", dir=target.parent)
    except OSError as error:
        raise ExportFailed(target, error) from error
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        sync(temporary)
        temporary.replace(target)
        sync(target.parent)
    except OSError as error:
        raise ExportFailed(target, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Make a file's bytes, or a directory's names, durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of the file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_ndjson(reader: WarehouseReader, view: View, period: Period, path: Path) -> int:
    """A line each, ended by a single line feed; U+2028 and the like may stand raw within one."""
    with path.open("wb", buffering=CHUNK_BYTES) as file:
        return _write_lines(file, reader.events(view, period), lambda event: event.encode() + b"\n")


def _write_csv(reader: WarehouseReader, view: View, period: Period, path: Path) -> int:
    """RFC 4180 with a header line; params as JSON text; absent values are empty."""
    line = io.StringIO()
    writer = csv.writer(line)

    def encode(cells: Any) -> bytes:
        line.seek(0)
        line.truncate()
        writer.writerow(cells)
        return line.getvalue().encode()

    with path.open("wb", buffering=CHUNK_BYTES) as file:
        file.write(encode(COLUMNS))
        return _write_lines(file, reader.events(view, period), lambda event: encode(cells_of(event)))


def _write_parquet(reader: WarehouseReader, view: View, period: Period, path: Path) -> int:
    return reader.write_parquet(view, period, path)


def _write_lines(file: BinaryIO, events: Iterator[Event], encode: Callable[[Event], bytes]) -> int:
    count = 0
    for event in events:
        file.write(encode(event))
        count += 1
    return count


_WRITERS: Final = {Format.NDJSON: _write_ndjson, Format.CSV: _write_csv, Format.PARQUET: _write_parquet}


def cells_of(event: Event) -> list[str]:
    """Return an event's cells in the order of COLUMNS, each safe to open in a spreadsheet."""
    return [defused(_cell(name, getattr(event, name))) for name in COLUMNS]


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    match name:
        case "received_at" | "client_time":
            return time_text(value)
        case "verdict":
            return str(value.name)
        case "verified":
            return "true" if value else "false"
        case "params":
            return orjson.dumps(value).decode()
        case _:
            return str(value)


def defused(cell: str) -> str:
    """Return the cell with a leading quote where a spreadsheet would take it for a formula."""
    return f"'{cell}" if cell.startswith(FORMULA_STARTS) else cell
