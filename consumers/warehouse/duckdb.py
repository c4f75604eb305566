"""DuckDBWarehouse: the embedded form, one file that one process holds.

A batch is written as lines of JSON and read in by the engine itself: measured on this code's first run 2-4 us CPU an
event (EPYC, one thread, 640-byte events), where executemany takes some 300. The highest sequences change in the same
transaction, so a kill at any point leaves both or neither (I10). Must not decide what is visible: views say so.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import duckdb
import orjson

from collector.event import Event
from consumers.errors import WarehouseFailed, WarehouseUnknown
from consumers.source import Missing, Part
from consumers.warehouse.duckdb_reader import DuckDBReader
from consumers.warehouse.duckdb_rewrite import Readers, discard, swapped_in, written_anew
from consumers.warehouse.lines import again_lines, part_lines
from consumers.warehouse.protocol import DUPLICATE_WINDOW_US, Remains, Ruling, Settled, Stored, Tombstone, Unsettled
from consumers.warehouse.queries import load
from consumers.warehouse.rows import event_of
from gating.status import Verdict

FORMAT: Final = 1
"""Of the tables; raised when an older release could no longer read them."""

MEMORY_BYTES_MAX: Final = 128 * 1024**2
"""For DuckDB's buffers; what does not fit goes to a file beside the warehouse. A consumer that takes whole batches
peaked at 300 MB so (bar: 400)."""

CHECKPOINT_MB: Final = 96
"""Write-ahead log before it is folded into the file. Each fold packs the last, part-filled 122,880 rows anew: at the
engine's own 16 MB that took a third more CPU an event than here, at 96 MB hardly less but 40 MB more memory."""

PLAIN_AFTER_BATCHES: Final = 16

SETTLED_AWAY: Final = "settled_away"
DUPLICATE: Final = "duplicate"
PURGED: Final = "purged"

QUERIES: Final = load("consumers.warehouse", "duckdb.sql")


class DuckDBWarehouse:
    """The `Warehouse` protocol over one DuckDB file. Not for two threads at once; `reader()` is for the others."""

    def __init__(self, path: Path, batch_file: Path, *, announces: bool = False) -> None:
        self._path = path
        self._announces = announces
        self._plain_after = 0  # batches until a short cut is tried again
        self._batch_file = batch_file
        self._readers = Readers()
        shutil.rmtree(_spill(path), ignore_errors=True)  # a killed process leaves what it had spilled
        discard(path)  # and a rewriting it had not ended
        self._connect()
        path.chmod(0o600)
        batch_file.unlink(missing_ok=True)  # a killed process leaves its last batch

    def _connect(self) -> None:
        try:
            self._root = duckdb.connect(str(self._path), config=_config(self._path))  # only gives others connections
            self._connection = self._root.cursor()
        except duckdb.Error as error:
            raise WarehouseFailed(f"opening {self._path}", error) from error

    @classmethod
    def open(cls, path: Path, *, announces: bool = False) -> "DuckDBWarehouse":
        """Open or make the warehouse at `path`; raises WarehouseUnknown, or WarehouseFailed where it cannot be had.

        announces: whether settlement keeps the ids of what it accepted for `unannounced`.
        """
        self = cls(path, path.with_name(path.name + ".batch"), announces=announces)
        try:
            self._migrate()
        except BaseException:
            self.close()
            raise
        return self

    def _migrate(self) -> None:
        with self._transaction("preparing its tables"):
            tables = {row[0] for row in self._connection.execute("SHOW TABLES").fetchall()}
            if tables and "about" not in tables:
                raise WarehouseUnknown(self._path, "none", FORMAT)
            self._connection.execute(QUERIES["schema"].text)
            self._run("lines")
            found = self._rows("format")[0][0]
            if found is None:
                self._run("set_format", format=FORMAT)
            elif found > FORMAT:
                raise WarehouseUnknown(self._path, found, FORMAT)

    # Statements

    def _run(self, name: str, **values: Any) -> duckdb.DuckDBPyConnection:
        query = QUERIES[name]
        return self._connection.execute(query.text, query.pick(values) or None)

    def _rows(self, name: str, **values: Any) -> list[tuple[Any, ...]]:
        return self._run(name, **values).fetchall()

    @contextmanager
    def _transaction(self, doing: str) -> Iterator[None]:
        """All of the block or nothing; DuckDB's errors become WarehouseFailed."""
        try:
            self._connection.execute("BEGIN")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(duckdb.Error):  # a failed COMMIT has rolled back by itself
                    self._connection.execute("ROLLBACK")
                raise
        except (duckdb.Error, OSError, ValueError, TypeError) as error:  # the latter two: an event JSON cannot say
            raise WarehouseFailed(doing, error) from error

    @contextmanager
    def _lines(self, lines: list[bytes]) -> Iterator[str]:
        """The lines in a file of our own for as long as the block runs; gives its name as DuckDB must be told it."""
        descriptor = os.open(self._batch_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(b"\n".join(lines))
            yield _literal(self._batch_file)
        finally:
            self._batch_file.unlink(missing_ok=True)

    # Materialise

    def highest(self) -> Mapping[str, int]:
        try:
            return dict(self._rows("highest"))
        except duckdb.Error as error:
            raise WarehouseFailed("reading how far it is", error) from error

    def append(self, parts: Sequence[Part], missing: Sequence[Missing], again: Sequence[Event | bytes] = ()) -> Stored:
        with self._transaction("taking a batch"):
            lines = part_lines(parts)
            stored = self._append_lines(lines, again_lines(again, lines)) if lines or again else Stored()
            if parts:
                streams = [part.stream for part in parts]
                self._run("forget_streams", streams=streams)
                self._run("set_streams", streams=streams, highest=[part.highest for part in parts])
            for gap in missing:
                self._run("add_missing", journal=gap.journal, first=gap.first, last=gap.last)
        return stored

    def _append_lines(self, lines: list[bytes], again: list[bytes]) -> Stored:
        if not again and self._took_plain(lines):
            return Stored(events=len(lines))
        if again:
            self._load(again)
            self._run("again")
        loaded = self._load(lines)
        if self._rows("any_again")[0][0]:
            loaded -= self._changed("drop_taken_again")
        if again:
            self._run("keep_again_ids")
            loaded += self._changed("take_again")
        purged = self._refuse_purged()
        unverified = self._changed("keep_unverified")
        if unverified:
            self._run("drop_unverified")
        duplicates = self._keep_incoming()
        return Stored(loaded - purged - unverified - duplicates, unverified, duplicates, purged)

    def _refuse_purged(self) -> int:
        """Take out of `incoming` what is of purged accounts (I8), counted; return how many that were."""
        if not self._rows("any_tombstones")[0][0]:
            return 0
        self._run("bury_incoming")
        purged = self._count_buried()
        if purged:
            self._run("drop_buried_incoming")
        return purged

    def _count_buried(self) -> int:
        """Tally what is in `buried`, and keep the ids; return how many those are."""
        buried = self._rows("count_buried")
        for journal, events in buried:
            self._tally(journal, PURGED, events)
        if buried:
            self._run("keep_buried_ids")
        return sum(events for _, events in buried)

    def _took_plain(self, lines: list[bytes]) -> bool:
        """The likely case, in one statement: verified events that bear no id of their client's. Else nothing was done.

        It saves a copy of the batch, 1.1 of 6.3 us an event (Xeon, one thread, 700-byte events). What the engine says
        of the rows it took decides; whoever sends other events does so for long, so then it is not tried for a while.
        """
        self._plain_after -= 1
        if self._plain_after >= 0 or self._rows("any_again")[0][0]:
            return False
        with self._lines(lines) as file:
            self._run("take_plain", file=file)
        if self._rows("taken_plain")[0] == (len(lines), 0, 0):
            return True
        self._plain_after = PLAIN_AFTER_BATCHES
        self._connection.execute("ROLLBACK")
        self._connection.execute("BEGIN")
        return False

    def _load(self, lines: list[bytes]) -> int:
        """Put the lines' events into `incoming`; return how many."""
        with self._lines(lines) as file:
            loaded = self._changed("load", file=file)
        if loaded != len(lines):  # never: a line that the engine reads otherwise than we wrote it
            raise duckdb.DataError(f"{len(lines)} events were written for it, it read {loaded}")
        return loaded

    def _changed(self, name: str, **values: Any) -> int:
        """How many rows the statement wrote or deleted."""
        return int(self._rows(name, **values)[0][0])

    def _keep_incoming(self) -> int:
        """Move `incoming` into `events` but for a client's retries, which are counted; return how many those were."""
        count, with_client_id, first_us, last_us = self._rows("incoming")[0]
        self._run("no_repeats")
        if not with_client_id:
            if count:
                self._run("keep_incoming")
            return 0
        window_us = DUPLICATE_WINDOW_US
        self._run("repeats_within", window_us=window_us)
        found = self._rows("repeats_before_candidates", low_us=first_us - window_us, high_us=last_us + window_us)[0][0]
        if found:
            self._run("repeats_before", window_us=window_us)
        repeats = self._rows("count_repeats")
        for journal, events in repeats:
            self._tally(journal, DUPLICATE, events)
        if repeats:
            self._run("keep_repeats_ids")
        self._run("keep_incoming_but_repeats" if repeats else "keep_incoming")
        return sum(events for _, events in repeats)

    def _tally(self, journal: str, reason: str, events: int) -> None:
        before = self._rows("tallied", journal=journal, reason=reason)[0][0]
        self._run("forget_tally", journal=journal, reason=reason)
        self._run("set_tally", journal=journal, reason=reason, events=before + events)

    # Settle

    def unsettled(self, before_us: int, keys_max: int) -> list[Unsettled]:
        try:
            return [Unsettled(*row) for row in self._rows("unsettled", before_us=before_us, keys_max=keys_max)]
        except duckdb.Error as error:
            raise WarehouseFailed("looking for unverified events", error) from error

    def settle(self, rulings: Sequence[Ruling], before_us: int, events_max: int) -> Settled:
        with self._transaction("settling unverified events"):
            self._run("rulings")
            with self._lines([orjson.dumps(ruling) for ruling in rulings]) as file:
                self._run("add_rulings", file=file)
            self._run("settling", before_us=before_us, events_max=events_max)
            drop = int(Verdict.DROP)
            by_verdict: dict[int, int] = dict(self._rows("settled_by_verdict"))
            for journal, events in self._rows("count_gone", drop=drop):
                self._tally(journal, SETTLED_AWAY, events)
            self._run("keep_gone_ids", drop=drop)
            self._run("settle_incoming", drop=drop)
            kept_before = self._duplicates_by_verdict()
            if self._announces:
                self._run("keep_unannounced", accept=int(Verdict.ACCEPT))
            self._run("delete_settled")
        return Settled(
            visible=by_verdict.get(Verdict.ACCEPT, 0) - kept_before.get(Verdict.ACCEPT, 0),
            hidden=by_verdict.get(Verdict.HIDE, 0) - kept_before.get(Verdict.HIDE, 0),
            gone=by_verdict.get(drop, 0),
            duplicates=sum(kept_before.values()),
        )

    def _duplicates_by_verdict(self) -> Mapping[int, int]:
        if not self._keep_incoming():
            return {}
        return dict(self._rows("repeats_by_verdict"))

    def unannounced(self, limit: int) -> list[Event]:
        try:
            return [event_of(row) for row in self._rows("unannounced", limit=limit)]
        except duckdb.Error as error:
            raise WarehouseFailed("looking for what is to be announced", error) from error

    def announced(self, ids: Sequence[str]) -> None:
        with self._transaction("noting what was announced"):
            self._run("forget_unannounced", ids=list(ids))

    def unverified(self, until_us: int) -> int:
        try:
            return int(self._rows("count_unverified_until", until_us=until_us)[0][0])
        except duckdb.Error as error:
            raise WarehouseFailed("counting unverified events", error) from error

    # Purge

    def tombstones(self) -> frozenset[str]:
        try:
            return frozenset(row[0] for row in self._rows("tombstones"))
        except duckdb.Error as error:
            raise WarehouseFailed("looking for tombstones", error) from error

    def remains(self, tombstones: Sequence[Tombstone]) -> Mapping[str, Remains]:
        try:
            return {
                stone.account: Remains(*self._rows("remains", account=stone.account, keys=list(stone.keys))[0])
                for stone in tombstones
            }
        except duckdb.Error as error:
            raise WarehouseFailed("counting what is left of a purged account", error) from error

    def purge(self, tombstones: Sequence[Tombstone]) -> bool:
        """The rows go in one transaction, which also notes that their bytes are owed; those go by writing the file
        anew (duckdb_rewrite.py), for all accounts together. False where readers would not let go of the old file."""
        with self._transaction("purging deleted accounts"):
            for stone in tombstones:
                for key in stone.keys or ("",):
                    self._run("add_tombstone", account=stone.account, write_key=key)
            if self._rows("bytes_owed")[0][0]:
                self._run("bury")
                self._count_buried()
                self._run("delete_buried")
        if not self._rows("bytes_owed")[0][0]:
            return True
        return self._rewrite()

    def _rewrite(self) -> bool:
        """Put a file in this one's place that never held what was deleted; False where that must be tried again."""
        try:
            written_anew(self._connection, self._path)
            with self._readers.none() as alone:
                if not alone:
                    discard(self._path)
                    return False
                self._connection.close()
                self._root.close()
                try:
                    swapped_in(self._path)
                finally:
                    self._connect()
        except (duckdb.Error, OSError) as error:
            discard(self._path)
            raise WarehouseFailed("writing its file anew without deleted accounts", error) from error
        return True

    def write_off(self, ids: Sequence[str]) -> None:
        if ids:
            with self._transaction("counting a purged account's dead letters"):
                self._run("written_off", ids=list(ids))
                self._count_buried()

    # Verify

    def sums(self) -> dict[str, Any]:
        journals: dict[str, dict[str, int]] = {}
        with self._transaction("adding up its rows"):
            streams = self.highest()
            missing = self._rows("all_missing")
            for column, query in (("events", "journal_events"), ("unverified", "journal_unverified")):
                for journal, events in self._rows(query):
                    journals.setdefault(journal, {})[column] = events
            for journal, reason, events in self._rows("tallies"):
                journals.setdefault(journal, {})[reason] = events
        for journal, first, last in missing:
            sums = journals.setdefault(journal, {})
            sums["missing"] = sums.get("missing", 0) + last - first + 1
        return {"streams": dict(streams), "journals": journals, "missing": [list(row) for row in missing]}

    def reader(self) -> DuckDBReader:
        self._readers.enter()
        try:
            return DuckDBReader(self._root.cursor(), QUERIES, self._readers.leave)
        except BaseException as error:
            self._readers.leave()
            if isinstance(error, duckdb.Error):
                raise WarehouseFailed("opening a way in", error) from error
            raise

    def close(self) -> None:
        self._connection.close()
        self._root.close()


def _config(path: Path) -> dict[str, str | bool | int | float | list[str]]:
    """Bounded memory, no network, no extension but those built in."""
    return {
        "threads": 1,  # the collector's workers need the cores more
        "memory_limit": f"{MEMORY_BYTES_MAX}B",
        "checkpoint_threshold": f"{CHECKPOINT_MB}MB",
        "temp_directory": str(_spill(path)),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
        "preserve_insertion_order": False,  # nobody asks for it, and keeping it buffers a batch twice
    }


def _spill(path: Path) -> Path:
    return path.with_name(path.name + ".tmp")


def _literal(path: Path) -> str:
    """DuckDB reads file names as patterns: a data directory may be called `data[1]`."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in str(path))
