"""Doctor, for ClickHouse: is the server that CLICKHOUSE_URL names reachable, new enough, and ours to write to.

Called by `pixelgate doctor` where the URL is set. Makes one small table of its own to try what the consumer needs, and
takes it away again; touches nothing else.
"""

import time
import uuid
from collections.abc import Callable
from typing import Any, Final

from consumers.errors import ConsumerError
from consumers.warehouse.clickhouse_client import ClickHouseClient, place_of
from deploy.check import FAIL, OK, WARN, Check

NAME: Final = "clickhouse"
SKEW_SECONDS_MAX: Final = 1.0
"""Clocks are taken to agree this well (DESIGN 6); nothing in the warehouse hangs on it, what people read does."""

LAST_PARTS_MIN: Final = 300
"""`parts_to_throw_insert`, of one partition: an unverified hour and an hour's merges stay far below."""

ATTEMPTS: Final = (
    ("create tables", "CREATE TABLE {table} (n UInt8) ENGINE = MergeTree ORDER BY n"),
    ("insert", "INSERT INTO {table} SELECT 1"),
    ("delete rows (ALTER DELETE)", "ALTER TABLE {table} DELETE WHERE n = 1"),
    ("create temporary tables", "CREATE OR REPLACE TEMPORARY TABLE {table}_temporary (n UInt8) ENGINE = Memory"),
    ("empty tables", "TRUNCATE TABLE {table}"),
    ("drop tables", "DROP TABLE {table} SYNC"),
)
"""What the consumer's user must be allowed; views are made like tables. The order cleans up after itself."""


def clickhouse(url: str, *, consumer_runs: bool = False) -> Check:
    """One finding about the server: what keeps it from serving first, then what is doubtful, else its version.

    consumer_runs: a consumer holds the data directory; of chDB, which one process holds, nothing more can be asked.
    """
    try:
        place = place_of(url)
        if place.embedded and consumer_runs:
            return Check(NAME, OK, f"{place.name} is in use by the consumer of this data directory")
        client = ClickHouseClient(place, writes=True)
    except ConsumerError as error:
        return Check(NAME, FAIL, str(error), "check CLICKHOUSE_URL, that the server runs, and that its database exists")
    try:
        looks: tuple[Callable[[ClickHouseClient], Check | None], ...] = (refused, skewed, doubtful)
        for look in looks:
            if found := look(client):
                return found
        return Check(NAME, OK, f"version {client.version} at {client.place.name}")
    except ConsumerError as error:
        return Check(NAME, FAIL, str(error), "see the message")
    finally:
        client.close()


def refused(client: ClickHouseClient) -> Check | None:
    """The first thing that this user may not do."""
    table = f"pixelgate_doctor_{uuid.uuid4().hex}"
    made = False
    try:
        for what, statement in ATTEMPTS:
            try:
                ask(client, statement.format(table=table))
            except ConsumerError as error:
                grants = "GRANT SELECT, INSERT, ALTER DELETE, CREATE, DROP, TRUNCATE on its database"
                return Check(NAME, FAIL, f"cannot {what}: {error}", f"{grants} to the user of CLICKHOUSE_URL")
            made = what != "drop tables"
    finally:
        if made:
            ask(client, f"DROP TABLE IF EXISTS {table} SYNC")
    return None


def skewed(client: ClickHouseClient) -> Check | None:
    """Whether the server's clock is another than ours."""
    before = time.time()
    server = float(ask(client, "SELECT toUnixTimestamp64Micro(now64(6))")) / 1e6
    after = time.time()
    skew = max(server - after, before - server, 0.0)
    if skew <= SKEW_SECONDS_MAX:
        return None
    return Check(NAME, WARN, f"its clock is {skew:.1f} s off ours", "set both by NTP")


def doubtful(client: ClickHouseClient) -> Check | None:
    """Settings of the server that would hurt; ours ride on each statement and are not looked at."""
    most = int(ask(client, "SELECT value FROM system.merge_tree_settings WHERE name = 'parts_to_throw_insert'"))
    if most < LAST_PARTS_MIN:
        advice = (
            f"raise it to {LAST_PARTS_MIN} or more: with fewer, a burst of batches is refused until merges are done"
        )
        return Check(NAME, WARN, f"parts_to_throw_insert is {most}", advice)
    if int(ask(client, "SELECT count() FROM system.settings WHERE name = 'readonly' AND value != '0'")):
        return Check(NAME, FAIL, "the user's profile is readonly", "give the user a profile without readonly")
    return None


def ask(client: ClickHouseClient, statement: str) -> Any:
    """Carry out a statement of the doctor's own. Raises WarehouseFailed."""
    with client.failing("being examined"):
        return client.ask(statement)
