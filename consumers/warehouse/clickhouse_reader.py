"""ClickHouseReader: reports and exports out of the warehouse, on a client of their own.

Every query for a person goes through the view `seen`, which knows one account and the view's line between visible and
hidden; the table of unverified events is only ever counted (I11).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb

from collector.event import Event
from consumers.warehouse.clickhouse_client import ClickHouseClient
from consumers.warehouse.protocol import Audience, Counts, Period, View
from consumers.warehouse.rows import event_of, values_of


class ClickHouseReader:
    """The `WarehouseReader` protocol; one thread at a time."""

    def __init__(self, client: ClickHouseClient, idle: list[ClickHouseClient]) -> None:
        """idle: where the client goes at the end; as many lie there as readers were ever open at once."""
        self._client = client
        self._idle = idle
        self._closed = False
        self._whole = True  # nothing it was asked for was left unread or failed

    def counts(self, view: View, period: Period, month: Period) -> Counts:
        operator = view.audience is Audience.OPERATOR
        values = values_of(view, period) | {"month_from_us": month.from_us, "month_to_us": month.to_us}
        groups: dict[str, list[tuple[Any, int]]] = {}
        with self._client.failing("counting"):
            for kind, value, events in self._client.rows("counts", **values):
                groups.setdefault(kind, []).append((value, events))
            unverified = self._client.rows("count_unverified", **values)[0][0] if operator else 0
        return Counts(
            visible=groups["visible"][0][1],
            hidden=groups["hidden"][0][1] if operator else 0,
            unverified=unverified,
            by_name=_largest_first(groups.get("by_name", [])),
            by_day=sorted(groups.get("by_day", [])),
            by_page=_largest_first(groups.get("by_page", [])),
            by_referrer=_largest_first(groups.get("by_referrer", [])),
            visitors=groups["visitors"][0][1],
            mtu=groups["mtu"][0][1],
        )

    def events(self, view: View, period: Period) -> Iterator[Event]:
        self._whole = False
        with self._client.failing("reading events"):
            for block in self._client.blocks("scan", values_of(view, period)):
                yield from map(event_of, block)
        self._whole = True

    def write_parquet(self, view: View, period: Period, path: Path) -> int:
        self._whole = False
        with self._client.failing("writing a Parquet file"), path.open("wb") as file:
            for chunk in self._client.chunks("parquet", "Parquet", values_of(view, period)):
                file.write(chunk)
        self._whole = True
        return _rows_in(path)

    def active(self, since_us: int, after: str, limit: int) -> list[tuple[str, int]]:
        with self._client.failing("looking for active accounts"):
            rows = self._client.rows("active", since_us=since_us, after=after, limit=limit)
            return [(account, at_us) for account, at_us in rows]

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._whole:
            self._idle.append(self._client)
        else:
            self._client.close()


def _rows_in(path: Path) -> int:
    """How many rows a Parquet file says it holds."""
    with duckdb.connect() as connection:
        found = connection.execute("SELECT num_rows FROM parquet_file_metadata($1)", [str(path)]).fetchall()
    return int(found[0][0])


def _largest_first(groups: list[tuple[str | None, int]]) -> list[tuple[str | None, int]]:
    """Largest first, equals by value, the absent value last: the parts of one statement come in no order."""
    return sorted(groups, key=lambda group: (-group[1], group[0] is None, group[0] or ""))
