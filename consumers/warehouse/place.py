"""Which warehouse: the file in the data directory, or ClickHouse where its URL is set.

Called once by the consumers' service. Must not know what either of them does.
"""

from consumers.warehouse.protocol import Warehouse
from gating.datadir import DataDirectory


def open_warehouse(directory: DataDirectory, clickhouse_url: str | None, *, announces: bool = False) -> Warehouse:
    """Open the directory's DuckDB file, or the ClickHouse database of `clickhouse_url` where one is given.

    announces: whether settlement keeps the ids of what it accepted for `unannounced`. Raises WarehouseFailed,
    WarehouseUnknown and, of a URL, QuestionInvalid and ServerTooOld. Each engine is loaded only where it is used: the
    client of ClickHouse costs a start 0.2 s and 20 MB.
    """
    if clickhouse_url:
        from consumers.warehouse.clickhouse import ClickHouseWarehouse

        return ClickHouseWarehouse.open(clickhouse_url, announces=announces)
    from consumers.warehouse.duckdb import DuckDBWarehouse

    return DuckDBWarehouse.open(directory.warehouse, announces=announces)
