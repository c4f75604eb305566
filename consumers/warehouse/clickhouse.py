"""ClickHouseWarehouse: the scaled-out form, a database on a ClickHouse server; several consumers may write to it.

ClickHouse has no transaction over statements, so the order of the statements is what keeps I10. A row written twice is
one (clickhouse.sql); what may have been written by a predecessor that died is looked up by id before a batch is judged.

A batch: `begun` of its streams - what goes nowhere is set aside - ids sent again - events - unverified - ids of what
was set aside - missing ranges - `highest` of its streams. A death between any two leaves `highest` below `begun`: the
batch comes again, however it is cut then, and as long as its sequences lie at or below `begun` each is looked up: what
is there is passed over, the rest is judged as if it came for the first time.

A settlement: `leaving` - what goes nowhere is set aside - ids to announce - events - ids of what was set aside - the
deletion from `unverified`. A death before the deletion leaves the events unverified: they are settled again, and what
is in `events` or `gone` by then is deleted only. On opening, a broken-off settlement is ended in that way. A report read
in the middle of one may count among the unverified what it shows already.

Must not decide what is visible: views say so. One process settles at a time: of two that judge an event differently
(the account was deleted in between) both would be heard.
"""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from collector.event import Event
from consumers.errors import WarehouseUnknown
from consumers.source import Missing, Part
from consumers.warehouse.clickhouse_client import ClickHouseClient, Place, place_of
from consumers.warehouse.clickhouse_reader import ClickHouseReader, event_of_row
from consumers.warehouse.lines import again_lines, part_lines
from consumers.warehouse.protocol import DUPLICATE_WINDOW_US, Ruling, Settled, Stored, Unsettled

FORMAT: Final = 1
"""Of the tables; raised when an older release could no longer read them."""

TABLES: Final = ("events", "unverified", "streams", "missing", "gone", "again", "unannounced", "leaving", "seen")

ANNOUNCED_MAX: Final = 500
"""Ids of one deletion: they stand in the statement, of which a server reads 256 KiB."""


class ClickHouseWarehouse:
    """The `Warehouse` protocol over one ClickHouse database. Not for two threads at once; `reader()` is for others."""

    def __init__(self, place: Place, *, announces: bool = False) -> None:
        self._place = place
        self._announces = announces
        self._begun: Mapping[str, int] | None = None  # streams with a batch that was begun and not ended
        self._client = ClickHouseClient(place, writes=True)
        self._idle: list[ClickHouseClient] = []  # readers' clients at rest: opening one asks the server a lot

    @classmethod
    def open(cls, url: str, *, announces: bool = False) -> "ClickHouseWarehouse":
        """Open the database of a CLICKHOUSE_URL, making the tables where it is empty.

        announces: whether settlement keeps the ids of what it accepted for `unannounced`. Raises QuestionInvalid,
        WarehouseFailed, ServerTooOld, WarehouseUnknown.
        """
        self = cls(place_of(url), announces=announces)
        try:
            with self._client.failing("preparing its tables"):
                self._migrate()
                self._end_settlement()
        except BaseException:
            self.close()
            raise
        return self

    def _migrate(self) -> None:
        tables = {row[0] for row in self._client.rows("tables")}
        if tables and "about" not in tables:
            raise WarehouseUnknown(self._place.name, "none", FORMAT)
        self._client.run("create_about")  # the first: another consumer that opens an empty database knows it by this
        found = self._client.rows("format")[0][0]
        if found > FORMAT:
            raise WarehouseUnknown(self._place.name, found, FORMAT)
        for table in TABLES:
            self._client.define(f"create_{table}")
        if not found:
            self._client.run("set_format", format=FORMAT)

    def _end_settlement(self) -> None:
        """End what a settlement left that died."""
        leaving, first_us, last_us = self._client.rows("any_leaving")[0]
        if leaving:
            self._client.run("delete_settled_before", first_us=first_us, last_us=last_us)
            self._client.run("end_leaving")

    # Materialise

    def highest(self) -> Mapping[str, int]:
        with self._client.failing("reading how far it is"):
            streams = self._client.rows("highest")
        self._begun = {stream: begun for stream, highest, begun in streams if begun > highest}
        return {stream: highest for stream, highest, _ in streams if highest}

    def append(self, parts: Sequence[Part], missing: Sequence[Missing], again: Sequence[Event | bytes] = ()) -> Stored:
        if self._begun is None:
            self.highest()
        with self._client.failing("taking a batch"):
            lines = part_lines(parts)
            lines_again = again_lines(again, lines)
            suspect = self._is_suspect(parts)
            begun, self._begun = self._begun, None  # until this batch is through, nothing of it is sure
            self._note_streams("begun", parts)
            stored = self._append_lines(lines, lines_again, suspect) if lines or lines_again else Stored()
            if missing:
                self._client.insert("missing", [orjson.dumps(gap) for gap in missing])
            self._note_streams("highest", parts)
        highest = {part.stream: part.highest for part in parts}
        self._begun = {stream: end for stream, end in (begun or {}).items() if end > highest.get(stream, 0)}
        return stored

    def _is_suspect(self, parts: Sequence[Part]) -> bool:
        """Whether a part holds what an earlier batch may have written before it broke off."""
        begun = self._begun or {}
        return any(part.sequences and part.sequences[0] <= begun.get(part.stream, 0) for part in parts)

    def _note_streams(self, column: str, parts: Sequence[Part]) -> None:
        if parts:
            self._client.insert("streams", [orjson.dumps({"stream": p.stream, column: p.highest}) for p in parts])

    def _append_lines(self, lines: list[bytes], again: list[bytes], suspect: bool) -> Stored:
        client = self._client
        client.run("aside")
        client.run("suspects")
        client.run("incoming")
        if again:
            client.insert("incoming", again)
            client.run("sent_again")
            client.run("suspect_incoming")
        if lines:
            client.insert("incoming", lines)
        client.run("aside_taken_again")
        if suspect:
            client.run("suspects")
            client.run("suspect_incoming")
        if suspect or again:
            self._set_aside_known("events", "unverified", "gone")
        if again:
            client.run("keep_sent_again")
        loaded, with_client_id, aside = client.rows("facts")[0]
        if loaded != len(lines) + len(again):  # never: a line that the engine reads otherwise than we wrote it
            raise ValueError(f"{len(lines) + len(again)} events were written for it, it read {loaded}")
        if with_client_id:
            self._set_aside_repeats()
        verified, unverified, duplicates = client.rows("kept")[0]
        if verified:
            client.run("keep_events")
        if unverified:
            client.run("keep_unverified")
        if duplicates:
            client.run("keep_gone")
        return Stored(events=verified, unverified=unverified, duplicates=duplicates)

    def _set_aside_known(self, *tables: str) -> None:
        """Set aside what of `suspects` is in the tables."""
        first_us, last_us = self._client.rows("suspects_times")[0]
        for table in tables:
            self._client.run(f"aside_{table}", first_us=first_us, last_us=last_us)

    def _set_aside_repeats(self) -> None:
        """Set aside a client's retries, of one another and of what is settled."""
        first_us, last_us = self._client.rows("repeats_times")[0]
        window_us = DUPLICATE_WINDOW_US
        self._client.run("repeats_within", window_us=window_us)
        low_us, high_us = first_us - window_us, last_us + window_us
        self._client.run("repeats_before", window_us=window_us, low_us=low_us, high_us=high_us)

    # Settle

    def unsettled(self, before_us: int, keys_max: int) -> list[Unsettled]:
        with self._client.failing("looking for unverified events"):
            return [Unsettled(*row) for row in self._client.rows("unsettled", before_us=before_us, keys_max=keys_max)]

    def settle(self, rulings: Sequence[Ruling], before_us: int, events_max: int) -> Settled:
        client, settling = self._client, uuid.uuid4().hex
        with client.failing("settling unverified events"):
            client.run("rulings")
            client.insert("rulings", [orjson.dumps(ruling) for ruling in rulings])
            client.run("settling", before_us=before_us, events_max=events_max)
            client.run("aside")
            events, with_client_id, _ = client.rows("facts")[0]
            if not events:
                return Settled()
            client.run("begin_leaving", **{"pass": settling})
            client.run("suspects")
            client.run("suspect_incoming")
            self._set_aside_known("events", "gone")
            client.run("aside_dropped")
            if with_client_id:
                self._set_aside_repeats()
            visible, hidden, gone, duplicates = client.rows("settled")[0]
            if self._announces and visible:
                client.run("keep_unannounced")
            if visible or hidden:
                client.run("keep_events")
            if gone or duplicates:
                client.run("keep_gone")
            client.run("delete_settled", **{"pass": settling})
            client.run("end_leaving")
        return Settled(visible, hidden, gone, duplicates)

    def unannounced(self, limit: int) -> list[Event]:
        with self._client.failing("looking for what is to be announced"):
            return [event_of_row(row) for row in self._client.rows("unannounced", limit=limit)]

    def announced(self, ids: Sequence[str]) -> None:
        with self._client.failing("noting what was announced"):
            for first in range(0, len(ids), ANNOUNCED_MAX):
                self._client.run("forget_unannounced", ids=list(ids[first : first + ANNOUNCED_MAX]))

    def unverified(self, until_us: int) -> int:
        with self._client.failing("counting unverified events"):
            return int(self._client.rows("count_unverified_until", until_us=until_us)[0][0])

    # Verify

    def sums(self) -> dict[str, Any]:
        journals: dict[str, dict[str, int]] = {}
        streams = self.highest()
        with self._client.failing("adding up its rows"):
            missing = [list(row) for row in self._client.rows("all_missing")]
            for column, query in (("events", "journal_events"), ("unverified", "journal_unverified")):
                for journal, events in self._client.rows(query):
                    journals.setdefault(journal, {})[column] = events
            for journal, reason, events in self._client.rows("tallies"):
                journals.setdefault(journal, {})[reason] = events
        for journal, first, last in missing:
            sums = journals.setdefault(journal, {})
            sums["missing"] = sums.get("missing", 0) + last - first + 1
        return {"streams": dict(streams), "journals": journals, "missing": missing}

    def reader(self) -> ClickHouseReader:
        try:
            client = self._idle.pop()
        except IndexError:
            client = ClickHouseClient(self._place, writes=False)
        return ClickHouseReader(client, self._idle)

    def close(self) -> None:
        self._client.close()
        while self._idle:
            self._idle.pop().close()


