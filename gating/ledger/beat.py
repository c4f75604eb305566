"""The heartbeat's row: stored with the leader's renewals, read by whoever makes deadlines durable.

`store` and `read` are called inside a transaction of their caller's; the rest is reached as `Ledger.beat`. What a
reading means is `gating/heartbeat.py`'s.
"""

from sqlalchemy import Connection, insert, select, update

from gating.clock import Reading
from gating.heartbeat import Heartbeat, after, confirmed
from gating.ledger.retry import noted
from gating.ledger.store import Store
from gating.ledger.tables import heartbeat

_READ = select(heartbeat)  # built once: building a statement costs as much again as running it


class BeatRow:
    """One ledger's. Either method may raise Unreachable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def read(self) -> Heartbeat | None:
        """The leading service's last heartbeat; None before the first."""
        with self._store.reading() as connection:
            return read(connection)

    def confirm(self, reading: Reading) -> Heartbeat | None:
        """Believe this reading's wall clock from now on; returns the heartbeat before it."""

        def work(connection: Connection) -> Heartbeat | None:
            before = read(connection)
            _write(connection, confirmed(reading), known=before is not None)
            return before

        return noted(self._store, work)


def read(connection: Connection) -> Heartbeat | None:
    """The last heartbeat; None where no service has led this ledger yet."""
    row = connection.execute(_READ).first()
    if row is None:
        return None
    return Heartbeat(Reading(row.wall_us, row.boot_id, row.boot_ns), row.least_us, row.steady_us)


def store(connection: Connection, reading: Reading) -> None:
    """Store the heartbeat that this reading comes to; inside a write transaction, whose turn lets nobody between."""
    before = read(connection)
    _write(connection, after(before, reading), known=before is not None)


def _write(connection: Connection, now: Heartbeat, *, known: bool) -> None:
    values = {
        "wall_us": now.reading.wall_us, "boot_id": now.reading.boot_id, "boot_ns": now.reading.boot_ns,
        "least_us": now.least_us, "steady_us": now.steady_us,
    }  # fmt: skip
    connection.execute(update(heartbeat).values(values) if known else insert(heartbeat).values(id=1, **values))
