"""ClickHouseWarehouse: the scaled-out form, a database on a ClickHouse server; several consumers may write to it.

ClickHouse has no transaction over statements, so the order of the statements is what keeps I10. A row written twice is
one (clickhouse.sql); what may have been written by a predecessor that died is looked up by id before a batch is judged.

A batch: `begun` of its streams - what goes nowhere is set aside - ids sent again - events - unverified - ids of what
was set aside - missing ranges - `highest` of its streams. A death between any two leaves `highest` below `begun`: the
batch comes again, however it is cut then, and what lies at or below `begun` is looked up by id: what is there is
passed over, the rest is judged as if it came for the first time. (`begun` is noted BEGUN_AHEAD sequences ahead, not a
batch at a time.)

A settlement: `leaving` - what goes nowhere is set aside - ids to announce - events - ids of what was set aside - then
the deletion from `unverified`. A death before that leaves the events unverified: they are settled again, and what is in
`events` or `gone` by then is deleted only. On opening, a settlement that was broken off is ended so. A report read in
the middle of one may count among the unverified what it shows already.

Must not decide what is visible: views say so. One process settles at a time: of two that judge an event differently
(the account was deleted in between) both would be heard.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import orjson

from collector.event import Event
from consumers.errors import WarehouseUnknown
from consumers.source import BATCH_EVENTS_MAX, Missing, Part
from consumers.warehouse.clickhouse_client import ANSWER_SECONDS_MAX, ClickHouseClient, Place, place_of
from consumers.warehouse.clickhouse_reader import ClickHouseReader
from consumers.warehouse.lines import again_lines, part_lines
from consumers.warehouse.protocol import DUPLICATE_WINDOW_US, Remains, Ruling, Settled, Stored, Tombstone, Unsettled
from consumers.warehouse.rows import event_of

FORMAT: Final = 1
"""Of the tables; raised when an older release could no longer read them."""

TABLES: Final = ("events", "unverified", "streams", "missing", "gone", "again", "unannounced", "leaving", "tombstones",
                 "seen")  # fmt: skip

BEGUN_AHEAD: Final = 10 * BATCH_EVENTS_MAX
"""So many sequences of each stream are looked up after a start, some ms a batch; for each fewer, `begun` is noted more
often, which costs any batch as much as its `highest` does."""

ANNOUNCED_MAX: Final = 500
"""Ids of one deletion: they stand in the statement, of which a server reads 256 KiB."""


class ClickHouseWarehouse:
    """The `Warehouse` protocol over one ClickHouse database. Not for two threads at once; `reader()` is for others."""

    def __init__(self, place: Place, *, announces: bool = False) -> None:
        self._place = place
        self._announces = announces
        self._suspect: Mapping[str, int] | None = None  # up to where others may have begun a stream; None: ask
        self._begun: dict[str, int] = {}  # what is noted of it
        self._made: dict[str, bool] = {}  # temporary tables of this session, and whether anything is in them
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
        self._suspect = {stream: begun for stream, highest, begun in streams if begun > highest}
        self._begun = dict(self._suspect)
        return {stream: highest for stream, highest, _ in streams if highest}

    def append(self, parts: Sequence[Part], missing: Sequence[Missing], again: Sequence[Event | bytes] = ()) -> Stored:
        if self._suspect is None:
            self.highest()
        suspect, self._suspect = self._suspect or {}, None  # until this batch is through, nothing is sure
        with self._client.failing("taking a batch"), self._temporary():
            lines = part_lines(parts)
            lines_again = again_lines(again, lines)
            self._begin(parts)
            looked_up = any(part.sequences and part.sequences[0] <= suspect.get(part.stream, 0) for part in parts)
            stored = self._append_lines(lines, lines_again, looked_up) if lines or lines_again else Stored()
            if missing:
                self._client.insert("missing", [orjson.dumps(gap) for gap in missing])
            if parts:
                highest = [orjson.dumps({"stream": part.stream, "highest": part.highest}) for part in parts]
                self._client.insert("streams", highest)
        self._suspect = suspect
        return stored

    def _begin(self, parts: Sequence[Part]) -> None:
        """Note up to where the parts' streams may be written to from now on."""
        ahead = {p.stream: p.highest + BEGUN_AHEAD for p in parts if p.highest > self._begun.get(p.stream, 0)}
        if ahead:
            begun = [orjson.dumps({"stream": stream, "begun": sequence}) for stream, sequence in ahead.items()]
            self._client.insert("streams", begun)
            self._begun |= ahead

    @contextmanager
    def _temporary(self) -> Iterator[None]:
        """Whatever fails may have been the session's end: its tables are made anew then."""
        try:
            yield
        except BaseException:
            self._made.clear()
            raise

    def _empty(self, *tables: str) -> None:
        """Have the temporary tables there, with nothing in them."""
        for table in tables:
            filled = self._made.get(table)
            if filled is None:
                self._client.run(table)
            elif filled:
                self._client.run("empty", table=table)
            self._made[table] = False

    def _fill(self, table: str, name: str, **values: Any) -> None:
        """Carry out a statement that writes to a temporary table."""
        self._made[table] = True
        self._client.run(name, **values)

    def _append_lines(self, lines: list[bytes], again: list[bytes], looked_up: bool) -> Stored:
        client = self._client
        self._empty("aside", "suspects", "incoming")
        self._made["incoming"] = True
        if again:
            client.insert("incoming", again)
            client.run("sent_again")
        if lines:
            client.insert("incoming", lines)
        loaded, unverified, with_client_id, taken_again, tombstones = client.rows("facts")[0]
        if loaded != len(lines) + len(again):  # never: a line that the engine reads otherwise than we wrote it
            raise ValueError(f"{len(lines) + len(again)} events were written for it, it read {loaded}")
        if looked_up or again:
            self._fill("suspects", "suspect_incoming" if looked_up else "suspect_sent_again")
            self._set_aside_known("events", "unverified", "gone")
        if taken_again:
            self._fill("aside", "aside_taken_again_but" if again else "aside_taken_again")
        if tombstones:
            self._fill("aside", "aside_purged")
        if with_client_id:
            self._set_aside_repeats()
        stored = Stored(events=loaded - unverified, unverified=unverified)
        if self._made["aside"]:
            stored = Stored(*client.rows("kept")[0])
        if again:
            client.run("keep_sent_again")
        if stored.events:
            client.run("keep_events")
        if stored.unverified:
            client.run("keep_unverified")
        if self._refuses_late() or stored.duplicates or stored.purged:
            client.run("keep_gone")
        return stored

    def _refuses_late(self) -> bool:
        """Set aside what a tombstone kept out that came since the batch was judged; whether there is any tombstone."""
        if not self._client.rows("any_tombstones")[0][0]:
            return False
        self._fill("aside", "aside_purged")
        return True

    def _set_aside_known(self, *tables: str) -> None:
        """Set aside what of `suspects` is in the tables."""
        first_us, last_us = self._client.rows("suspects_times")[0]
        for table in tables:
            self._fill("aside", f"aside_{table}", first_us=first_us, last_us=last_us)

    def _set_aside_repeats(self) -> None:
        """Set aside a client's retries, of one another and of what is settled."""
        first_us, last_us = self._client.rows("repeats_times")[0]
        window_us = DUPLICATE_WINDOW_US
        self._fill("aside", "repeats_within", window_us=window_us)
        low_us, high_us = first_us - window_us, last_us + window_us
        self._fill("aside", "repeats_before", window_us=window_us, low_us=low_us, high_us=high_us)

    # Settle

    def unsettled(self, before_us: int, keys_max: int) -> list[Unsettled]:
        with self._client.failing("looking for unverified events"):
            return [Unsettled(*row) for row in self._client.rows("unsettled", before_us=before_us, keys_max=keys_max)]

    def settle(self, rulings: Sequence[Ruling], before_us: int, events_max: int) -> Settled:
        client, settling = self._client, uuid.uuid4().hex
        with client.failing("settling unverified events"), self._temporary():
            self._empty("rulings", "aside", "suspects")
            self._made["rulings"] = True
            client.insert("rulings", [orjson.dumps(ruling) for ruling in rulings])
            client.run("settling", before_us=before_us, events_max=events_max)
            self._made.pop("incoming", None)  # this one has not the columns of a batch's
            events, _, with_client_id, _, _ = client.rows("facts")[0]
            if not events:
                return Settled()
            client.run("begin_leaving", **{"pass": settling})
            self._fill("suspects", "suspect_incoming")
            self._set_aside_known("events", "gone")
            self._fill("aside", "aside_dropped")
            if with_client_id:
                self._set_aside_repeats()
            visible, hidden, gone, duplicates = client.rows("settled")[0]
            if self._announces and visible:
                client.run("keep_unannounced")
            if visible or hidden:
                client.run("keep_events")
            if self._refuses_late() or gone or duplicates:
                client.run("keep_gone")
            client.run("delete_settled", **{"pass": settling})
            client.run("end_leaving")
        return Settled(visible, hidden, gone, duplicates)

    def unannounced(self, limit: int) -> list[Event]:
        with self._client.failing("looking for what is to be announced"):
            return [event_of(row) for row in self._client.rows("unannounced", limit=limit)]

    def announced(self, ids: Sequence[str]) -> None:
        with self._client.failing("noting what was announced"):
            for first in range(0, len(ids), ANNOUNCED_MAX):
                self._client.run("forget_unannounced", ids=list(ids[first : first + ANNOUNCED_MAX]))

    def unverified(self, until_us: int) -> int:
        with self._client.failing("counting unverified events"):
            return int(self._client.rows("count_unverified_until", until_us=until_us)[0][0])

    # Purge

    def tombstones(self) -> frozenset[str]:
        with self._client.failing("looking for tombstones"):
            return frozenset(row[0] for row in self._client.rows("tombstones"))

    def remains(self, tombstones: Sequence[Tombstone]) -> Mapping[str, Remains]:
        with self._client.failing("counting what is left of a purged account"):
            return {
                stone.account: Remains(*self._client.rows("remains", account=stone.account, keys=list(stone.keys))[0])
                for stone in tombstones
            }

    def purge(self, tombstones: Sequence[Tombstone]) -> bool:
        """The tombstones - ids under `purged` - mutations - the moment they ended. A death between any two leaves rows
        that the next call finds, and ids that are counted once however often they are written.

        Another writer's statement that began before the tombstones were there may still add rows, for as long as a
        server lets it run; so nothing is called gone before that has passed. The parts that the mutations replaced are
        looked for in `system.parts`: of the replica that this session speaks to.
        """
        client = self._client
        with client.failing("purging deleted accounts"):
            for stone in tombstones:
                for key in stone.keys or ("",):
                    client.run("add_tombstone", account=stone.account, write_key=key)
            fence_seconds = 0 if self._place.embedded else ANSWER_SECONDS_MAX
            young, undeleted, _ = client.rows("purge_owes", fence_seconds=fence_seconds)[0]
            events, unverified = client.rows("buried_left")[0]
            if undeleted or events or unverified:
                client.run("bury")
                client.run("bury_unverified")
                client.run("delete_purged")
                client.run("delete_purged_unverified")
                client.run("delete_purged_unannounced")
                client.run("note_deleted")
            parts = client.rows("purge_owes", fence_seconds=fence_seconds)[0][2]
        return not young and not parts

    def write_off(self, ids: Sequence[str]) -> None:
        with self._client.failing("counting a purged account's dead letters"):
            for first in range(0, len(ids), ANNOUNCED_MAX):
                self._client.run("write_off", ids=list(ids[first : first + ANNOUNCED_MAX]))

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
