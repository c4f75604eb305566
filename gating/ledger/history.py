"""The history's chain: every change of every account, numbered by its version; its head stands in `meta`.

Details lie outside the chain and can be erased without a trace in it.
"""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Connection, select

from gating.ledger import chain, tables
from gating.ledger.chain import Chain

_CHAINED: Final = tuple(
    column.name for column in tables.history.columns if column.name not in ("previous", "digest")
)  # fmt: skip


def digest_of(fields: Mapping[str, Any], previous: bytes) -> bytes:
    """The digest of a history row with these fields that follows the row with digest `previous`."""
    return chain.digest_of([fields[name] for name in _CHAINED], previous)


def _owner(connection: Connection, version: int) -> str | None:
    """Whose change a removed row was, by whatever else the ledger holds under its version."""
    first = version * tables.OWED_MAX
    for wanted in (
        select(tables.gate.c.account).where(tables.gate.c.version == version),
        select(tables.outbox.c.account).where(tables.outbox.c.id.between(first, first + tables.OWED_MAX - 1)),
        select(tables.details.c.account).where(tables.details.c.version == version),
        select(tables.keys.c.account).where(tables.keys.c.created_version == version),
    ):
        found: str | None = connection.execute(wanted.limit(1)).scalar()
        if found is not None:
            return found
    return None


HISTORY: Final = Chain(
    tables.history, "history", "version", select(tables.meta.c.head, tables.meta.c.chain), "--head", _owner
)  # fmt: skip
