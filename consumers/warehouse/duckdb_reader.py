"""DuckDBReader: reports and exports out of the warehouse, on a connection of their own.

Every query for a person goes through the `seen` macro, which knows one account and the view's line between visible and
hidden; the table of unverified events is only ever counted (I11).
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import duckdb

from collector.event import Event
from consumers.errors import WarehouseFailed
from consumers.warehouse.protocol import Audience, Counts, Period, View
from consumers.warehouse.queries import Query
from consumers.warehouse.rows import event_of, values_of

FETCH_EVENTS: Final = 2048  # DuckDB's own vector: a fetch takes whole ones


class DuckDBReader:
    """The `WarehouseReader` protocol; one thread at a time."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, queries: Mapping[str, Query], left: Callable[[], None]
    ) -> None:
        """left: called once, when it is closed."""
        self._connection = connection
        self._queries = queries
        self._left: Callable[[], None] | None = left
        with self._reading("preparing to read"):
            self._connection.execute(queries["seen"].text)

    def _run(self, name: str, values: Mapping[str, Any]) -> duckdb.DuckDBPyConnection:
        query = self._queries[name]
        return self._connection.execute(query.text, query.pick(values))

    @contextmanager
    def _reading(self, doing: str) -> Iterator[None]:
        try:
            yield
        except duckdb.Error as error:
            raise WarehouseFailed(doing, error) from error

    def counts(self, view: View, period: Period, month: Period) -> Counts:
        values = values_of(view, period)
        operator = view.audience is Audience.OPERATOR
        with self._reading("counting"):
            self._connection.execute("BEGIN")  # one snapshot: the sums of a report agree with each other
            try:
                visible, hidden, visitors = self._run("count_events", values).fetchall()[0]
                groups = {
                    name: self._run(name, values).fetchall() for name in ("by_name", "by_day", "by_page", "by_referrer")
                }
                return Counts(
                    visible=visible,
                    hidden=hidden if operator else 0,
                    unverified=self._run("count_unverified", values).fetchall()[0][0] if operator else 0,
                    visitors=visitors,
                    mtu=self._run("mtu", values_of(view, month)).fetchall()[0][0],
                    **groups,
                )
            finally:
                self._connection.execute("COMMIT")

    def events(self, view: View, period: Period) -> Iterator[Event]:
        with self._reading("reading events"):
            rows = self._run("scan", values_of(view, period))
            while batch := rows.fetchmany(FETCH_EVENTS):
                yield from map(event_of, batch)

    def write_parquet(self, view: View, period: Period, path: Path) -> int:
        with self._reading("writing a Parquet file"):
            return int(self._run("parquet", values_of(view, period) | {"file": str(path)}).fetchall()[0][0])

    def active(self, since_us: int, after: str, limit: int) -> list[tuple[str, int]]:
        with self._reading("looking for active accounts"):
            return self._run("active", {"since_us": since_us, "after": after, "limit": limit}).fetchall()

    def close(self) -> None:
        self._connection.close()
        left, self._left = self._left, None
        if left is not None:
            left()
