"""Up to which version changes were carried to places that keep no count of their own; reached as `Ledger.relayed`."""

from sqlalchemy import Connection, insert, select, update

from gating.ledger import tables
from gating.ledger.retry import noted
from gating.ledger.store import Store


class RelayedRows:
    """One ledger's. Either method may raise Unreachable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def version(self, place: str) -> int:
        """Up to which version changes were carried there; 0 where none was."""
        wanted = select(tables.relayed.c.version).where(tables.relayed.c.place == place)
        with self._store.reading() as connection:
            return int(connection.execute(wanted).scalar() or 0)

    def note(self, place: str, version: int) -> None:
        """Note that changes up to `version` were carried there; never less than before."""
        row = tables.relayed.c

        def work(connection: Connection) -> None:
            known = connection.execute(select(row.version).where(row.place == place)).scalar()
            if known is None:
                connection.execute(insert(tables.relayed).values(place=place, version=version))
            elif known < version:
                connection.execute(update(tables.relayed).where(row.place == place).values(version=version))

        noted(self._store, work)
